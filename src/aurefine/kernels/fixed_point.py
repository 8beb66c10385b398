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
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["insert_slices", "words_to_floats"]

_BLOCK = 512
_REACH = math.sqrt(3.0) + 1e-3  # distance of a voxel from the samples that it takes part in
_IMPOSSIBLE = np.float32(2.0**62)
_LARGEST = np.float32(2.0**30)  # integers that the fast addition takes

_INT = ir.IntType(32)
_INT4 = ir.VectorType(_INT, 4)
_INT8 = ir.VectorType(_INT, 8)
_FLOAT = ir.FloatType()
_FLOAT4 = ir.VectorType(_FLOAT, 4)
_FLOAT8 = ir.VectorType(_FLOAT, 8)


def _lanes(indices):
    return ir.Constant(ir.VectorType(_INT, len(indices)), indices)


@intrinsic
def _add_rows(typing, words, place, step, values, first, left, right, near, far):
    """Add a sample to the four voxels of two neighbouring rows of x, unless a sum would wrap.

    The words of two neighbours in x are six in a row; the vectors have eight lanes, of which
    the last two add zero.  ``values[first:first + 4]`` are real part, imaginary part, weight and
    zero; `left` and `right` weight the neighbours in x, `near` and `far` the rows at `place` and
    at ``place + step``.  Returns 0, or 1 if nothing was added because a sum would wrap.
    """
    real = types.float32
    signature = types.int32(
        words, types.int64, types.int64, values, types.int64, real, real, real, real
    )

    def codegen(context, builder, signature, args):
        def address(array, index, kind):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())

        def shuffled(scalars, indices):
            vector = ir.Constant(_FLOAT4, ir.Undefined)
            for lane, scalar in enumerate(scalars):
                vector = builder.insert_element(vector, scalar, ir.Constant(_INT, lane))
            return builder.shuffle_vector(vector, vector, _lanes(indices))

        _, place, step, _, first, left, right, near, far = args
        value = builder.load(address(3, first, _FLOAT4), align=16)
        value = builder.shuffle_vector(value, value, _lanes([0, 1, 2, 0, 1, 2, 3, 3]))
        value = builder.fmul(value, shuffled([left, right], [0, 0, 0, 1, 1, 1, 1, 1]))
        rint = builder.module.declare_intrinsic(
            "llvm.rint.v8f32", (), ir.FunctionType(_FLOAT8, [_FLOAT8])
        )
        sums = []
        wraps = ir.Constant(_INT8, [0] * 8)
        for weight, index in ((near, place), (far, builder.add(place, step))):
            product = builder.fmul(value, shuffled([weight], [0] * 8))
            term = builder.fptosi(builder.call(rint, [product]), _INT8)
            target = address(0, index, _INT8)
            old = builder.load(target, align=4)
            new = builder.add(old, term)
            wrap = builder.and_(builder.xor(old, new), builder.xor(term, new))
            wraps = builder.or_(wraps, wrap)
            sums.append((new, target))
        negative = builder.icmp_signed("<", wraps, ir.Constant(_INT8, [0] * 8))
        byte = ir.IntType(8)
        any_wrap = builder.icmp_unsigned(
            "!=", builder.bitcast(negative, byte), ir.Constant(byte, 0)
        )
        with builder.if_then(builder.not_(any_wrap), likely=True):
            for new, target in sums:
                builder.store(new, target, align=4)
        return builder.zext(any_wrap, _INT)

    return signature, codegen


@njit(nogil=True, cache=True)
def _append(index, carry, n, new_index, new_carry):
    """Append one carry to vectors of which `n` entries are used."""
    if n == index.size:
        longer = np.empty(2 * n, np.int64)
        longer[:n] = index
        index = longer
        wider = np.empty(2 * n, np.int64)
        wider[:n] = carry
        carry = wider
    index[n] = new_index
    carry[n] = new_carry
    return index, carry


@njit(nogil=True, cache=True, error_model="numpy")
def _zone(limits, radius2):
    zone = 0
    while zone < limits.size and radius2 >= limits[zone]:
        zone += 1
    return zone


