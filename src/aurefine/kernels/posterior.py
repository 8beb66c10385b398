"""Significant weights from log weights, without sorting all of them (spec 3.7)."""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.copying import copy_vector

__all__ = [
    "exponentiate",
    "normalise_posterior",
    "offset_moments",
    "select_best_correlation",
    "select_significant",
    "significance_threshold",
    "significant_points",
]

_LOG2_E = np.float32(1.4426950408889634)
_SHIFT = 16  # bits: exponent and 7 bits of mantissa of a float32 are left
_N_BINS = 40 << 7  # below that of the largest weight: 40 powers of two
_LEAST = np.float32(1e-37)  # of a significant weight
_CHUNK = 512
_NEGLIGIBLE = 16.0  # log of how much less than the best weight all left-out ones sum to


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def exponentiate(log_weights, maximum):
    """Replace float32 log weights by exp(log - maximum) in place; relative error below 1e-6.

    Everything below exp(-80) becomes zero.
    """
    bits = np.empty(_CHUNK, np.int32)
    scale = bits.view(np.float32)
    mantissa = np.empty(_CHUNK, np.float32)
    for start in range(0, log_weights.size, _CHUNK):
        n = min(_CHUNK, log_weights.size - start)
        for j in range(n):
            x = log_weights[start + j] - maximum
            x = min(max(x, np.float32(-81.0)), np.float32(80.0))
            y = x * _LOG2_E
            k = np.floor(y)
            # the remainder is formed from x in two steps, so that it keeps all its bits
            f = (x - k * np.float32(0.693359375)) + k * np.float32(2.12194440e-4)
            p = np.float32(1.9875691500e-4)
            p = p * f + np.float32(1.3981999507e-3)
            p = p * f + np.float32(8.3334519073e-3)
            p = p * f + np.float32(4.1665795894e-2)
            p = p * f + np.float32(1.6666665459e-1)
            p = p * f + np.float32(5.0000001201e-1)
            p = p * f * f + f + np.float32(1.0)
            mantissa[j] = p if x > np.float32(-80.0) else np.float32(0.0)
            bits[j] = (np.int32(k) + np.int32(127)) << np.int32(23)
        for j in range(n):
            log_weights[start + j] = mantissa[j] * scale[j]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def significance_threshold(weights, fraction, max_points):
    """Find the smallest significant weight.

    Weights are summed in descending order until the sum exceeds `fraction` of the total; the
    last one added is the threshold.  A histogram over the leading bits of the floating-point
    numbers finds the bin of the threshold, and only that bin is sorted.

    Parameters
    ----------
    weights : float32, shape (n,), not negative
    fraction : float
    max_points : int
        Upper limit to the number of significant points; 0 or less for none.

    Returns
    -------
    threshold : float32
    total : float64
        Sum of all weights.
    """
    bits = weights.view(np.int32)
    largest = np.int32(0)
    for i in range(bits.size):
        largest = max(largest, bits[i])
    lowest = max((largest >> _SHIFT) - _N_BINS, 0)
    sums = np.zeros((largest >> _SHIFT) - lowest + 1, np.float64)
    counts = np.zeros(sums.size, np.int64)
    for i in range(bits.size):
        b = max(bits[i] >> _SHIFT, lowest) - lowest  # the lowest bin holds all smaller ones, too
        sums[b] += weights[i]
        counts[b] += 1
    limit = max_points if max_points > 0 else weights.size + 1
    total = 0.0
    for b in range(sums.size):
        total += sums[b]
    target = fraction * total
    above = 0.0
    n_above = 0
    chosen = -1
    for b in range(sums.size - 1, -1, -1):
        if above + sums[b] > target or n_above + counts[b] >= limit:
            chosen = b + lowest
            break
        above += sums[b]
        n_above += counts[b]
    if chosen < 0:  # all of them are significant, if there are any
        smallest = np.float32(np.inf)
        for i in range(weights.size):
            smallest = min(smallest, weights[i])
        return max(smallest, _LEAST), total
    inside = np.empty(counts[chosen - lowest], np.float32)
    n = 0
    for i in range(bits.size):
        if max(bits[i] >> _SHIFT, lowest) == chosen:
            inside[n] = weights[i]
            n += 1
    inside.sort()
    threshold = inside[0]
    for j in range(n - 1, -1, -1):
        threshold = inside[j]
        above += inside[j]
        n_above += 1
        if above > target or n_above >= limit:
            break
    return max(threshold, _LEAST), total


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def select_significant(log_weights, fraction, max_points):
    """Choose the significant points of one particle.

    Parameters
    ----------
    log_weights : float32, shape (n_points,)
    fraction, max_points
        See `significance_threshold`.

    Returns
    -------
    points : int64, shape (n_significant,)
        Ascending.

    Notes
    -----
    Points so far below the best one that all of them together can not matter are left out
    before anything is exponentiated.
    """
    maximum = log_weights[0]
    for i in range(log_weights.size):
        maximum = max(maximum, log_weights[i])
    limit = maximum - np.float32(_NEGLIGIBLE + np.log(log_weights.size))
    n = 0
    for i in range(log_weights.size):
        n += log_weights[i] >= limit
    near = np.empty(n, np.int64)
    weights = np.empty(n, np.float32)
    n = 0
    for i in range(log_weights.size):
        if log_weights[i] >= limit:
            near[n] = i
            weights[n] = log_weights[i]
            n += 1
    exponentiate(weights, maximum)
    threshold, _ = significance_threshold(weights, fraction, max_points)
    return near[weights >= threshold]


