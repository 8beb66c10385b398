"""First pass in two steps: all orientations on the inner rings, then the likely ones on all rings.

The score of the inner rings is a log-likelihood of its own, so the true pose lies within a few
units of its maximum; orientations far below that maximum are left out of the second step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.posterior import select_significant
from aurefine.kernels.scoring import slice_norms
from aurefine.kernels.slices import extract_slices

__all__ = ["best_over_offsets", "likely_orientations", "score_likely", "score_local"]

_CHUNK = 16
_NOTHING = np.float32(-np.inf)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def best_over_offsets(cross, norms, log_prior, offset_priors, out):
    """Write the log weight of each orientation at its best offset.

    Parameters
    ----------
    cross : float32, shape (n_particles, n_offsets, n_orientations)
    norms : float32, shape (n_particles, n_orientations)
    log_prior : float32, shape (n_orientations,)
    offset_priors : float32, shape (n_particles, n_offsets)
    out : float32, shape (n_particles, n_orientations)
    """
    for p in range(cross.shape[0]):
        row = out[p]
        row[:] = _NOTHING
        for t in range(cross.shape[1]):
            other = cross[p, t]
            prior = offset_priors[p, t]
            for o in range(row.size):
                row[o] = max(row[o], other[o] + prior)
        norm = norms[p]
        for o in range(row.size):
            row[o] += log_prior[o] - np.float32(0.5) * norm[o]


@njit(nogil=True, cache=True, error_model="numpy")
def likely_orientations(best, drop):
    """Orientations whose log weight is within `drop` of that of the best one.

    Parameters
    ----------
    best : float32, shape (n_particles, n_orientations)
    drop : float

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
        limit[p] = best[p].max() - drop
        n = 0
        for o in range(n_orientations):
            n += best[p, o] >= limit[p]
        first[p + 1] = first[p] + n
    orientations = np.empty(first[n_particles], np.int64)
    for p in range(n_particles):
        n = first[p]
        for o in range(n_orientations):
            if best[p, o] >= limit[p]:
                orientations[n] = o
                n += 1
    return first, orientations


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def _norm_terms(weight, powers, out):
    for c in range(powers.shape[0]):
        power = powers[c]
        total = np.float32(0.0)
        for j in range(weight.size):
            total += weight[j] * power[j]
        out[c] = total


@njit(nogil=True, cache=True, forceinline=True)
def _append(values, n, more):
    """Append to a vector of which `n` entries are used, growing it when it is full."""
    if n + more.size > values.size:
        longer = np.empty(2 * (n + more.size), values.dtype)
        longer[:n] = values[:n]
        values = longer
    values[n : n + more.size] = more
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
                part[c] = slices[own[start + c]]
                power[c] = powers[own[start + c]]
            np.dot(part[:n], rows[p].T, cross[start : start + n])
            _norm_terms(norm_weights[p], power[:n], norms[start : start + n])
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
def _score_list(volume, rotations, pixel_x, pixel_y, rows, norm_weights, cross, norms):
    """Cross and norm terms of a list of orientations against all rows of one particle."""
    n_pixels = pixel_x.size
    slices = np.empty((_CHUNK, 2 * n_pixels), np.float32)
    powers = np.empty((_CHUNK, n_pixels), np.float32)
    for start in range(0, rotations.shape[0], _CHUNK):
        n = min(_CHUNK, rotations.shape[0] - start)
        part = slices[:n]
        extract_slices(volume, rotations[start : start + n], pixel_x, pixel_y, part)
        slice_norms(part, powers[:n])
        _norm_terms(norm_weights, powers[:n], norms[start : start + n])
        np.dot(part, rows.T, cross[start : start + n])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def score_local(
    volume,
    first,
    rotations,
    log_prior,
    pixel_x,
    pixel_y,
    n_inner,
    rows,
    inner_rows,
    norm_weights,
    offset_priors,
    drop,
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
    n_inner : int
        Leading pixels of the first step; 0 to score everything at once.
    rows : float32, shape (n_particles, n_offsets, 2 * n_pixels)
    inner_rows : float32, shape (n_particles, n_offsets, 2 * n_inner)
    norm_weights : float32, shape (n_particles, n_pixels)
    offset_priors : float32, shape (n_particles, n_offsets)
    drop : float
        See `likely_orientations`.
    fraction, max_points
        See `significance_threshold`.
    use_correlation : bool
        Take the point with the largest normalised correlation only.

    Returns
    -------
    found : int64, shape (n_particles + 1,)
    point, offset : int64, shape (n_found,)
        Position in the list of orientations, and offset.
    """
    n_particles, n_offsets, _ = rows.shape
    found = np.zeros(n_particles + 1, np.int64)
    point = np.empty(1024, np.int64)
    offset = np.empty(1024, np.int64)
    for p in range(n_particles):
        listed = rotations[first[p] : first[p + 1]]
        chosen = np.arange(listed.shape[0])
        if n_inner > 0:
            cross = np.empty((listed.shape[0], n_offsets), np.float32)
            norms = np.empty(listed.shape[0], np.float32)
            _score_list(
                volume,
                listed,
                pixel_x[:n_inner],
                pixel_y[:n_inner],
                inner_rows[p],
                norm_weights[p, :n_inner],
                cross,
                norms,
            )
            for i in range(listed.shape[0]):
                value = _NOTHING
                for t in range(n_offsets):
                    value = max(value, cross[i, t] + offset_priors[p, t])
                norms[i] = value - np.float32(0.5) * norms[i] + log_prior[first[p] + i]
            chosen = np.flatnonzero(norms >= norms.max() - drop)
        own = np.empty((chosen.size, 3, 3), np.float32)
        for i in range(chosen.size):
            own[i] = listed[chosen[i]]
        cross = np.empty((chosen.size, n_offsets), np.float32)
        norms = np.empty(chosen.size, np.float32)
        _score_list(volume, own, pixel_x, pixel_y, rows[p], norm_weights[p], cross, norms)
        if use_correlation:
            for i in range(chosen.size):
                scale = 1 / np.sqrt(norms[i]) if norms[i] > 0 else np.float32(0.0)
                for t in range(n_offsets):
                    cross[i, t] *= scale
            points = np.array([np.argmax(cross.reshape(-1))])
        else:
            for i in range(chosen.size):
                base = log_prior[first[p] + chosen[i]] - np.float32(0.5) * norms[i]
                for t in range(n_offsets):
                    cross[i, t] += base + offset_priors[p, t]
            points = select_significant(cross.reshape(-1), fraction, max_points)
        point = _append(point, found[p], first[p] + chosen[points // n_offsets])
        offset = _append(offset, found[p], points % n_offsets)
        found[p + 1] = found[p] + points.size
    n = found[n_particles]
    return found, point[:n].copy(), offset[:n].copy()
