"""Weighted sums of the expectation step: combined images per orientation and statistics."""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.combination import CHILDREN, add_image, sum_ramps
from aurefine.kernels.copying import copy_matrix
from aurefine.kernels.slices import extract_block, slice_memory
from aurefine.kernels.vectors import LANES

__all__ = ["children_with_weight", "combine_images"]

_MANY = 3  # particles from which on it pays to work on blocks of pixels
_BLOCK = 128  # pixels, so that the slices and sums of eight children stay in the level-1 cache
_LONG_BLOCK = 512  # pixels for few particles, so that their phases stay in the level-2 cache


@njit(nogil=True, cache=True, fastmath=True)
def children_with_weight(group_first, sorted_pair, weights, out):
    """Mark the child orientations that have any weight.

    Parameters
    ----------
    group_first, sorted_pair
        See `combine_images`.
    weights : float32, shape (n_pairs, n_child_offsets, n_children)
    out : bool, shape (n_orientations, n_children)
        Overwritten.
    """
    out[:] = False
    for g in range(group_first.size - 1):
        row = out[g]
        for i in range(group_first[g], group_first[g + 1]):
            block = weights[sorted_pair[i]]
            for k in range(block.shape[0]):
                for c in range(block.shape[1]):
                    row[c] |= block[k, c] > 0


@njit(nogil=True, cache=True, fastmath=True)
def combine_images(
    volume,
    rotations,
    pixel_x,
    pixel_y,
    group_first,
    sorted_particle,
    sorted_offset,
    sorted_pair,
    weights,
    masked,
    unmasked,
    transfer,
    numerator,
    denominator,
    cosines,
    sines,
    noise_group,
    is_strong,
    slot,
    combined,
    residual_by_pixel,
    sums,
):
    """Sum the images of a batch per orientation and compare them with the reference.

    For orientation o, particle p and its significant offsets t with weights w, the phase ramps
    are summed first, m = sum_t w exp(i phase_t).  The unmasked image times m enters the
    back-projection.  The statistics need, for each particle, the sums over orientations of the
    slice times the conjugate of m and of its power: the masked image is compared with these once
    (spec 4.1).

    Parameters
    ----------
    volume, rotations (n_orientations, n_children, 3, 3), pixel_x, pixel_y
        As in `aurefine.kernels.scoring.fine_scores`.
    group_first, sorted_particle, sorted_offset, sorted_pair : int64
        Pairs sorted by orientation, then particle: range of each orientation, particle, first
        fine offset, and row in `weights` of each pair.
    weights : float32, shape (n_pairs, n_child_offsets, n_children)
        Normalised weights, 0 where not significant.
    masked, unmasked : float32, shape (n_particles, 2, n_pixels)
    transfer : float32, shape (n_particles, n_pixels)
        Intensity scale times CTF: what multiplies a slice.
    numerator, denominator : float32, shape (n_particles, n_pixels)
        What multiplies the unmasked image and the weight in the back-projection.
    cosines, sines : float32, shape (n_offsets, n_pixels)
    noise_group : int64, shape (n_particles,)
    is_strong : float32, shape (n_particles, n_pixels) or (1, n_pixels)
        Weight of the data in the sums for the intensity scale.
    slot : int64, shape (n_orientations, n_children)
        Row of `combined` of each orientation, negative if it has no weight.
    combined : float32, shape (n_slots, 3, n_pixels)
        Set to the sums: real part, imaginary part, weight.
    residual_by_pixel : float64, shape (n_noise_groups, n_pixels)
        Sums of w (|M|^2 - 2 Re(conj(X) M)) over the particles of each noise group; added to.
    sums : float64, shape (n_particles, 4)
        For each particle the sums over pixels of the same, of w Re(conj(X) M) and w |M|^2 times
        `is_strong`, and the sum of the weights; added to.
    """
    n_children = rotations.shape[1]
    n_pixels = pixel_x.size
    n_groups = group_first.size - 1
    place, seen_particle = _places(sorted_particle[group_first[0] : group_first[n_groups]], sums)
    seen = np.zeros((seen_particle.size, 3, n_pixels), np.float32)
    active = np.empty(n_children, np.int64)
    matrices = np.empty((n_children, 3, 3), np.float32)
    slices = np.empty((n_children, 2 * _LONG_BLOCK), np.float32)  # of a block of pixels
    memory = slice_memory()
    image = np.empty((2, n_pixels), np.float32)
    ramps = np.empty(2 * CHILDREN * _LONG_BLOCK, np.float32)
    last = np.empty(2 * CHILDREN * LANES, np.float32)
    for g in range(n_groups):
        n_active = 0
        for c in range(n_children):
            if slot[g, c] >= 0:
                active[n_active] = c
                copy_matrix(rotations[g, c], matrices[n_active])
                n_active += 1
        particle, first, total, term, weight = _terms_of_group(
            group_first[g], group_first[g + 1], active[:n_active], sorted_particle, sorted_offset,
            sorted_pair, weights, n_pixels,
        )  # fmt: skip
        block = _BLOCK if particle.size >= _MANY else _LONG_BLOCK
        for lo in range(0, n_pixels, block):
            hi = min(lo + block, n_pixels)
            extract_block(
                volume, matrices[:n_active], pixel_x[lo:hi], pixel_y[lo:hi], slices, _LONG_BLOCK,
                memory,
            )  # fmt: skip
            for r in range(particle.size):
                p = particle[r]
                num = numerator[p]
                re = unmasked[p, 0]
                im = unmasked[p, 1]
                for j in range(lo, hi):
                    image[0, j] = num[j] * re[j]
                    image[1, j] = num[j] * im[j]
                for a in range(0, n_active, CHILDREN):
                    _add_image(
                        cosines, sines, term, weight, first[r], first[r + 1], total[r], image,
                        denominator, p, slices, combined, slot[g], active[:n_active], a, seen,
                        place[p], ramps, last, lo, hi, r == 0,
                    )  # fmt: skip
        for r in range(particle.size):
            sums[particle[r], 3] += total[r].sum()
    for s in range(seen_particle.size):
        p = seen_particle[s]
        strong = is_strong[p if is_strong.shape[0] > 1 else 0]
        _compare(
            masked[p], transfer[p], seen[s], strong, residual_by_pixel[noise_group[p]], sums[p]
        )


