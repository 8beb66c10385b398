"""Scores and their selection in plain NumPy: a part of `aurefine.kernels.reference`.

See that module; the docstrings of the fast kernels give shapes and units.
"""

from __future__ import annotations

import numpy as np

from aurefine.kernels.reference_volume import Array, Volume, extract_slices

__all__ = [
    "best_from_bytes",
    "exponentiate",
    "fine_scores",
    "finish_coarse_scores",
    "likely_orientations",
    "normalise_posterior",
    "offset_moments",
    "score_likely",
    "score_list",
    "score_local",
    "select_best_correlation",
    "select_significant",
    "shifted_rows",
    "significance_threshold",
    "significant_points",
    "slice_norms",
]


def interleaved_as_complex(values: Array) -> Array:
    """Complex numbers from real and imaginary parts in the last axis."""
    result: Array = values[..., 0].astype(np.float64) + 1j * values[..., 1]
    return result


def planar_as_complex(rows: Array) -> Array:
    """Complex numbers from rows of real parts, then imaginary parts."""
    n = rows.shape[-1] // 2
    result: Array = rows[..., :n].astype(np.float64) + 1j * rows[..., n:]
    return result


def write_planar(values: Array, out: Array) -> None:
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
    weighted = interleaved_as_complex(np.moveaxis(images, 1, -1)) * multipliers
    write_planar(weighted[particle] * (cosines + 1j * sines)[offset], out)


def slice_norms(slices: Array, out: Array) -> None:
    """Write the power of each pixel of planar slices; see `scoring.slice_norms`."""
    out[:] = np.abs(planar_as_complex(slices)) ** 2


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
            shifted = rows[pair_row[i] : pair_row[i] + n_child_offsets]
            weights = norm_weights[pair_particle[i]]
            found = score_list(volume, children, pixel_x, pixel_y, shifted, weights)
            cross[pair_output[i]] = found[0].T
            norms[pair_output[i]] = found[1]


def score_list(
    volume: Volume,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    rows: Array,
    norm_weights: Array,
) -> tuple[Array, Array]:
    """Cross terms (n_rotations, n_rows) and norm terms (n_rotations,) of a list of orientations."""
    slices = np.empty((len(rotations), 2 * len(pixel_x)))
    extract_slices(volume, rotations, pixel_x, pixel_y, slices)
    power = np.abs(planar_as_complex(slices)) ** 2
    return slices @ rows.T.astype(np.float64), power @ norm_weights.astype(np.float64)


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


def select_significant(log_weights: Array, fraction: float, max_points: int) -> Array:
    """Choose the significant points of one particle; see `posterior.select_significant`."""
    weights = log_weights.copy()
    exponentiate(weights, weights.max())
    threshold, _ = significance_threshold(weights, fraction, max_points)
    return np.flatnonzero(weights >= threshold)


def significant_points(log_weights: Array, fraction: float, max_points: int) -> tuple[Array, Array]:
    """Choose the significant points of each particle; see `posterior.significant_points`."""
    found = [select_significant(row, fraction, max_points) for row in log_weights]
    return np.cumsum([0, *(len(points) for points in found)]), np.concatenate(found)


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


def offset_moments(
    first: Array,
    weights: Array,
    offset: Array,
    distance2: Array,
    pair_weight: Array,
    moment: Array,
    first_particle: int,
    last: int,
) -> None:
    """Weights of pairs and second moments of offsets; see `posterior.offset_moments`."""
    n_offsets = weights.shape[1]
    for p in range(first_particle, last):
        own = slice(first[p], first[p + 1])
        by_offset = weights[own].sum(axis=2, dtype=np.float64)
        pair_weight[own] = by_offset.sum(axis=1)
        fine = offset[own, None] * n_offsets + np.arange(n_offsets)
        moment[p] = (by_offset * distance2[p, fine]).sum()


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


# first pass in steps ---------------------------------------------------------------------------


def best_over_offsets(
    rows: Array,
    norm_weights: Array,
    slices: Array,
    powers: Array,
    log_prior: Array,
    offset_priors: Array,
    n_together: int,
    out: Array,
) -> None:
    """Log weights at the best offsets; see `two_step.best_over_offsets`."""
    cross = rows.astype(np.float64) @ slices.T
    norms = norm_weights.astype(np.float64) @ powers.T
    out[:] = (cross + offset_priors[:, :, None]).max(axis=1) + log_prior - norms / 2


