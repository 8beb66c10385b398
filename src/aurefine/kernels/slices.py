"""Central slices of a padded Fourier volume (spec 3.3).

A half volume holds the Fourier transform of a map for x >= 0 with the origin of y and z in the
middle: shape (2 r + 3, 2 r + 3, r + 2), complex64, where r is the largest padded radius in use.
Pixels of a slice are a list of coordinates (x, y), already multiplied by the padding factor;
the slice of rotation A lies at x A[0] + y A[1].  Slices are stored planar, real parts first:
float32 rows of length 2 n_pixels, so that scores are plain dot products.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["extract_slices"]

_BLOCK = 512

_INT = ir.IntType(32)
_INT64 = ir.IntType(64)
_FLOAT = ir.FloatType()
_FLOAT2 = ir.VectorType(_FLOAT, 2)
_FLOAT4 = ir.VectorType(_FLOAT, 4)
_FAST = ("fast",)


@intrinsic
def _interpolate(typing, volume, place, step_y, step_z, weights, j, out):
    """Write the weighted sum of the eight voxels around sample `j` to ``out[2 * j:2 * j + 2]``.

    Two neighbours in x are four numbers in a row, and one vector.  `weights` has six rows of
    `_BLOCK` columns: those of the four rows of voxels, then those of the two neighbours.
    """
    signature = types.void(
        volume, types.uint32, types.uint32, types.uint32, weights, types.int64, out
    )

    def codegen(context, builder, signature, args):
        def address(array, index):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.gep(data, [index])

        def lanes(first, second, indices):
            mask = ir.Constant(ir.VectorType(_INT, len(indices)), indices)
            return builder.shuffle_vector(first, second, mask)

        def weight(row):
            index = builder.add(j, ir.Constant(_INT64, _BLOCK * row))
            nothing = ir.Constant(_FLOAT4, ir.Undefined)
            scalar = builder.load(address(4, index))
            return builder.insert_element(nothing, scalar, ir.Constant(_INT, 0))

        _, place, step_y, step_z, _, j, _ = args
        upper = builder.add(place, step_z)
        rows = place, builder.add(place, step_y), upper, builder.add(upper, step_y)
        total = None
        for k, row in enumerate(rows):
            pointer = address(0, builder.zext(row, _INT64))
            voxels = builder.load(builder.bitcast(pointer, _FLOAT4.as_pointer()), align=8)
            factor = weight(k)
            term = builder.fmul(voxels, lanes(factor, factor, [0, 0, 0, 0]), flags=_FAST)
            total = term if total is None else builder.fadd(total, term, flags=_FAST)
        total = builder.fmul(total, lanes(weight(4), weight(5), [0, 0, 4, 4]), flags=_FAST)
        left, right = lanes(total, total, [0, 1]), lanes(total, total, [2, 3])
        pointer = address(6, builder.mul(j, ir.Constant(_INT64, 2)))
        target = builder.bitcast(pointer, _FLOAT2.as_pointer())
        builder.store(builder.fadd(left, right), target, align=8)
        return context.get_dummy_value()

    return signature, codegen


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def extract_slices(volume, rotations, pixel_x, pixel_y, out):
    """Sample slices by trilinear interpolation.

    Parameters
    ----------
    volume : (float32 flat, int edge)
        Interleaved complex values of shape (edge, edge, (edge + 1) // 2) and the edge length.
    rotations : float32, shape (n_slices, 3, 3)
        Matrices from map to image coordinates.
    pixel_x, pixel_y : float32, shape (n_pixels,)
        Padded coordinates; their length must not exceed the radius of the volume.
    out : float32, shape (n_slices, 2 * n_pixels)
        Overwritten: real parts, then imaginary parts.
    """
    flat, edge = volume
    n_x = (edge + 1) // 2
    centre = edge // 2
    n_pixels = pixel_x.size
    index = np.empty(_BLOCK, np.uint32)
    sign = np.empty(_BLOCK, np.float32)
    found = np.empty(2 * _BLOCK, np.float32)
    weights = np.empty((6, _BLOCK), np.float32)
    w00 = weights[0]
    w01 = weights[1]
    w10 = weights[2]
    w11 = weights[3]
    left = weights[4]
    right = weights[5]
    step_y = np.uint32(2 * n_x)
    step_z = np.uint32(2 * n_x * edge)
    offset = np.float32(centre)
    # pixel blocks outside, slices inside: neighbouring slices find their voxels in the cache
    for start in range(0, n_pixels, _BLOCK):
        n = min(_BLOCK, n_pixels - start)
        block_x = pixel_x[start : start + n]
        block_y = pixel_y[start : start + n]
        for i in range(rotations.shape[0]):
            a00 = rotations[i, 0, 0]
            a01 = rotations[i, 0, 1]
            a02 = rotations[i, 0, 2]
            a10 = rotations[i, 1, 0]
            a11 = rotations[i, 1, 1]
            a12 = rotations[i, 1, 2]
            row = out[i]
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
                w00[j] = gy * gz
                w01[j] = fy * gz
                w10[j] = gy * fz
                w11[j] = fy * fz
                left[j] = np.float32(1.0) - fx
                right[j] = fx
                sign[j] = s
                index[j] = (
                    np.uint32(iz) * step_z + np.uint32(iy) * step_y + np.uint32(2) * np.uint32(ix)
                )
            for j in range(n):
                _interpolate(flat, index[j], step_y, step_z, weights, j, found)
            row_re = row[start : start + n]
            row_im = row[n_pixels + start : n_pixels + start + n]
            for j in range(n):
                row_re[j] = found[2 * j]
                row_im[j] = sign[j] * found[2 * j + 1]
