"""The kernels in plain NumPy: their specification, and what the fast ones are tested against.

Every function has the name, arguments and results of a kernel in one of the other modules of this
package, whose docstring gives shapes and units.  Sums are made in double precision.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels.reference_volume import (
    crop_transform,
    extract_slices,
    floor_sums,
    insert_slices,
    shell_sums,
    symmetrise_planes,
    wiener_transform,
)

__all__ = [
    "combine_images",
    "crop_transform",
    "exponentiate",
    "extract_slices",
    "fill_local_orientations",
    "fine_scores",
    "finish_coarse_scores",
    "floor_sums",
    "gather_pixels",
    "insert_slices",
    "local_scores",
    "normalise_posterior",
    "ring_power",
    "select_best_correlation",
    "shell_sums",
    "shift_and_mask",
    "shifted_rows",
    "significance_threshold",
    "significant_points",
    "slice_norms",
    "smallest_offset_error",
    "smallest_rotation_error",
    "sort_pairs",
    "symmetrise_planes",
    "wiener_transform",
]

Array = npt.NDArray[Any]
Volume = tuple[Array, int]


# scoring ---------------------------------------------------------------------------------------


def _complex(values: Array) -> Array:
    """Complex numbers from real and imaginary parts in the last axis."""
    result: Array = values[..., 0].astype(np.float64) + 1j * values[..., 1]
    return result


def _planar(rows: Array) -> Array:
    """Complex numbers from rows of real parts, then imaginary parts."""
    n = rows.shape[-1] // 2
    result: Array = rows[..., :n].astype(np.float64) + 1j * rows[..., n:]
    return result


def _write_planar(values: Array, out: Array) -> None:
    out[:] = np.concatenate([values.real, values.imag], axis=-1)


def shifted_rows(
    images: Array,
    multipliers: Array,
    cosines: Array,
    sines: Array,
    particle: Array,
    offset: Array,
    out: Array,
) -> None:
    """Weight and shift images; see `scoring.shifted_rows`."""
    weighted = _complex(np.moveaxis(images, 1, -1)) * multipliers
    _write_planar(weighted[particle] * (cosines + 1j * sines)[offset], out)


def slice_norms(slices: Array, out: Array) -> None:
    """Write the power of each pixel of planar slices; see `scoring.slice_norms`."""
    out[:] = np.abs(_planar(slices)) ** 2


def fine_scores(
    volume: Volume,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    group_first: Array,
    pair_particle: Array,
    pair_row: Array,
    pair_output: Array,
    rows: Array,
    norm_weights: Array,
    n_child_offsets: int,
    cross: Array,
    norms: Array,
) -> None:
    """Score all children of significant pairs; see `scoring.fine_scores`."""
    for g, children in enumerate(rotations):
        for i in range(group_first[g], group_first[g + 1]):
            first = pair_row[i]
            local_scores(
                volume,
                children,
                pixel_x,
                pixel_y,
                rows[first : first + n_child_offsets],
                norm_weights[pair_particle[i]],
                cross[pair_output[i]].T,
                norms[pair_output[i]],
            )


def local_scores(
    volume: Volume,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    rows: Array,
    norm_weights: Array,
    cross: Array,
    norms: Array,
) -> None:
    """Cross and norm terms of orientations against offsets; see `scoring.local_scores`."""
    slices = np.empty((len(rotations), 2 * len(pixel_x)))
    extract_slices(volume, rotations, pixel_x, pixel_y, slices)
    cross[:] = slices @ rows.T.astype(np.float64)
    norms[:] = np.abs(_planar(slices)) ** 2 @ norm_weights.astype(np.float64)


def finish_coarse_scores(
    scores: Array, norms: Array, log_prior: Array, offset_priors: Array, use_correlation: bool
) -> None:
    """Turn products into log weights or correlations; see `scoring.finish_coarse_scores`.

    `norms` is overwritten by what the products are multiplied by or added to.
    """
    if use_correlation:
        has_power = norms > 0
        norms[:] = np.where(has_power, 1 / np.sqrt(np.where(has_power, norms, 1)), 0)
        scores *= norms[:, None, :]
    else:
        norms[:] = log_prior - norms / 2
        scores += norms[:, None, :] + offset_priors[:, :, None]


# accumulation ----------------------------------------------------------------------------------


def combine_images(
    volume: Volume,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    shell_first: Array,
    group_first: Array,
    pair_particle: Array,
    pair_offset: Array,
    pair_output: Array,
    weights: Array,
    masked: Array,
    unmasked: Array,
    transfer: Array,
    numerator: Array,
    denominator: Array,
    cosines: Array,
    sines: Array,
    slot: Array,
    combined: Array,
    cross_by_shell: Array,
    power_by_shell: Array,
    total_weight: Array,
) -> None:
    """Sum every significant sample on its own; see `accumulate.combine_images`."""
    image = _complex(np.moveaxis(masked, 1, -1))
    back_projected = _complex(np.moveaxis(unmasked, 1, -1)) * numerator
    ramps = cosines.astype(np.float64) + 1j * sines
    slices = np.empty((1, 2 * len(pixel_x)))
    for g, c in np.argwhere(slot >= 0):
        extract_slices(volume, rotations[g, c : c + 1], pixel_x, pixel_y, slices)
        total = np.zeros((3, len(pixel_x)))
        for i in range(group_first[g], group_first[g + 1]):
            p = pair_particle[i]
            predicted = transfer[p] * _planar(slices)[0]
            for k, w in enumerate(weights[pair_output[i], :, c].astype(np.float64)):
                ramp = ramps[pair_offset[i] + k]
                shifted = back_projected[p] * ramp
                total += w * np.stack([shifted.real, shifted.imag, denominator[p]])
                cross = (image[p] * ramp * predicted.conj()).real
                cross_by_shell[p] += w * _by_shell(cross, shell_first)
                power_by_shell[p] += w * _by_shell(np.abs(predicted) ** 2, shell_first)
                total_weight[p] += w
        combined[slot[g, c]] = total


def _by_shell(values: Array, shell_first: Array) -> Array:
    return np.array([values[lo:hi].sum() for lo, hi in pairwise(shell_first)])


# posterior -------------------------------------------------------------------------------------


def exponentiate(log_weights: Array, maximum: float) -> None:
    """Replace log weights by weights relative to the maximum; see `posterior.exponentiate`."""
    x = log_weights.astype(np.float64) - maximum
    log_weights[:] = np.where(x > -80, np.exp(np.clip(x, -80, 80)), 0)


def significance_threshold(
    weights: Array, fraction: float, max_points: int
) -> tuple[np.float32, float]:
    """Sort, and add up until the sum exceeds the fraction (spec 3.7).

    See `posterior.significance_threshold`.
    """
    descending = np.sort(weights.astype(np.float64))[::-1]
    sums = np.cumsum(descending)
    total = float(sums[-1])
    exceeds = np.flatnonzero(sums > fraction * total)
    last = int(exceeds[0]) if len(exceeds) else len(descending) - 1
    if max_points > 0:
        last = min(last, max_points - 1)
    threshold = np.float32(descending[last])
    return (threshold if threshold > 0 else np.float32(1e-37)), total


def significant_points(log_weights: Array, fraction: float, max_points: int) -> tuple[Array, Array]:
    """Choose the significant points of each particle; see `posterior.significant_points`."""
    found = []
    for row in log_weights:
        exponentiate(row, row.max())
        threshold, _ = significance_threshold(row, fraction, max_points)
        found.append(np.flatnonzero(row >= threshold))
    first = np.cumsum([0, *(len(points) for points in found)])
    return first, np.concatenate(found).astype(np.int32)


def normalise_posterior(
    first: Array,
    cross: Array,
    norms: Array,
    log_priors: Array,
    fraction: float,
    best: Array,
    probability: Array,
    log_total: Array,
    first_particle: int,
    last: int,
) -> None:
    """Turn scores into normalised weights; see `posterior.normalise_posterior`."""
    size = cross.shape[1] * cross.shape[2]
    for p in range(first_particle, last):
        own = slice(first[p], first[p + 1])
        log_weight = cross[own] + log_priors[own, None, None] - norms[own, None, :] / 2
        best[p] = first[p] * size + log_weight.argmax()
        maximum = log_weight.max()
        weight = log_weight.ravel()
        exponentiate(weight, maximum)
        threshold, total = significance_threshold(weight, fraction, -1)
        probability[p] = 1 / total
        log_total[p] = np.log(total) + maximum
        significant = np.where(weight >= threshold, weight / total, 0)
        cross[own] = significant.reshape(log_weight.shape)


def select_best_correlation(
    first: Array,
    cross: Array,
    norms: Array,
    image_norms: Array,
    best: Array,
    correlation: Array,
    first_particle: int,
    last: int,
) -> None:
    """Give the best sample all the weight; see `posterior.select_best_correlation`."""
    size = cross.shape[1] * cross.shape[2]
    flat = cross.reshape(-1)
    for p in range(first_particle, last):
        own = slice(first[p], first[p + 1])
        power = np.where(norms[own] > 0, norms[own], np.inf)
        scores = cross[own] / np.sqrt(power)[:, None, :]
        best[p] = first[p] * size + scores.argmax()
        correlation[p] = scores.max() / image_norms[p]
        cross[own] = 0
        flat[best[p]] = 1


def sort_pairs(group: Array, n_groups: int) -> tuple[Array, Array]:
    """Sort pairs by group, keeping their order inside a group; see `pairs.sort_pairs`."""
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(n_groups + 1))
    return first.astype(np.int64), order.astype(np.int64)


# images ----------------------------------------------------------------------------------------


def shift_and_mask(
    images: Array,
    factors: Array,
    shift_x: Array,
    shift_y: Array,
    background: Array,
    fill: Array,
    shifted: Array,
    masked: Array,
) -> None:
    """Scale, shift and mask images; see `images.shift_and_mask`."""
    n = images.shape[1]
    index = np.arange(n)
    weight = background.astype(np.float64)
    for i, image in enumerate(images):
        y, x = index - shift_y[i], index - shift_x[i]
        inside = np.outer((y >= 0) & (y < n), (x >= 0) & (x < n))
        moved = image[np.ix_(y % n, x % n)].astype(np.float64) * factors[i]
        shifted[i] = np.where(inside, moved, 0)
        masked[i] = shifted[i]
        if weight.sum() > 0:
            mean = (weight * shifted[i]).sum() / weight.sum()
            background_image = fill[i] if len(fill) else np.full((n, n), mean)
            masked[i] = (1 - weight) * shifted[i] + weight * background_image


def gather_pixels(transforms: Array, index: Array, scale: Array, out: Array) -> None:
    """Collect the pixels of a slice from transforms; see `images.gather_pixels`."""
    values = transforms[:, index].astype(np.complex128) * scale
    out[:] = np.stack([values.real, values.imag], axis=1)


def ring_power(transforms: Array, ring: Array, scale: float, out: Array) -> None:
    """Sum the power of each image over rings; see `images.ring_power`."""
    counted = ring >= 0
    for row, transform in zip(out, transforms.astype(np.complex128), strict=True):
        power = np.abs(transform[counted]) ** 2
        row[:] = scale * np.bincount(ring[counted], weights=power, minlength=len(row))


# local searches --------------------------------------------------------------------------------


def fill_local_orientations(
    poses: Array,
    first: Array,
    rot: Array,
    tilt: Array,
    pixel: Array,
    angle: Array,
    n_psi: int,
    sigma_direction: float,
    sigma_psi: float,
    perturbation: Array,
    start: Array,
    n_found: Array,
    orientation: Array,
    log_prior: Array,
    rotations: Array,
) -> None:
    """List the orientations of local searches; see `local.fill_local_orientations`.

    In-plane angles are compared with the one that turns the direction's frame nearest to the
    pose as a full rotation; within a direction they are listed by their signed difference.
    """
    psi = np.arange(n_psi) * 360.0 / n_psi
    for p, pose in enumerate(poses):
        n = start[p]
        for i in range(first[p], first[p + 1]):
            upright = matrix_from_euler(np.rad2deg(rot[i]), np.rad2deg(tilt[i]), 0.0)
            relative = pose @ upright.T  # a rotation about z where the directions agree
            centre = np.rad2deg(
                np.arctan2(relative[0, 1] - relative[1, 0], relative[0, 0] + relative[1, 1])
            )
            difference = np.deg2rad((psi - centre + 180) % 360 - 180)
            taken = np.flatnonzero(np.abs(difference) < 3 * sigma_psi)
            if not len(taken):
                taken = np.abs(difference).argmin(keepdims=True)
            taken = taken[np.argsort(difference[taken])]
            log_psi = _log_normalised(-0.5 * (difference[taken] / sigma_psi) ** 2)
            own = slice(n, n + len(taken))
            orientation[own] = pixel[i] * n_psi + taken
            log_prior[own] = log_psi - 0.5 * (angle[i] / sigma_direction) ** 2
            rotations[own] = (
                matrix_from_euler(np.rad2deg(rot[i]), np.rad2deg(tilt[i]), psi[taken])
                @ perturbation
            )
            n += len(taken)
        n_found[p] = n - start[p]
        own = slice(start[p], n)
        log_prior[own] = _log_normalised(log_prior[own].astype(np.float64)) + np.log(n_found[p])


def _log_normalised(log_weights: Array) -> Array:
    """Log weights whose exponentials sum to one."""
    top = log_weights.max()
    result: Array = log_weights - top - np.log(np.exp(log_weights - top).sum())
    return result


# accuracy --------------------------------------------------------------------------------------

_ROTATION_STEPS = ((0.2, 0.05), (1, 0.1), (2, 0.2), (5, 0.5), (10, 1), (20, 2), (np.inf, 5))
_OFFSET_STEPS = ((1, 0.1), (2, 0.2), (5, 0.5), (10, 1), (np.inf, 2))


def _step(error: float, table: tuple[tuple[float, float], ...]) -> float:
    return next(step for limit, step in table if error < limit)


def smallest_rotation_error(
    volume: Volume,
    rot: float,
    tilt: float,
    psi: float,
    axis: int,
    pixel_x: Array,
    pixel_y: Array,
    weight: Array,
    shell: Array,
    threshold: float,
    by_shell: Array,
) -> float:
    """Smallest noticeable rotation; see `accuracy.smallest_rotation_error`."""
    reference = _one_slice(volume, (rot, tilt, psi), pixel_x, pixel_y)
    error = 0.0
    while True:
        error += _step(error, _ROTATION_STEPS)
        angles = [rot, tilt, psi]
        angles[axis] += error
        moved = _one_slice(volume, (angles[0], angles[1], angles[2]), pixel_x, pixel_y)
        difference = weight * np.abs(reference - moved) ** 2
        if difference.sum() > threshold or error > 30:
            break
    if difference.sum() > 0:
        np.add.at(by_shell, shell, difference / difference.sum())
    return error


def smallest_offset_error(
    volume: Volume,
    rot: float,
    tilt: float,
    psi: float,
    frequency: Array,
    pixel_x: Array,
    pixel_y: Array,
    weight: Array,
    threshold: float,
) -> float:
    """Smallest noticeable shift; see `accuracy.smallest_offset_error`."""
    reference = _one_slice(volume, (rot, tilt, psi), pixel_x, pixel_y)
    error = 0.0
    while True:
        error += _step(error, _OFFSET_STEPS)
        moved = reference * np.exp(-1j * frequency * error)
        if (weight * np.abs(reference - moved) ** 2).sum() > threshold or error > 10:
            return error


def _one_slice(
    volume: Volume, angles: tuple[float, float, float], pixel_x: Array, pixel_y: Array
) -> Array:
    out = np.empty((1, 2 * len(pixel_x)))
    extract_slices(volume, matrix_from_euler(*angles)[None], pixel_x, pixel_y, out)
    values: Array = _planar(out)[0]
    return values
