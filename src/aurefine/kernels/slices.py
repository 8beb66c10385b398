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

from aurefine.kernels.copying import copy_vector

__all__ = ["extract_block", "extract_slices", "slice_memory", "voxel_index"]

_BLOCK = 128
_GROUP = 4  # samples that are interpolated together

_INT = ir.IntType(32)
_INT64 = ir.IntType(64)
_FLOAT = ir.FloatType()
_FLOAT4 = ir.VectorType(_FLOAT, _GROUP)
_FAST = ("fast",)


@intrinsic
def voxel_index(typing, ix, iy, iz, edge, n_x):
    """Index of a voxel, in 32 bits throughout: Numba would multiply in 64 bits, which is slow."""
    signature = types.uint32(*[types.int32] * 5)

    def codegen(context, builder, signature, args):
        ix, iy, iz, edge, n_x = args
        row = builder.add(builder.mul(iz, edge), iy)
        return builder.add(builder.mul(row, n_x), ix)

    return signature, codegen


@intrinsic
def _interpolate(typing, volume, places, step_y, step_z, fractions, j, real, imag, k):
    """Write samples ``j`` to ``j + 3`` of a block to ``real[k:k + 4]`` and ``imag[k:k + 4]``.

    Two neighbours in x are four numbers in a row, and one vector, so that z and y are
    interpolated for one sample at a time; then four samples are transposed, and x is done for
    all of them.  `fractions` has rows of `_BLOCK` columns: y, z, x, and the sign of the
    imaginary part.
    """
    signature = types.void(
        volume, places, types.int64, types.int64, fractions, types.int64, real, imag, types.int64
    )

    def codegen(context, builder, signature, args):
        def address(array, index):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.gep(data, [index])

        def vector(pointer, align=4):
            return builder.load(builder.bitcast(pointer, _FLOAT4.as_pointer()), align=align)

        def lanes(first, second, indices):
            mask = ir.Constant(ir.VectorType(_INT, len(indices)), indices)
            return builder.shuffle_vector(first, second, mask)

        def fraction(row, first=0):
            return address(4, builder.add(j, ir.Constant(_INT64, _BLOCK * row + first)))

        def everywhere(pointer):
            nothing = ir.Constant(_FLOAT4, ir.Undefined)
            one = builder.insert_element(nothing, builder.load(pointer), ir.Constant(_INT, 0))
            return lanes(one, one, [0] * 4)

        def between(first, second, share):
            step = builder.fmul(builder.fsub(second, first, flags=_FAST), share, flags=_FAST)
            return builder.fadd(first, step, flags=_FAST)

        _, _, step_y, step_z, _, j, _, _, k = args
        origin, upper = address(0, ir.Constant(_INT64, 0)), address(0, step_z)
        rows = origin, upper, builder.gep(origin, [step_y]), builder.gep(upper, [step_y])
        samples = []
        for i in range(_GROUP):
            index = builder.load(address(1, builder.add(j, ir.Constant(_INT64, i))))
            place = builder.shl(builder.zext(index, _INT64), ir.Constant(_INT64, 1))
            near, near_up, far, far_up = (
                vector(builder.gep(row, [place]), align=8) for row in rows
            )
            share = everywhere(fraction(1, i))
            lines = between(near, near_up, share), between(far, far_up, share)
            samples.append(between(*lines, everywhere(fraction(0, i))))
        a, b, c, d = samples
        left = lanes(a, b, [0, 4, 1, 5]), lanes(c, d, [0, 4, 1, 5])
        right = lanes(a, b, [2, 6, 3, 7]), lanes(c, d, [2, 6, 3, 7])
        for output, half in ((6, [0, 1, 4, 5]), (7, [2, 3, 6, 7])):
            share = vector(fraction(2))
            value = between(lanes(*left, half), lanes(*right, half), share)
            if output == 7:
                value = builder.fmul(value, vector(fraction(3)), flags=_FAST)
            target = builder.bitcast(address(output, k), _FLOAT4.as_pointer())
            builder.store(value, target, align=4)
        return context.get_dummy_value()

    return signature, codegen


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
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
    extract_block(volume, rotations, pixel_x, pixel_y, out, pixel_x.size, slice_memory())


@njit(nogil=True, cache=True, forceinline=True)
def slice_memory():
    """Return working memory of `extract_block`."""
    index = np.empty(_BLOCK, np.uint32)
    fractions = np.empty((4, _BLOCK), np.float32)
    last = np.empty((2, _GROUP), np.float32)
    return index, fractions, last


@njit(nogil=True, cache=True, forceinline=True, fastmath=True, error_model="numpy")
def extract_block(volume, rotations, pixel_x, pixel_y, out, imaginary, memory):
    """Do what `extract_slices` does, with imaginary parts from the column `imaginary` on.

    For kernels that take a slice in blocks of pixels, which then stay in the cache.
    """
    flat, edge = volume
    n_x = (edge + 1) // 2
    centre = edge // 2
    n_pixels = pixel_x.size
    index, fractions, last = memory
    y_share = fractions[0]
    z_share = fractions[1]
    x_share = fractions[2]
    sign = fractions[3]
    step_y = 2 * n_x
    step_z = 2 * n_x * edge
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
                x_share[j] = x - np.float32(ix)
                y_share[j] = y - np.float32(iy)
                z_share[j] = z - np.float32(iz)
                sign[j] = s
                index[j] = voxel_index(ix, iy, iz, np.int32(edge), np.int32(n_x))
            row_re = row[start : start + n]
            row_im = row[imaginary + start : imaginary + start + n]
            whole = n // _GROUP * _GROUP
            for j in range(0, whole, _GROUP):
                _interpolate(flat, index, step_y, step_z, fractions, j, row_re, row_im, j)
            if whole < n:
                index[n : whole + _GROUP] = 0
                _interpolate(flat, index, step_y, step_z, fractions, whole, last[0], last[1], 0)
                copy_vector(last[0, : n - whole], row_re[whole:])
                copy_vector(last[1, : n - whole], row_im[whole:])
