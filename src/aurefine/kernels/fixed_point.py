"""Insertion of slices into sums that do not depend on the order of additions (spec 4.1).

Sums are 32-bit integers of shape (edge, edge, (edge + 1) // 2, 3): real part, imaginary part and
weight of each voxel, times a power of two that depends on the voxel's distance from the origin.
A contribution is scaled, rounded to the nearest integer and added.  Integer addition is exact,
so that any order, and any cut of the work into threads or processes, gives the same bits.

A sum that leaves the range of 32 bits is no error: the addition that would wrap is made with 64
bits, the low word is kept, and what is left over, a multiple of 2^32, is returned as a carry.
A voxel's value is its word plus 2^32 times the sum of its carries, always exact.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from aurefine.kernels.additions import AHEAD, BLOCK, add_sample, add_zoned_sample
from aurefine.kernels.slices import voxel_index

__all__ = ["APART", "add_words", "insert_slices", "words_to_floats"]

APART = 5.0  # voxels: words that samples this far apart read and write are not the same ones
_PLAIN = 1  # samples whose vectors do not leave the row of voxels
_EASY = 2  # of these, those that need no care
_REACH = math.sqrt(3.0) + 1e-3  # distance of a voxel from the samples that it takes part in
_IMPOSSIBLE = np.float32(2.0**62)
_LARGEST = np.float32(2.0**30)  # integers that the fast addition takes


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _zone(limits, radius2):
    zone = 0
    while zone < limits.size and radius2 >= limits[zone]:
        zone += 1
    return zone


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _add_carefully(words, edge, voxel, weights, j, value, scales, index, carry):
    """Add a sample to the voxels around it, each with its own scale.

    Weights and values are multiplied in the order of `add_sample`.  Carries are written to the
    front of `index` and `carry`, which take 24; returns their number.
    """
    limits, data_scale, weight_scale = scales
    n_x = (edge + 1) // 2
    centre = edge // 2
    z0 = voxel // (n_x * edge) - centre
    y0 = (voxel // n_x) % edge - centre
    x0 = voxel % n_x
    n = 0
    for row in range(4):
        dz = row // 2
        dy = row % 2
        for dx in range(2):
            share = weights[4, j] if dx == 1 else np.float32(1.0) - weights[4, j]
            if share * weights[row, j] == 0:
                continue
            x = x0 + dx
            y = y0 + dy
            z = z0 + dz
            zone = _zone(limits, float(x * x + y * y + z * z))
            k = 3 * (voxel + n_x * (edge * dz + dy) + dx)
            for c in range(3):
                scale = weight_scale[zone] if c == 2 else data_scale[zone]
                term = np.rint(value[c] * scale * share * weights[row, j])
                if not abs(term) < _IMPOSSIBLE:
                    raise OverflowError("a back-projected image is not finite or far too large")
                total = np.int64(words[k + c]) + np.int64(term)
                low = np.int32(total)
                words[k + c] = low
                if low != total:
                    index[n] = k + c
                    carry[n] = (total - low) >> 32
                    n += 1
    return n


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _find_zones(block_x, block_y, scales, zones):
    """Find the zones that each sample has a part in, whatever the rotation.

    `zones` has rows of numbers per sample: scales of data and weight in the inner zone; 1 if all
    eight voxels are in it; the squared radius where the next one begins if there may be two, else
    -1; ratios of the scales of the two.
    """
    limits, data_scale, weight_scale = scales
    for j in range(block_x.size):
        r = math.hypot(block_x[j], block_y[j])
        zone = _zone(limits, max(r - _REACH, 0.0) ** 2)
        n_more = _zone(limits, (r + _REACH) ** 2) - zone
        zones[0, j] = data_scale[zone]
        zones[1, j] = weight_scale[zone]
        zones[2, j] = n_more == 0
        zones[3, j] = -1.0
        if n_more == 1:
            zones[3, j] = limits[zone]
            zones[4, j] = data_scale[zone + 1] / data_scale[zone]
            zones[5, j] = weight_scale[zone + 1] / weight_scale[zone]


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _add_between_zones(words, edge, voxel, values, weights, zones, kind, left, n):
    """Add those of `n` samples that lie between two zones; list the others, return their number."""
    n_x = (edge + 1) // 2
    offset = np.float32(edge // 2)
    n_left = 0
    for q in range(n):
        j = np.int64(left[q])
        if kind[j] == _PLAIN and zones[3, j] > 0:
            size = abs(values[4 * j]) + abs(values[4 * j + 1])
            size *= max(zones[4, j], np.float32(1.0))
            size += max(zones[5, j], np.float32(1.0)) * abs(values[4 * j + 2])
            line = np.int64(voxel[j]) // n_x
            if size < _LARGEST and not add_zoned_sample(
                words,
                voxel,
                3 * n_x,
                3 * n_x * edge,
                values,
                weights,
                j,
                np.float32(np.int64(voxel[j]) % n_x),
                np.float32(line % edge) - offset,
                np.float32(line // edge) - offset,
                zones[3, j],
                zones[4, j],
                zones[5, j],
            ):
                continue
        left[n_left] = j
        n_left += 1
    return n_left


@njit(nogil=True, cache=True, error_model="numpy")
def insert_slices(volume, scales, rotations, pixel_x, pixel_y, slices, first_pixel, last_pixel):
    """Add slices to the sums by the transpose of trilinear interpolation.

    Only the pixels ``first_pixel`` to ``last_pixel`` are added.  They touch words up to a distance
    of `APART` / 2 voxels, so that threads can work on ranges of pixels whose radii are `APART`
    apart.

    Parameters
    ----------
    volume : (int32 flat, int edge)
        Sums (real, imaginary, weight) of shape (edge, edge, (edge + 1) // 2, 3), the edge being 7
        or more.
    scales : (float32 (n_zones - 1,), float32 (n_zones,), float32 (n_zones,))
        Squared radii [voxels] where the next zone begins, and in each zone the powers of two
        that multiply data and weights.
    rotations : float32, shape (n_slices, 3, 3)
    pixel_x, pixel_y : float32, shape (n_pixels,)
        Padded coordinates inside the volume's radius.
    slices : float32, shape (n_slices, 3, n_pixels)
        Real part, imaginary part and weight of each pixel.
    first_pixel, last_pixel : int

    Returns
    -------
    index, carry : int64, shape (n_carries,)
        Positions in `volume`, possibly repeated, and the multiples of 2^32 to add to them.

    Raises
    ------
    OverflowError
        If a value is not finite, or so large that it would not fit 64 bits.
    """
    words, edge = volume
    n_x = (edge + 1) // 2
    step_y = 3 * n_x
    step_z = 3 * n_x * edge
    offset = np.float32(edge // 2)
    last_x = np.int32(n_x - 3)  # from which on the vector of a row has room in it
    voxel = np.zeros(BLOCK + AHEAD, np.uint32)
    sign = np.empty(BLOCK, np.float32)
    zones = np.empty((6, BLOCK), np.float32)
    scale_d = zones[0]
    scale_w = zones[1]
    is_inside = zones[2]
    kind = np.empty(BLOCK, np.int32)
    easy = np.empty(BLOCK, np.int32)
    left = np.empty(BLOCK, np.int32)  # samples that need care
    values = np.empty(4 * BLOCK, np.float32)
    weights = np.empty((5, BLOCK), np.float32)
    w00 = weights[0]
    w01 = weights[1]
    w10 = weights[2]
    w11 = weights[3]
    far_x = weights[4]
    index = np.empty(64, np.int64)
    carry = np.empty(64, np.int64)
    n_carries = 0
    for start in range(first_pixel, last_pixel, BLOCK):
        n = min(BLOCK, last_pixel - start)
        block_x = pixel_x[start : start + n]
        block_y = pixel_y[start : start + n]
        _find_zones(block_x, block_y, scales, zones)
        for i in range(rotations.shape[0]):
            a00 = rotations[i, 0, 0]
            a01 = rotations[i, 0, 1]
            a02 = rotations[i, 0, 2]
            a10 = rotations[i, 1, 0]
            a11 = rotations[i, 1, 1]
            a12 = rotations[i, 1, 2]
            real = slices[i, 0, start : start + n]
            imag = slices[i, 1, start : start + n]
            weight = slices[i, 2, start : start + n]
            for j in range(n):
                u = block_x[j]
                v = block_y[j]
                x = u * a00 + v * a10
                y = u * a01 + v * a11
                z = u * a02 + v * a12
                s = np.float32(1.0) if x >= np.float32(0.0) else np.float32(-1.0)
                x = x * s
                y = y * s + offset
                z = z * s + offset
                ix = np.int32(x)
                iy = np.int32(y)
                iz = np.int32(z)
                fx = x - np.float32(ix)
                fy = y - np.float32(iy)
                fz = z - np.float32(iz)
                gy = np.float32(1.0) - fy
                gz = np.float32(1.0) - fz
                far_x[j] = fx
                w00[j] = gy * gz
                w01[j] = fy * gz
                w10[j] = gy * fz
                w11[j] = fy * fz
                sign[j] = s
                re = real[j] * scale_d[j]
                im = imag[j] * s * scale_d[j]
                we = weight[j] * scale_w[j]
                values[4 * j] = re
                values[4 * j + 1] = im
                values[4 * j + 2] = we
                values[4 * j + 3] = np.float32(0.0)
                voxel[j] = voxel_index(ix, iy, iz, np.int32(edge), np.int32(n_x))
                is_small = abs(re) + abs(im) + abs(we) < _LARGEST
                is_easy = np.int32(is_inside[j] > np.float32(0.0)) & np.int32(is_small)
                kind[j] = np.int32(ix <= last_x) * (np.int32(_PLAIN) + is_easy)
            n_easy = np.int32(0)
            for j in range(n):
                n_easy += np.int32(kind[j] == np.int32(_EASY))
            n_left = 0
            if n_easy < n:
                found = 0
                for j in range(n):
                    easy[found] = j
                    left[j - found] = j
                    found += kind[j] == _EASY
                n_left = _add_between_zones(
                    words, edge, voxel, values, weights, zones, kind, left, n - n_easy
                )
            for q in range(n_easy):
                j = np.int64(easy[q]) if n_easy < n else q
                if add_sample(words, voxel, step_y, step_z, values, weights, j):
                    left[n_left] = j
                    n_left += 1
            for q in range(n_left):
                j = np.int64(left[q])
                if n_carries + 24 > index.size:
                    index = np.concatenate((index, np.empty_like(index)))
                    carry = np.concatenate((carry, np.empty_like(carry)))
                n_carries += _add_carefully(
                    words,
                    edge,
                    np.int64(voxel[j]),
                    weights,
                    j,
                    (real[j], imag[j] * sign[j], weight[j]),
                    scales,
                    index[n_carries:],
                    carry[n_carries:],
                )
    return index[:n_carries].copy(), carry[:n_carries].copy()


@njit(nogil=True, cache=True, error_model="numpy")
def add_words(words, more):
    """Add sums to others in place.

    Parameters
    ----------
    words, more : int32, shape (n,)

    Returns
    -------
    index, carry : int64, shape (n_carries,)
        See `insert_slices`; positions are ascending.
    """
    index = np.empty(64, np.int64)
    carry = np.empty(64, np.int64)
    n_carries = 0
    for start in range(0, words.size, BLOCK):
        own = words[start : start + BLOCK]
        other = more[start : start + BLOCK]
        wraps = np.int32(0)
        for i in range(own.size):
            low = np.int32(own[i] + other[i])
            wraps |= (own[i] ^ low) & (other[i] ^ low)
        if wraps >= 0:
            for i in range(own.size):
                own[i] += other[i]
            continue
        if n_carries + BLOCK > index.size:
            index = np.concatenate((index, np.empty(index.size + BLOCK, np.int64)))
            carry = np.concatenate((carry, np.empty(carry.size + BLOCK, np.int64)))
        for i in range(own.size):
            total = np.int64(own[i]) + np.int64(other[i])
            own[i] = np.int32(total)
            if own[i] != total:
                index[n_carries] = start + i
                carry[n_carries] = (total - own[i]) >> 32
                n_carries += 1
    return index[:n_carries].copy(), carry[:n_carries].copy()


@njit(nogil=True, cache=True, error_model="numpy")
def words_to_floats(words, scales, first_plane, last_plane, out):
    """Divide sums by their scales; `out` may be the memory of `words`.

    Parameters
    ----------
    words : int32, shape (edge, edge, (edge + 1) // 2, 3)
    scales
        See `insert_slices`.
    first_plane, last_plane : int
        Planes to convert.
    out : float32, shape like `words`
    """
    limits, data_scale, weight_scale = scales
    edge = words.shape[0]
    centre = edge // 2
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(edge):
            y = iy - centre
            zone = _zone(limits, float(y * y + z * z))
            for x in range(words.shape[2]):
                while zone < limits.size and float(x * x + y * y + z * z) >= limits[zone]:
                    zone += 1
                by_data = np.float32(1.0) / data_scale[zone]
                by_weight = np.float32(1.0) / weight_scale[zone]
                out[iz, iy, x, 0] = np.float32(words[iz, iy, x, 0]) * by_data
                out[iz, iy, x, 1] = np.float32(words[iz, iy, x, 1]) * by_data
                out[iz, iy, x, 2] = np.float32(words[iz, iy, x, 2]) * by_weight
