"""Weighted sums of the expectation step: combined images per orientation and statistics."""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.slices import extract_slices

__all__ = ["combine_images"]


@njit(nogil=True, cache=True, fastmath=True)
def combine_images(
    volume,
    rotations,
    pixel_x,
    pixel_y,
    shell_first,
    group_first,
    pair_particle,
    pair_offset,
    pair_output,
    weights,
    masked,
    unmasked,
    transfer,
    numerator,
    denominator,
    cosines,
    sines,
    slot,
    combined,
    cross_by_shell,
    power_by_shell,
    total_weight,
):
    """Sum the images of a batch per orientation and compare them with the reference.

    For orientation o, particle p and its significant offsets t with weights w, the phase ramps
    are summed first, m = sum_t w exp(i phase_t); then the combined masked image X m enters the
    statistics and the combined unmasked image the back-projection (spec 4.1).

    Parameters
    ----------
    volume, rotations (n_orientations, n_children, 3, 3), pixel_x, pixel_y
        As in `aurefine.kernels.scoring.fine_scores`.
    shell_first : int64, shape (n_shells + 1,)
        Pixels of shell s are ``shell_first[s]`` to ``shell_first[s + 1]``.
    group_first, pair_particle, pair_offset, pair_output
        Pairs sorted by orientation, then particle; `pair_offset` is the first fine offset.
    weights : float32, shape (n_pairs, n_child_offsets, n_children)
        Normalised weights, 0 where not significant; indexed by `pair_output`.
    masked, unmasked : float32, shape (n_particles, 2, n_pixels)
    transfer : float32, shape (n_particles, n_pixels)
        Intensity scale times CTF: what multiplies a slice.
    numerator, denominator : float32, shape (n_particles, n_pixels)
        What multiplies the unmasked image and the weight in the back-projection.
    cosines, sines : float32, shape (n_offsets, n_pixels)
    slot : int64, shape (n_orientations, n_children)
        Row of `combined` of each orientation, negative if it has no weight.
    combined : float32, shape (n_slots, 3, n_pixels)
        Set to the sums: real part, imaginary part, weight.
    cross_by_shell, power_by_shell : float64, shape (n_particles, n_shells)
        Sums of w Re(conj(X) M) and of w |M|^2 per shell; added to.
    total_weight : float64, shape (n_particles,)
        Sum of the weights of each particle; added to.
    """
    n_children = rotations.shape[1]
    n_child_offsets = weights.shape[1]
    n_pixels = pixel_x.size
    n_shells = shell_first.size - 1
    phase_re = np.empty(n_pixels, np.float32)
    phase_im = np.empty(n_pixels, np.float32)
    slices = np.empty((1, 2 * n_pixels), np.float32)
    for g in range(group_first.size - 1):
        for c in range(n_children):
            row = slot[g, c]
            if row < 0:
                continue
            extract_slices(volume, rotations[g, c : c + 1], pixel_x, pixel_y, slices)
            ref_re = slices[0, :n_pixels]
            ref_im = slices[0, n_pixels:]
            sum_re = combined[row, 0]
            sum_im = combined[row, 1]
            sum_we = combined[row, 2]
            sum_re[:] = np.float32(0.0)
            sum_im[:] = np.float32(0.0)
            sum_we[:] = np.float32(0.0)
            i = group_first[g]
            end = group_first[g + 1]
            while i < end:
                p = pair_particle[i]
                total = np.float32(0.0)
                n_terms = 0
                while i < end and pair_particle[i] == p:
                    for k in range(n_child_offsets):
                        w = weights[pair_output[i], k, c]
                        if w > 0:
                            cos_t = cosines[pair_offset[i] + k]
                            sin_t = sines[pair_offset[i] + k]
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
                total_weight[p] += total
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
                cross_row = cross_by_shell[p]
                power_row = power_by_shell[p]
                for s in range(n_shells):
                    lo = shell_first[s]
                    hi = shell_first[s + 1]
                    x_re = image_re[lo:hi]
                    x_im = image_im[lo:hi]
                    m_re = ref_re[lo:hi]
                    m_im = ref_im[lo:hi]
                    f_re = phase_re[lo:hi]
                    f_im = phase_im[lo:hi]
                    t = ctf[lo:hi]
                    cross = np.float32(0.0)
                    power = np.float32(0.0)
                    for j in range(hi - lo):
                        y_re = x_re[j] * f_re[j] - x_im[j] * f_im[j]
                        y_im = x_re[j] * f_im[j] + x_im[j] * f_re[j]
                        cross += t[j] * (y_re * m_re[j] + y_im * m_im[j])
                        power += t[j] * t[j] * (m_re[j] * m_re[j] + m_im[j] * m_im[j])
                    cross_row[s] += cross
                    power_row[s] += total * power