@njit(nogil=True, cache=True, forceinline=True)
def _places(particles, sums):
    """Rows of the particles that occur, -1 for others, and the particle of each row."""
    place = np.full(sums.shape[0], -1, np.int64)
    n = 0
    for p in particles:
        if place[p] < 0:
            place[p] = n
            n += 1
    listed = np.empty(n, np.int64)
    for p in range(place.size):
        if place[p] >= 0:
            listed[place[p]] = p
    return place, listed


@njit(nogil=True, cache=True, forceinline=True)
def _terms_of_group(
    begin, end, active, sorted_particle, sorted_offset, sorted_pair, weights, n_pixels
):
    """List the offsets of one orientation that have weight, particle by particle.

    Returns
    -------
    particle : int64, shape (n_particles,)
    first : int64, shape (n_particles + 1,)
        Terms of each particle.
    total : float32, shape (n_particles, n_active)
    term : int64, shape (n_terms,)
        Where the phase ramp of the offset begins.
    weight : float32, shape (n_terms, n_active filled up to whole `CHILDREN`)
    """
    n_child_offsets = weights.shape[1]
    n_active = active.size
    particle = np.empty(end - begin, np.int64)
    first = np.empty(end - begin + 1, np.int64)
    total = np.zeros((end - begin, n_active), np.float32)
    most = (end - begin) * n_child_offsets
    term = np.empty(most, np.int64)
    weight = np.zeros((most, -(-n_active // CHILDREN) * CHILDREN), np.float32)
    n = 0
    r = 0
    for i in range(begin, end):
        if i == begin or sorted_particle[i] != particle[r - 1]:
            particle[r] = sorted_particle[i]
            first[r] = n
            r += 1
        for k in range(n_child_offsets):
            own = weights[sorted_pair[i], k]
            is_used = False
            for a in range(n_active):
                w = own[active[a]]
                weight[n, a] = w
                total[r - 1, a] += w
                is_used |= w > 0
            term[n] = (sorted_offset[i] + k) * n_pixels
            n += is_used
    first[r] = n
    return particle[:r], first[: r + 1], total[:r], term[:n], weight[:n]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True)
def _add_image(
    cosines, sines, term, weight, begin, end, total, image, denominator, p, slices, combined,
    slot, active, start, seen, place, ramps, last, lo, hi, is_first,
):  # fmt: skip
    """Add one particle to the active children from `start` on, at the pixels lo to hi.

    The first particle of an orientation overwrites what is in `combined`.
    """
    n_pixels = image.shape[1]
    n = (hi - lo) // LANES * LANES
    whole = lo + n
    flat_cosines = cosines.reshape(-1)
    flat_sines = sines.reshape(-1)
    flat_weight = weight.reshape(-1)
    flat_image = image.reshape(-1)
    flat_denominator = denominator.reshape(-1)
    flat_slices = slices.reshape(-1)
    flat_combined = combined.reshape(-1)
    flat_seen = seen.reshape(-1)
    in_seen = 3 * n_pixels * place
    stride = weight.shape[1]
    sum_ramps(
        flat_cosines, flat_sines, term, begin, end, flat_weight, start, stride, ramps, lo, whole
    )
    tail = 0  # first pixel of the vector that holds the last ones
    if whole < hi and hi >= LANES:
        tail = hi - LANES
        sum_ramps(
            flat_cosines, flat_sines, term, begin, end, flat_weight, start, stride, last, tail, hi
        )
    elif whole < hi:
        _sum_few(cosines, sines, term, begin, end, weight, start, last, hi)
    for c in range(min(CHILDREN, active.size - start)):
        a = start + c
        in_sums = 3 * n_pixels * slot[active[a]]
        if is_first and (total[a] == 0 or whole < hi):
            combined[slot[active[a]], :, lo if total[a] == 0 else whole : hi] = np.float32(0.0)
        if total[a] == 0:
            continue
        add_image(
            ramps[c * n :], ramps[(CHILDREN + c) * n :], flat_image, flat_denominator,
            p * n_pixels, flat_slices, 2 * a * _LONG_BLOCK, _LONG_BLOCK, flat_combined, in_sums,
            flat_seen, in_seen, total[a], n_pixels, lo, whole, is_first,
        )  # fmt: skip
        for j in range(whole, hi):
            re = last[c * LANES + j - tail]
            im = last[(CHILDREN + c) * LANES + j - tail]
            flat_combined[in_sums + j] += image[0, j] * re - image[1, j] * im
            flat_combined[in_sums + n_pixels + j] += image[0, j] * im + image[1, j] * re
            flat_combined[in_sums + 2 * n_pixels + j] += total[a] * denominator[p, j]
            slice_re = slices[a, j - lo]
            slice_im = slices[a, _LONG_BLOCK + j - lo]
            flat_seen[in_seen + j] += re * slice_re + im * slice_im
            flat_seen[in_seen + n_pixels + j] += re * slice_im - im * slice_re
            power = slice_re * slice_re + slice_im * slice_im
            flat_seen[in_seen + 2 * n_pixels + j] += total[a] * power


@njit(nogil=True, cache=True, forceinline=True)
def _sum_few(cosines, sines, term, begin, end, weight, start, out, n):
    """Do what `sum_ramps` does for fewer pixels than a vector has."""
    out[:] = np.float32(0.0)
    for k in range(begin, end):
        for c in range(CHILDREN):
            for j in range(n):
                w = weight[k, start + c]
                out[c * LANES + j] += w * cosines.reshape(-1)[term[k] + j]
                out[(CHILDREN + c) * LANES + j] += w * sines.reshape(-1)[term[k] + j]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True)
def _compare(image, ctf, seen, strong, by_pixel, sums):
    """Add up what an image and the slices that it saw have in common."""
    residual = np.float32(0.0)
    strong_cross = np.float32(0.0)
    strong_power = np.float32(0.0)
    for j in range(ctf.size):
        cross = ctf[j] * (image[0, j] * seen[0, j] + image[1, j] * seen[1, j])
        power = ctf[j] * ctf[j] * seen[2, j]
        difference = power - np.float32(2.0) * cross
        residual += difference
        strong_cross += strong[j] * cross
        strong_power += strong[j] * power
        by_pixel[j] += difference
    sums[0] += residual
    sums[1] += strong_cross
    sums[2] += strong_power