@njit(nogil=True, cache=True)
def significant_points(log_weights, fraction, max_points):
    """Choose the significant points of each particle of a block.

    Parameters
    ----------
    log_weights : float32, shape (n_particles, n_points)
    fraction, max_points
        See `significance_threshold`.

    Returns
    -------
    first : int64, shape (n_particles + 1,)
        Points of particle p are ``points[first[p]:first[p + 1]]``.
    points : int64, shape (n_significant,)
    """
    n_particles = log_weights.shape[0]
    first = np.zeros(n_particles + 1, np.int64)
    points = np.empty(1024, np.int64)
    for p in range(n_particles):
        own = select_significant(log_weights[p], fraction, max_points)
        first[p + 1] = first[p] + own.size
        if first[p + 1] > points.size:
            longer = np.empty(2 * first[p + 1], np.int64)
            copy_vector(points[: first[p]], longer)
            points = longer
        copy_vector(own, points[first[p] :])
    return first, points[: first[n_particles]].copy()


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def normalise_posterior(
    first, cross, norms, log_priors, fraction, best, probability, log_total, first_particle, last
):
    """Turn scores of fine samples into normalised weights, 0 where not significant.

    Parameters
    ----------
    first : int64, shape (n_particles + 1,)
        Pairs of each particle.
    cross : float32, shape (n_pairs, n_child_offsets, n_children)
        Cross terms; overwritten by weights, which are divided by the sum of all weights.
    norms : float32, shape (n_pairs, n_children)
    log_priors : float32, shape (n_pairs,)
    fraction : float
        Of the total weight that the significant samples make up (0.999).
    best : int64, shape (n_particles,)
        Flat index in `cross` of the best sample.
    probability : float64, shape (n_particles,)
        Weight of the best sample over the sum of all weights.
    log_total : float64, shape (n_particles,)
        Logarithm of the sum of exp(log prior + cross - norm / 2).
    first_particle, last : int
        Range of particles to process.
    """
    n_offsets = cross.shape[1]
    n_children = cross.shape[2]
    size = n_offsets * n_children
    for p in range(first_particle, last):
        maximum = np.float32(-np.inf)
        for i in range(first[p], first[p + 1]):
            block = cross[i]
            norm = norms[i]
            prior = log_priors[i]
            for k in range(n_offsets):
                for c in range(n_children):
                    x = block[k, c] + prior - np.float32(0.5) * norm[c]
                    block[k, c] = x
                    if x > maximum:
                        maximum = x
                        best[p] = i * size + k * n_children + c
        flat = cross[first[p] : first[p + 1]].reshape(-1)
        exponentiate(flat, maximum)
        threshold, total = significance_threshold(flat, fraction, -1)
        scale = np.float32(1.0 / total)
        probability[p] = 1.0 / total
        log_total[p] = np.log(total) + maximum
        for i in range(flat.size):
            flat[i] = flat[i] * scale if flat[i] >= threshold else np.float32(0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def select_best_correlation(
    first, cross, norms, image_norms, best, correlation, first_particle, last
):
    """Keep the sample with the largest normalised correlation of each particle, weight 1.

    Parameters are those of `normalise_posterior`; `image_norms` (n_particles,) is the root of
    the power of each image and `correlation` receives the largest correlation.
    """
    n_children = cross.shape[2]
    size = cross.shape[1] * n_children
    for p in range(first_particle, last):
        largest = -np.inf
        for i in range(first[p], first[p + 1]):
            for k in range(cross.shape[1]):
                for c in range(n_children):
                    power = norms[i, c]
                    x = cross[i, k, c] / np.sqrt(power) if power > 0 else np.float32(0.0)
                    cross[i, k, c] = np.float32(0.0)
                    if x > largest:
                        largest = x
                        best[p] = i * size + k * n_children + c
        j = best[p]
        cross[j // size, (j % size) // n_children, j % n_children] = np.float32(1.0)
        correlation[p] = largest / image_norms[p]


@njit(nogil=True, cache=True, error_model="numpy")
def offset_moments(first, weights, offset, distance2, pair_weight, moment, first_particle, last):
    """Sum the weights of each pair, and of each particle times the squared length of its offsets.

    Parameters
    ----------
    first : int64, shape (n_particles + 1,)
        Pairs of each particle.
    weights : float32, shape (n_pairs, n_child_offsets, n_children)
    offset : int64, shape (n_pairs,)
        Coarse offset of each pair.
    distance2 : float64, shape (n_particles, n_offsets * n_child_offsets)
    pair_weight : float64, shape (n_pairs,)
        Overwritten.
    moment : float64, shape (n_particles,)
        Overwritten.
    first_particle, last : int
        Range of particles to process.
    """
    n_offsets = weights.shape[1]
    for p in range(first_particle, last):
        moment[p] = 0.0
        for i in range(first[p], first[p + 1]):
            total = 0.0
            for k in range(n_offsets):
                part = 0.0
                for c in range(weights.shape[2]):
                    part += weights[i, k, c]
                total += part
                moment[p] += part * distance2[p, offset[i] * n_offsets + k]
            pair_weight[i] = total
