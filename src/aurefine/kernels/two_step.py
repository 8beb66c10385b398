"""First pass in steps: all orientations on the inner rings, then the likely ones on more of them.

The score of the inner rings is a log-likelihood of its own, so the true pose lies within a few
units of its maximum; orientations far below that maximum are left out of the next step.  How far
grows with the height of the maximum, because the true pose lies between points of the grid.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.copying import copy_matrix, copy_vector
from aurefine.kernels.posterior import select_significant
from aurefine.kernels.scoring import norm_products
from aurefine.kernels.slices import extract_slices

__all__ = ["best_over_offsets", "likely_orientations", "score_likely", "score_local"]

_CHUNK = 16
_NOTHING = np.float32(-np.inf)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def best_over_offsets(
    rows, norm_weights, slices, powers, log_prior, offset_priors, n_together, out
):
    """Write the log weight of each orientation at its best offset.

    Parameters
    ----------
    rows : float32, shape (n_particles, n_offsets, 2 * n_pixels)
    norm_weights : float32, shape (n_particles, n_pixels)
    slices : float32, shape (n_orientations, 2 * n_pixels)
    powers : float32, shape (n_orientations, n_pixels)
    log_prior : float32, shape (n_orientations,)
    offset_priors : float32, shape (n_particles, n_offsets)
    n_together : int
        Particles in one matrix product, few enough for it to stay in the cache.
    out : float32, shape (n_particles, n_orientations)
    """
    n_particles, n_offsets, length = rows.shape
    n_orientations = slices.shape[0]
    flat = rows.reshape(n_particles * n_offsets, length)
    products = np.empty((n_together * n_offsets, n_orientations), np.float32)
    norms = np.empty((n_together, n_orientations), np.float32)
    best = np.empty(n_orientations, np.float32)
    for start in range(0, n_particles, n_together):
        n = min(n_together, n_particles - start)
        own = products[: n * n_offsets]
        np.dot(flat[start * n_offsets : (start + n) * n_offsets], slices.T, own)
        np.dot(norm_weights[start : start + n], powers.T, norms[:n])
        for i in range(n):
            p = start + i
            best[:] = _NOTHING
            for t in range(n_offsets):
                other = own[i * n_offsets + t]
                prior = offset_priors[p, t]
                for o in range(n_orientations):
                    best[o] = max(best[o], other[o] + prior)
            for o in range(n_orientations):
                out[p, o] = best[o] + (log_prior[o] - np.float32(0.5) * norms[i, o])


@njit(nogil=True, cache=True, forceinline=True, fastmath={"reassoc"}, error_model="numpy")
def _mean(weights):
    total = np.float32(0.0)
    for weight in weights:
        total += weight
    return total / np.float32(weights.size)


@njit(nogil=True, cache=True, error_model="numpy")
def likely_orientations(best, drop, share):
    """Orientations whose log weight comes near that of the best one.

    Parameters
    ----------
    best : float32, shape (n_particles, n_orientations)
    drop : float32, shape (n_particles,)
        How far below the best one an orientation may be for its noise.
    share : float
        How far it may be beyond that for the grid, as a share of the height of the best log
        weight above the mean of all.

    Returns
    -------
    first : int64, shape (n_particles + 1,)
        Orientations of particle p are first[p] to first[p + 1].
    orientations : int64, shape (n_likely,)
    """
    n_particles, n_orientations = best.shape
    limit = np.empty(n_particles, np.float32)
    first = np.zeros(n_particles + 1, np.int64)
    for p in range(n_particles):
        top = best[p].max()
        limit[p] = top - (drop[p] + np.float32(share) * (top - _mean(best[p])))
        n = 0
        for o in range(n_orientations):
            n += best[p, o] >= limit[p]  # none if a score is not a number
        first[p + 1] = first[p] + n
    orientations = np.empty(first[n_particles], np.int64)
    for p in range(n_particles):
        n = first[p]
        for o in range(n_orientations):
            if best[p, o] >= limit[p]:
                orientations[n] = o
                n += 1
    return first, orientations


@njit(nogil=True, cache=True, forceinline=True)
def _append(values, n, more):
    """Append to a vector of which `n` entries are used, growing it when it is full."""
    if n + more.size > values.size:
        longer = np.empty(2 * (n + more.size), values.dtype)
        copy_vector(values[:n], longer)
        values = longer
    copy_vector(more, values[n:])
    return values


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def score_likely(
    first,
    likely,
    slices,
    powers,
    log_prior,
    offset_priors,
    rows,
    norm_weights,
    fraction,
    max_points,
):
    """Score each particle's likely orientations and keep the significant points.

    Parameters
    ----------
    first, likely
        See `likely_orientations`.
    slices : float32, shape (n_orientations, 2 * n_pixels)
    powers : float32, shape (n_orientations, n_pixels)
    log_prior : float32, shape (n_orientations,)
    offset_priors : float32, shape (n_particles, n_offsets)
    rows : float32, shape (n_particles, n_offsets, 2 * n_pixels)
    norm_weights : float32, shape (n_particles, n_pixels)
    fraction, max_points
        See `significance_threshold`.

    Returns
    -------
    found : int64, shape (n_particles + 1,)
        Points of particle p are found[p] to found[p + 1].
    orientation, offset : int64, shape (n_found,)
    """
    n_particles, n_offsets, length = rows.shape
    found = np.zeros(n_particles + 1, np.int64)
    orientation = np.empty(1024, np.int64)
    offset = np.empty(1024, np.int64)
    part = np.empty((_CHUNK, length), np.float32)
    power = np.empty((_CHUNK, length // 2), np.float32)
    for p in range(n_particles):
        own = likely[first[p] : first[p + 1]]
        cross = np.empty((own.size, n_offsets), np.float32)
        norms = np.empty(own.size, np.float32)
        for start in range(0, own.size, _CHUNK):
            n = min(_CHUNK, own.size - start)
            for c in range(n):
                copy_vector(slices[own[start + c]], part[c])
                copy_vector(powers[own[start + c]], power[c])
            np.dot(part[:n], rows[p].T, cross[start : start + n])
            norm_products(norm_weights[p], power[:n], norms[start : start + n])
        for i in range(own.size):
            base = log_prior[own[i]] - np.float32(0.5) * norms[i]
            for t in range(n_offsets):
                cross[i, t] += base + offset_priors[p, t]
        points = select_significant(cross.reshape(-1), fraction, max_points)
        orientation = _append(orientation, found[p], own[points // n_offsets])
        offset = _append(offset, found[p], points % n_offsets)
        found[p + 1] = found[p] + points.size
    n = found[n_particles]
    return found, orientation[:n].copy(), offset[:n].copy()


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def _add_pixels(volume, rotations, chosen, pixel_x, pixel_y, rows, norm_weights, cross, norms):
    """Add the part that some pixels have in the cross and norm terms of chosen orientations."""
    n_pixels = pixel_x.size
    n_offsets = rows.shape[0]
    matrices = np.empty((_CHUNK, 3, 3), np.float32)
    slices = np.empty((_CHUNK, 2 * n_pixels), np.float32)
    products = np.empty((_CHUNK, n_offsets), np.float32)
    for start in range(0, chosen.size, _CHUNK):
        n = min(_CHUNK, chosen.size - start)
        for c in range(n):
            copy_matrix(rotations[chosen[start + c]], matrices[c])
        extract_slices(volume, matrices[:n], pixel_x, pixel_y, slices[:n])
        np.dot(slices[:n], rows.T, products[:n])
        for c in range(n):
            own = chosen[start + c]
            real = slices[c, :n_pixels]
            imag = slices[c, n_pixels:]
            total = np.float32(0.0)
            for j in range(n_pixels):
                total += norm_weights[j] * (real[j] * real[j] + imag[j] * imag[j])
            norms[own] += total
            for t in range(n_offsets):
                cross[own, t] += products[c, t]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def _add_priors(chosen, norms, log_prior, offset_priors, cross):
    """Turn cross terms of the chosen orientations into log weights, shape (n_chosen, n_offsets)."""
    weights = np.empty((chosen.size, offset_priors.size), np.float32)
    for i in range(chosen.size):
        own = chosen[i]
        base = log_prior[own] - np.float32(0.5) * norms[own]
        for t in range(offset_priors.size):
            weights[i, t] = cross[own, t] + (base + offset_priors[t])
    return weights


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _best_of_each(weights):
    """Return the best log weight of each orientation."""
    best = np.empty(weights.shape[0], np.float32)
    for i in range(best.size):
        best[i] = weights[i].max()
    return best


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def score_local(
    volume,
    first,
    rotations,
    log_prior,
    pixel_x,
    pixel_y,
    limits,
    rows,
    norm_weights,
    offset_priors,
    drop,
    share,
    fraction,
    max_points,
    use_correlation,
):
    """First pass over each particle's own list of orientations.

    Parameters
    ----------
    volume, pixel_x, pixel_y
        See `extract_slices`.
    first : int64, shape (n_particles + 1,)
        Orientations of particle p are ``first[p]`` to ``first[p + 1]``.
    rotations : float32, shape (n_points, 3, 3)
    log_prior : float32, shape (n_points,)
    limits : int64, shape (n_steps,)
        Number of leading pixels that are scored after each step, ascending up to all of them.
        Before the next step, orientations that are far below the best one are left out.
    rows : float32, shape (n_particles, n_offsets, 2 * n_pixels)
    norm_weights : float32, shape (n_particles, n_pixels)
    offset_priors : float32, shape (n_particles, n_offsets)
    drop, share : float
        See `likely_orientations`; the height is that of the first step, with all orientations.
    fraction, max_points
        See `significance_threshold`.
    use_correlation : bool
        Take the point with the largest normalised correlation only; one step.

    Returns
    -------
    found : int64, shape (n_particles + 1,)
    point, offset : int64, shape (n_found,)
        Position in the list of orientations, and offset.
    """
    n_particles, n_offsets, _ = rows.shape
    n_pixels = pixel_x.size
    found = np.zeros(n_particles + 1, np.int64)
    point = np.empty(1024, np.int64)
    offset = np.empty(1024, np.int64)
    for p in range(n_particles):
        listed = rotations[first[p] : first[p + 1]]
        prior = log_prior[first[p] : first[p + 1]]
        cross = np.zeros((listed.shape[0], n_offsets), np.float32)
        norms = np.zeros(listed.shape[0], np.float32)
        chosen = np.arange(listed.shape[0])
        begin = 0
        near = np.float32(drop)
        for end in limits:
            if begin > 0:
                best = _best_of_each(_add_priors(chosen, norms, prior, offset_priors[p], cross))
                top = best.max()
                if begin == limits[0]:
                    near += np.float32(share) * (top - _mean(best))
                chosen = chosen[~(best < top - near)]  # all if a score is not a number
            part = np.empty((n_offsets, 2 * (end - begin)), np.float32)
            for t in range(n_offsets):
                copy_vector(rows[p, t, begin:end], part[t])
                copy_vector(rows[p, t, n_pixels + begin : n_pixels + end], part[t, end - begin :])
            _add_pixels(
                volume,
                listed,
                chosen,
                pixel_x[begin:end],
                pixel_y[begin:end],
                part,
                norm_weights[p, begin:end],
                cross,
                norms,
            )
            begin = end
        if use_correlation:
            for i in range(chosen.size):
                scale = 1 / np.sqrt(norms[i]) if norms[i] > 0 else np.float32(0.0)
                for t in range(n_offsets):
                    cross[i, t] *= scale
            points = np.array([np.argmax(cross.reshape(-1))])
        else:
            weights = _add_priors(chosen, norms, prior, offset_priors[p], cross)
            points = select_significant(weights.reshape(-1), fraction, max_points)
        point = _append(point, found[p], first[p] + chosen[points // n_offsets])
        offset = _append(offset, found[p], points % n_offsets)
        found[p + 1] = found[p] + points.size
    n = found[n_particles]
    return found, point[:n].copy(), offset[:n].copy()
