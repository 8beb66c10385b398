"""Weighted sums of the expectation step: combined images per orientation and statistics."""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.slices import extract_slices

__all__ = ["children_with_weight", "combine_images"]


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
    are summed first, m = sum_t w exp(i phase_t); then the combined masked image X m enters the
    statistics and the combined unmasked image the back-projection (spec 4.1).

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
    n_child_offsets = weights.shape[1]
    n_pixels = pixel_x.size
    phase_re = np.empty(n_pixels, np.float32)
    phase_im = np.empty(n_pixels, np.float32)
    slices = np.empty((n_children, 2 * n_pixels), np.float32)
    active = np.empty(n_children, np.int64)
    matrices = np.empty((n_children, 3, 3), np.float32)
    for g in range(group_first.size - 1):
        n_active = 0
        for c in range(n_children):
            if slot[g, c] >= 0:
                active[n_active] = c
                matrices[n_active] = rotations[g, c]
                n_active += 1
        extract_slices(volume, matrices[:n_active], pixel_x, pixel_y, slices)
        for a in range(n_active):
            c = active[a]
            row = slot[g, c]
            ref_re = slices[a, :n_pixels]
            ref_im = slices[a, n_pixels:]
            sum_re = combined[row, 0]
            sum_im = combined[row, 1]
            sum_we = combined[row, 2]
            sum_re[:] = np.float32(0.0)
            sum_im[:] = np.float32(0.0)
            sum_we[:] = np.float32(0.0)
            i = group_first[g]
            end = group_first[g + 1]
            while i < end:
                p = sorted_particle[i]
                total = np.float32(0.0)
                n_terms = 0
                while i < end and sorted_particle[i] == p:
                    own = weights[sorted_pair[i]]
                    k = 0
                    while k < n_child_offsets:
                        if n_terms > 0 and k + 4 <= n_child_offsets:
                            w0 = own[k, c]
                            w1 = own[k + 1, c]
                            w2 = own[k + 2, c]
                            w3 = own[k + 3, c]
                            n_more = (w0 > 0) + (w1 > 0) + (w2 > 0) + (w3 > 0)
                            if n_more > 1:  # cheaper together
                                t = sorted_offset[i] + k
                                c0 = cosines[t]
                                c1 = cosines[t + 1]
                                c2 = cosines[t + 2]
                                c3 = cosines[t + 3]
                                for j in range(n_pixels):
                                    phase_re[j] += w0 * c0[j] + w1 * c1[j] + w2 * c2[j] + w3 * c3[j]
                                s0 = sines[t]
                                s1 = sines[t + 1]
                                s2 = sines[t + 2]
                                s3 = sines[t + 3]
                                for j in range(n_pixels):
                                    phase_im[j] += w0 * s0[j] + w1 * s1[j] + w2 * s2[j] + w3 * s3[j]
                                n_terms += n_more
                                total += w0 + w1 + w2 + w3
                                k += 4
                                continue
                        w = own[k, c]
                        k += 1
                        if w > 0:
                            cos_t = cosines[sorted_offset[i] + k - 1]
                            sin_t = sines[sorted_offset[i] + k - 1]
                            if n_terms == 0:
                                for j in range(n_pixels):
                                    phase_re[j] = w * cos_t[j]
                                    phase_im[j] = w * sin_t[j]
                            else:
                                for j in range(n_pixels):
                                    phase_re[j] += w * cos_t[j]
                                    phase_im[j] += w * sin_t[j]
                            n_terms += 1
                            total += w
                    i += 1
                if n_terms == 0:
                    continue
                image_re = unmasked[p, 0]
                image_im = unmasked[p, 1]
                num = numerator[p]
                den = denominator[p]
                for j in range(n_pixels):
                    a = num[j] * image_re[j]
                    b = num[j] * image_im[j]
                    sum_re[j] += a * phase_re[j] - b * phase_im[j]
                    sum_im[j] += a * phase_im[j] + b * phase_re[j]
                    sum_we[j] += total * den[j]
                image_re = masked[p, 0]
                image_im = masked[p, 1]
                ctf = transfer[p]
                by_pixel = residual_by_pixel[noise_group[p]]
                strong = is_strong[p if is_strong.shape[0] > 1 else 0]
                residual = np.float32(0.0)
                strong_cross = np.float32(0.0)
                strong_power = np.float32(0.0)
                for j in range(n_pixels):
                    y_re = image_re[j] * phase_re[j] - image_im[j] * phase_im[j]
                    y_im = image_re[j] * phase_im[j] + image_im[j] * phase_re[j]
                    cross = ctf[j] * (y_re * ref_re[j] + y_im * ref_im[j])
                    power = ref_re[j] * ref_re[j] + ref_im[j] * ref_im[j]
                    power *= total * ctf[j] * ctf[j]
                    difference = power - np.float32(2.0) * cross
                    residual += difference
                    strong_cross += strong[j] * cross
                    strong_power += strong[j] * power
                    by_pixel[j] += difference
                sums[p, 0] += residual
                sums[p, 1] += strong_cross
                sums[p, 2] += strong_power
                sums[p, 3] += total
