"""The kernels in plain NumPy: their specification, and what the fast ones are tested against.

Every function has the name, arguments and results of a kernel in one of the other modules of this
package, whose docstring gives shapes and units.  Sums are made in double precision.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels.reference_search import (
    best_from_bytes,
    best_over_offsets,
    exponentiate,
    fine_scores,
    finish_coarse_scores,
    interleaved_as_complex,
    likely_orientations,
    normalise_posterior,
    offset_moments,
    planar_as_complex,
    score_likely,
    score_local,
    select_best_correlation,
    select_significant,
    shifted_rows,
    significance_threshold,
    significant_points,
    slice_norms,
)
from aurefine.kernels.reference_volume import (
    Array,
    Volume,
    add_mirror_images,
    add_words,
    average_unpadded,
    blend_by_radius,
    crop_transform,
    extract_slices,
    floor_sums,
    insert_slices,
    shell_sums,
    sums_by_radius,
    symmetrise_planes,
    wiener_transform,
    words_to_floats,
)

__all__ = [
    "add_mirror_images",
    "add_words",
    "average_unpadded",
    "best_from_bytes",
    "best_over_offsets",
    "blend_by_radius",
    "children_with_weight",
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
    "likely_orientations",
    "normalise_posterior",
    "offset_moments",
    "ring_power",
    "score_likely",
    "score_local",
    "select_best_correlation",
    "select_significant",
    "shell_sums",
    "shift_and_mask",
    "shift_transforms",
    "shifted_rows",
    "significance_threshold",
    "significant_points",
    "slice_norms",
    "smallest_offset_error",
    "smallest_rotation_error",
    "sort_pairs",
    "sums_by_radius",
    "symmetrise_planes",
    "wiener_transform",
    "words_to_floats",
]


# accumulation ----------------------------------------------------------------------------------


def children_with_weight(
    group_first: Array, sorted_pair: Array, weights: Array, out: Array
) -> None:
    """Mark the child orientations in use; see `accumulate.children_with_weight`."""
    for g, (begin, end) in enumerate(pairwise(group_first)):
        out[g] = (weights[sorted_pair[begin:end]] > 0).any(axis=(0, 1))


def combine_images(
    volume: Volume,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    group_first: Array,
    sorted_particle: Array,
    sorted_offset: Array,
    sorted_pair: Array,
    weights: Array,
    masked: Array,
    unmasked: Array,
    transfer: Array,
    numerator: Array,
    denominator: Array,
    cosines: Array,
    sines: Array,
    noise_group: Array,
    is_strong: Array,
    slot: Array,
    combined: Array,
    residual_by_pixel: Array,
    sums: Array,
) -> None:
    """Sum every significant sample on its own; see `accumulate.combine_images`."""
    image = interleaved_as_complex(np.moveaxis(masked, 1, -1))
    back_projected = interleaved_as_complex(np.moveaxis(unmasked, 1, -1)) * numerator
    ramps = cosines.astype(np.float64) + 1j * sines
    slices = np.empty((1, 2 * len(pixel_x)))
    for g, c in np.argwhere(slot >= 0):
        extract_slices(volume, rotations[g, c : c + 1], pixel_x, pixel_y, slices)
        total = np.zeros((3, len(pixel_x)))
        for i in range(group_first[g], group_first[g + 1]):
            p = sorted_particle[i]
            predicted = transfer[p] * planar_as_complex(slices)[0]
            power = np.abs(predicted) ** 2
            for k, w in enumerate(weights[sorted_pair[i], :, c].astype(np.float64)):
                ramp = ramps[sorted_offset[i] + k]
                shifted = back_projected[p] * ramp
                total += w * np.stack([shifted.real, shifted.imag, denominator[p]])
                cross = (image[p] * ramp * predicted.conj()).real
                residual = power - 2 * cross
                residual_by_pixel[noise_group[p]] += w * residual
                strong = is_strong[p if len(is_strong) > 1 else 0]
                strong_cross, strong_power = (cross * strong).sum(), (power * strong).sum()
                sums[p] += w * np.array([residual.sum(), strong_cross, strong_power, 1.0])
        combined[slot[g, c]] = total


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


def shift_transforms(
    images: Array, pixel_x: Array, pixel_y: Array, shifts: Array, box: int
) -> None:
    """Shift images by parts of a pixel; see `images.shift_transforms`."""
    phase = -2 * np.pi / box * (shifts[:, :1] * pixel_x + shifts[:, 1:] * pixel_y)
    values = (images[:, 0] + 1j * images[:, 1].astype(np.float64)) * np.exp(1j * phase)
    images[:] = np.stack([values.real, values.imag], axis=1)


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
    values: Array = planar_as_complex(out)[0]
    return values
