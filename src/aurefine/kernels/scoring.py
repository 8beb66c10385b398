"""Scores of orientations and offsets as dot products of planar rows (spec 3.7).

The squared difference of a shifted image X and a CTF-modulated slice C A, weighted by 1/sigma2,
splits into a constant, a cross term <X C / sigma2, A> and a norm term <C^2 / sigma2, |A|^2>.
Rows hold real parts, then imaginary parts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aurefine.kernels.pairs import sort_pairs
from aurefine.kernels.products import COLUMNS, add_products
from aurefine.kernels.slices import extract_block, slice_memory
from aurefine.kernels.vectors import LANES

__all__ = [
    "fine_scores",
    "finish_coarse_scores",
    "norm_products",
    "shifted_rows",
    "slice_norms",
]


@njit(nogil=True, cache=True, fastmath=True)
def shifted_rows(images, multipliers, cosines, sines, particle, offset, out):
    """Multiply images by a real weight and shift them by phase ramps.

    Parameters
    ----------
    images : float32, shape (n_particles, 2, n_pixels)
        Real and imaginary parts.
    multipliers : float32, shape (n_particles, n_pixels)
    cosines, sines : float32, shape (n_offsets, n_pixels)
        Of the phase that each offset adds.
    particle, offset : int32, shape (n_rows,)
        Which image and offset each row is made from.
    out : float32, shape (n_rows, 2 * n_pixels)
    """
    n = images.shape[2]
    for i in range(particle.size):
        re = images[particle[i], 0]
        im = images[particle[i], 1]
        m = multipliers[particle[i]]
        c = cosines[offset[i]]
        s = sines[offset[i]]
        row_re = out[i, :n]
        row_im = out[i, n:]
        for j in range(n):
            a = re[j] * m[j]
            b = im[j] * m[j]
            row_re[j] = a * c[j] - b * s[j]
            row_im[j] = a * s[j] + b * c[j]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True)
def slice_norms(slices, out):
    """Write |A|^2 of planar slices (n, 2 * n_pixels) to `out` (n, n_pixels)."""
    n = out.shape[1]
    for i in range(out.shape[0]):
        re = slices[i, :n]
        im = slices[i, n:]
        row = out[i]
        for j in range(n):
            row[j] = re[j] * re[j] + im[j] * im[j]


_TILE_FLOATS = 1 << 16  # of the slices that are scored together; a quarter of the level-2 cache
_PIXELS = 512  # of a slice in one pass, so that eight slices stay in the level-1 cache


@njit(nogil=True, cache=True, forceinline=True, fastmath=True)
def _multiply(rows, first_row, n_rows, column, row_jump, slices, first, n_slices, n, out, row):
    """Add products of rows with slices to out[row], over n pixels from `column` of the rows on.

    Slices have zeros behind these pixels, up to a whole vector.
    """
    stride = slices.shape[1]
    jump = stride // 2
    width = rows.shape[1]
    whole = 0
    if n_slices % COLUMNS == 0 and n_rows % 2 == 0:
        whole = min(-(-n // LANES), (width - row_jump - column) // LANES) * LANES
        for s in range(0, n_slices, COLUMNS):
            for r in range(0, n_rows, 2):
                add_products(
                    rows,
                    (first_row + r) * width + column,
                    width,
                    row_jump,
                    slices,
                    (first + s) * stride,
                    stride,
                    jump,
                    whole,
                    out,
                    (row * n_rows + r) * n_slices + s,
                    n_slices,
                )
    if whole >= n:
        return
    for r in range(n_rows):
        a = rows[first_row + r]
        for s in range(n_slices):
            b = slices[first + s]
            total = np.float32(0.0)
            for k in range(whole, n):
                total += a[column + k] * b[k]
                total += a[row_jump + column + k] * b[jump + k]
            out[row, r, s] += total


@njit(nogil=True, cache=True, forceinline=True)
def _by_row(pair_row):
    """Order of pairs by the shifted images that they take."""
    if pair_row.size == 0:
        return np.empty(0, np.int64)
    lowest = largest = pair_row[0]
    for row in pair_row:
        lowest = min(lowest, row)
        largest = max(largest, row)
    return sort_pairs(pair_row - lowest, largest - lowest + 1)[1]


@njit(nogil=True, cache=True, forceinline=True, fastmath=True)
def norm_products(weight, powers, out):
    """Write the products of one row of weights with the powers of some slices."""
    for c in range(powers.shape[0]):
        power = powers[c]
        total = np.float32(0.0)
        for j in range(weight.size):
            total += weight[j] * power[j]
        out[c] = total


@njit(nogil=True, cache=True, fastmath=True)
def fine_scores(
    volume,
    rotations,
    pixel_x,
    pixel_y,
    group_first,
    pair_particle,
    pair_row,
    pair_output,
    rows,
    norm_weights,
    n_child_offsets,
    cross,
    norms,
):
    """Score all children of significant (orientation, offset) pairs.

    Pairs are sorted by orientation, so that the child slices of an orientation are extracted once
    for all particles of the batch.

    Parameters
    ----------
    volume, pixel_x, pixel_y
        See `extract_slices`.
    rotations : float32, shape (n_orientations, n_children, 3, 3)
    group_first : int64, shape (n_orientations + 1,)
        Pairs of each orientation.
    pair_particle, pair_row, pair_output : int64, shape (n_pairs,)
        Particle within the batch, first row of the pair's shifted images, row of the outputs.
    rows : float32, shape (n_rows, 2 * n_pixels or more)
        Shifted images times CTF / sigma2 (`shifted_rows`); further columns are zero, and best
        make the columns from n_pixels on a multiple of `LANES`.
    norm_weights : float32, shape (n_particles, n_pixels)
        CTF^2 / sigma2.
    n_child_offsets : int
    cross : float32, shape (n_pairs, n_child_offsets, n_children)
        Overwritten by the cross terms.
    norms : float32, shape (n_pairs, n_children)
        Overwritten by the norm terms.
    """
    n_groups, n_children = rotations.shape[:2]
    n_pixels = pixel_x.size
    most = min(-(-n_pixels // LANES) * LANES, _PIXELS)
    tile = max(min(_TILE_FLOATS // (2 * most * n_children), n_groups), 1)
    slices = np.empty((tile * n_children, 2 * most), np.float32)
    powers = np.empty((tile, n_children, most), np.float32)
    memory = slice_memory()
    norm = np.empty((tile, n_children), np.float32)
    group = np.empty(group_first[n_groups] - group_first[0], np.int64)
    for g in range(n_groups):
        group[group_first[g] - group_first[0] : group_first[g + 1] - group_first[0]] = g
    for start in range(0, n_groups, tile):
        stop = min(start + tile, n_groups)
        lo = group_first[start]
        order = lo + _by_row(pair_row[lo : group_first[stop]])
        for i in order:
            cross[pair_output[i]] = np.float32(0.0)
            norms[pair_output[i]] = np.float32(0.0)
        # blocks of pixels outside: slices and shifted images stay in the cache
        for k in range(0, n_pixels, _PIXELS):
            n = min(_PIXELS, n_pixels - k)
            for g in range(stop - start):
                part = slices[g * n_children : (g + 1) * n_children]
                extract_block(
                    volume, rotations[start + g], pixel_x[k : k + n], pixel_y[k : k + n], part,
                    most, memory,
                )  # fmt: skip
                _fill_up(part, n)
                slice_norms(part, powers[g])
            normed = np.full(tile, -1, np.int64)
            # images outside, orientations inside
            for i in order:
                g = group[i - group_first[0]] - start
                p = pair_particle[i]
                if p != normed[g]:
                    norm_products(norm_weights[p, k : k + n], powers[g], norm[g])
                    normed[g] = p
                q = pair_output[i]
                for c in range(n_children):
                    norms[q, c] += norm[g, c]
                _multiply(
                    rows, pair_row[i], n_child_offsets, k, n_pixels, slices, g * n_children,
                    n_children, n, cross, q,
                )  # fmt: skip


@njit(nogil=True, cache=True, forceinline=True)
def _fill_up(slices, n):
    """Put zeros behind n pixels of real and of imaginary parts, up to a whole vector."""
    jump = slices.shape[1] // 2
    for c in range(slices.shape[0]):
        for j in range(n, -(-n // LANES) * LANES):
            slices[c, j] = np.float32(0.0)
            slices[c, jump + j] = np.float32(0.0)


@njit(nogil=True, cache=True, fastmath=True)
def finish_coarse_scores(scores, norms, log_prior, offset_priors, use_correlation):
    """Turn products into log weights, or into correlations, in place.

    Parameters
    ----------
    scores : float32, shape (n_particles, n_offsets, n_orientations)
    norms : float32, shape (n_particles, n_orientations)
        Norm terms; overwritten.
    log_prior : float32, shape (n_orientations,)
    offset_priors : float32, shape (n_particles, n_offsets)
    use_correlation : bool
        Divide by the root of the norm instead, without priors.
    """
    for p in range(scores.shape[0]):
        norm = norms[p]
        for o in range(norm.size):
            if use_correlation:
                norm[o] = 1 / np.sqrt(norm[o]) if norm[o] > 0 else np.float32(0.0)
            else:
                norm[o] = log_prior[o] - np.float32(0.5) * norm[o]
        for t in range(scores.shape[1]):
            row = scores[p, t]
            prior = offset_priors[p, t]
            if use_correlation:
                for o in range(norm.size):
                    row[o] *= norm[o]
            else:
                for o in range(norm.size):
                    row[o] += norm[o] + prior
