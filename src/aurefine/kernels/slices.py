"""Central slices of a padded Fourier volume (spec 3.3).

A half volume holds the Fourier transform of a map for x >= 0 with the origin of y and z in the
middle: shape (2 r + 3, 2 r + 3, r + 2), complex64, where r is the largest padded radius in use.
Pixels of a slice are a list of coordinates (x, y), already multiplied by the padding factor;
the slice of rotation A lies at x A[0] + y A[1].  Slices are stored planar, real parts first:
float32 rows of length 2 n_pixels, so that scores are plain dot products.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["extract_slices"]

_BLOCK = 512


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
    frac_x = np.empty(_BLOCK, np.float32)
    frac_y = np.empty(_BLOCK, np.float32)
    frac_z = np.empty(_BLOCK, np.float32)
    sign = np.empty(_BLOCK, np.float32)
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
                frac_x[j] = x - np.float32(ix)
                frac_y[j] = y - np.float32(iy)
                frac_z[j] = z - np.float32(iz)
                sign[j] = s
                index[j] = (
                    np.uint32(iz) * step_z + np.uint32(iy) * step_y + np.uint32(2) * np.uint32(ix)
                )
            row_re = row[start : start + n]
            row_im = row[n_pixels + start : n_pixels + start + n]
            for j in range(n):
                k = index[j]
                fx = frac_x[j]
                fy = frac_y[j]
                fz = frac_z[j]
                k01 = k + step_y
                k10 = k + step_z
                k11 = k10 + step_y
                gx = np.float32(1.0) - fx
                gy = np.float32(1.0) - fy
                gz = np.float32(1.0) - fz
                w00 = gy * gz
                w01 = fy * gz
                w10 = gy * fz
                w11 = fy * fz
                re0 = w00 * flat[k] + w01 * flat[k01] + w10 * flat[k10] + w11 * flat[k11]
                im0 = (
                    w00 * flat[k + 1]
                    + w01 * flat[k01 + 1]
                    + w10 * flat[k10 + 1]
                    + w11 * flat[k11 + 1]
                )
                re1 = (
                    w00 * flat[k + 2]
                    + w01 * flat[k01 + 2]
                    + w10 * flat[k10 + 2]
                    + w11 * flat[k11 + 2]
                )
                im1 = (
                    w00 * flat[k + 3]
                    + w01 * flat[k01 + 3]
                    + w10 * flat[k10 + 3]
                    + w11 * flat[k11 + 3]
                )
                row_re[j] = gx * re0 + fx * re1
                row_im[j] = sign[j] * (gx * im0 + fx * im1)