@njit(nogil=True, cache=True, error_model="numpy")
def _add_plane(words, edge, place, wz, fx, fy, re, im, we, scales, index, carry, n):
    """Add a sample to the four voxels around it in one plane, each with its own scale.

    Weights and scaled values are those of the fast path, multiplied in the same order.
    """
    limits, data_scale, weight_scale = scales
    n_x = (edge + 1) // 2
    centre = edge // 2
    voxel = place // 3
    z = voxel // (n_x * edge) - centre
    y0 = (voxel // n_x) % edge - centre
    x0 = voxel % n_x
    for dy in range(2):
        wy = (fy if dy else np.float32(1.0) - fy) * wz
        for dx in range(2):
            wx = fx if dx else np.float32(1.0) - fx
            if wx * wy == 0:
                continue
            x = x0 + dx
            y = y0 + dy
            zone = _zone(limits, float(x * x + y * y + z * z))
            k = place + 3 * (n_x * dy + dx)
            for c in range(3):
                if c == 2:
                    value = we * weight_scale[zone]
                else:
                    value = (im if c else re) * data_scale[zone]
                value = np.rint(value * wx * wy)
                if not abs(value) < _IMPOSSIBLE:
                    raise OverflowError("a back-projected image is not finite or far too large")
                total = np.int64(words[k + c]) + np.int64(value)
                low = np.int32(total)
                words[k + c] = low
                if low != total:
                    index, carry = _append(index, carry, n, k + c, (total - low) >> 32)
                    n += 1
    return index, carry, n


@njit(nogil=True, cache=True, error_model="numpy")
def insert_slices(volume, scales, rotations, pixel_x, pixel_y, slices, first_plane, last_plane):
    """Add slices to the sums by the transpose of trilinear interpolation.

    Only planes `first_plane` <= z < `last_plane` are touched, so that threads with disjoint
    planes can work on the same slices.

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
    first_plane, last_plane : int

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
    limits, data_scale, weight_scale = scales
    n_x = (edge + 1) // 2
    n_pixels = pixel_x.size
    step_y = 3 * n_x
    step_z = 3 * n_x * edge
    offset = np.float32(edge // 2)
    place = np.empty(_BLOCK, np.int64)
    plane = np.empty(_BLOCK, np.int32)
    frac_x = np.empty(_BLOCK, np.float32)
    frac_y = np.empty(_BLOCK, np.float32)
    frac_z = np.empty(_BLOCK, np.float32)
    sign = np.empty(_BLOCK, np.float32)
    scale_d = np.empty(_BLOCK, np.float32)
    scale_w = np.empty(_BLOCK, np.float32)
    is_plain = np.empty(_BLOCK, np.bool_)
    values = np.zeros(4 * _BLOCK, np.float32)
    index = np.empty(16, np.int64)
    carry = np.empty(16, np.int64)
    n_carries = 0
    for start in range(0, n_pixels, _BLOCK):
        n = min(_BLOCK, n_pixels - start)
        block_x = pixel_x[start : start + n]
        block_y = pixel_y[start : start + n]
        for j in range(n):  # samples near the border of two zones go voxel by voxel
            r = math.hypot(block_x[j], block_y[j])
            zone = _zone(limits, max(r - _REACH, 0.0) ** 2)
            is_plain[j] = zone == _zone(limits, (r + _REACH) ** 2)
            scale_d[j] = data_scale[zone]
            scale_w[j] = weight_scale[zone]
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
                frac_x[j] = x - np.float32(ix)
                frac_y[j] = y - np.float32(iy)
                frac_z[j] = z - np.float32(iz)
                sign[j] = s
                values[4 * j] = real[j] * scale_d[j]
                values[4 * j + 1] = imag[j] * s * scale_d[j]
                values[4 * j + 2] = weight[j] * scale_w[j]
                plane[j] = iz
                place[j] = np.int64(iz) * step_z + np.int64(iy) * step_y + 3 * np.int64(ix)
            for j in range(n):
                k = place[j]
                fx = frac_x[j]
                fy = frac_y[j]
                fz = frac_z[j]
                gx = np.float32(1.0) - fx
                gy = np.float32(1.0) - fy
                is_fast = is_plain[j] and (
                    abs(values[4 * j]) < _LARGEST
                    and abs(values[4 * j + 1]) < _LARGEST
                    and abs(values[4 * j + 2]) < _LARGEST
                )
                for dz in range(2):
                    z0 = plane[j] + dz
                    if z0 < first_plane or z0 >= last_plane:
                        continue
                    wz = fz if dz else np.float32(1.0) - fz
                    k = place[j] + dz * step_z
                    if is_fast and not _add_rows(
                        words, k, step_y, values, 4 * j, gx, fx, gy * wz, fy * wz
                    ):
                        continue
                    index, carry, n_carries = _add_plane(
                        words,
                        edge,
                        k,
                        wz,
                        fx,
                        fy,
                        real[j],
                        imag[j] * sign[j],
                        weight[j],
                        scales,
                        index,
                        carry,
                        n_carries,
                    )
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