def best_from_bytes(
    rows: Array,
    row_scale: Array,
    row_middle: Array,
    norm_weights: Array,
    slices: Array,
    slice_scale: Array,
    powers: Array,
    log_prior: Array,
    priors: Array,
    out: Array,
) -> None:
    """Log weights at the best offsets; see `byte_products.best_from_bytes`."""

    def unpacked(values: Array) -> Array:  # blocks, quads, rows of a block, bytes of a quad
        whole: Array = np.swapaxes(values, 1, 2).reshape(-1, values.shape[1] * values.shape[3])
        return whole.astype(np.int64)

    n_particles, n_orientations = out.shape
    products = unpacked(rows)[: len(row_scale)] @ unpacked(slices).T - row_middle[:, None]
    cross = (products * np.outer(row_scale, slice_scale.astype(np.float64)))[:, :n_orientations]
    norms = norm_weights.astype(np.float64) @ powers.T
    by_offset = cross.reshape(n_particles, -1, n_orientations) + priors[:, :, None]
    out[:] = by_offset.max(axis=1) + log_prior - norms / 2


def likely_orientations(best: Array, drop: Array, share: float) -> tuple[Array, Array]:
    """Orientations that come near the best one; see `two_step.likely_orientations`."""
    top, mean = best.max(axis=1), best.mean(axis=1, dtype=np.float64)
    is_likely = best >= (top - drop - share * (top - mean))[:, None]
    return np.cumsum([0, *is_likely.sum(axis=1)]), np.nonzero(is_likely)[1]


def score_likely(
    first: Array,
    likely: Array,
    slices: Array,
    powers: Array,
    log_prior: Array,
    offset_priors: Array,
    rows: Array,
    norm_weights: Array,
    fraction: float,
    max_points: int,
) -> tuple[Array, Array, Array]:
    """Significant points among likely orientations; see `two_step.score_likely`."""
    found = []
    for p in range(len(rows)):
        own = likely[first[p] : first[p + 1]]
        cross = slices[own].astype(np.float64) @ rows[p].T
        norms = powers[own] @ norm_weights[p].astype(np.float64)
        log_weight = cross + (log_prior[own] - norms / 2)[:, None] + offset_priors[p]
        which, offset = _significant_pairs(log_weight, fraction, max_points)
        found.append((own[which], offset))
    return _joined(found)


def score_local(
    volume: Volume,
    first: Array,
    rotations: Array,
    log_prior: Array,
    pixel_x: Array,
    pixel_y: Array,
    limits: Array,
    rows: Array,
    norm_weights: Array,
    offset_priors: Array,
    drop: float,
    share: float,
    fraction: float,
    max_points: int,
    use_correlation: bool,
) -> tuple[Array, Array, Array]:
    """First pass of local searches; see `two_step.score_local`."""
    n_offsets = rows.shape[1]
    found = []
    for p in range(len(rows)):
        points = np.arange(first[p], first[p + 1])

        def log_weights(points: Array, n_pixels: int, p: int = p) -> Array:
            cross, norms = score_list(
                volume,
                rotations[points],
                pixel_x[:n_pixels],
                pixel_y[:n_pixels],
                rows[p].reshape(n_offsets, 2, -1)[:, :, :n_pixels].reshape(n_offsets, -1),
                norm_weights[p, :n_pixels],
            )
            if use_correlation:
                return np.asarray(cross / np.sqrt(np.where(norms > 0, norms, np.inf))[:, None])
            return np.asarray(cross + (log_prior[points] - norms / 2)[:, None] + offset_priors[p])

        near = drop
        for step, limit in enumerate(limits[:-1]):
            best = log_weights(points, limit).max(axis=1)
            if step == 0:
                near += share * (best.max() - best.mean())
            points = points[best >= best.max() - near]
        scores = log_weights(points, limits[-1])
        if use_correlation:
            which, offset = np.divmod([scores.argmax()], scores.shape[1])
        else:
            which, offset = _significant_pairs(scores, fraction, max_points)
        found.append((points[which], offset))
    return _joined(found)


def _significant_pairs(log_weights: Array, fraction: float, max_points: int) -> tuple[Array, Array]:
    """Rows and columns of the significant entries of a matrix of log weights."""
    points = select_significant(log_weights.astype(np.float32).ravel(), fraction, max_points)
    which, offset = np.divmod(points, log_weights.shape[1])
    return which, offset


def _joined(found: list[tuple[Array, Array]]) -> tuple[Array, Array, Array]:
    first = np.cumsum([0, *(len(which) for which, _ in found)])
    return first, np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
