"""Loops over the voxels of cubic maps, with weights by the distance from the middle (spec 4.6-4.7).

Profiles are lists by squared distance [voxels²] from the voxel n // 2.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["blend_by_radius", "sums_by_radius"]


@njit(nogil=True, cache=True, error_model="numpy")
def blend_by_radius(
    values, factor, weight, other, divisor, first_plane, last_plane, out, first_voxel
):
    """Replace a part of each voxel by a constant, and divide by a profile.

    Parameters
    ----------
    values : float32, shape (n, n, n)
    factor : float32
        Multiplies the values.
    weight : float32, shape (3 * (n // 2) ** 2 + 1,)
        Share of the constant.
    other : float32
        The constant.
    divisor : float32, shape like `weight`
    first_plane, last_plane : int
        Planes to do.
    out : float32, shape (m, m, m)
        Its voxels from (first_voxel, first_voxel, first_voxel) on are overwritten; may be `values`.
    first_voxel : int
    """
    n = values.shape[0]
    middle = n // 2
    for iz in range(first_plane, last_plane):
        for iy in range(n):
            yz2 = (iz - middle) ** 2 + (iy - middle) ** 2
            source = values[iz, iy]
            target = out[first_voxel + iz, first_voxel + iy]
            for ix in range(n):
                r2 = yz2 + (ix - middle) ** 2
                own = source[ix] * factor * (np.float32(1.0) - weight[r2]) + weight[r2] * other
                target[first_voxel + ix] = own / divisor[r2]


@njit(nogil=True, cache=True)
def sums_by_radius(values, weight, first_plane, last_plane):
    """Sum a weight, and the weight times the values.

    Parameters
    ----------
    values, weight, first_plane, last_plane
        See `blend_by_radius`.

    Returns
    -------
    ndarray, shape (2,), float64
    """
    n = values.shape[0]
    middle = n // 2
    sums = np.zeros(2)
    for iz in range(first_plane, last_plane):
        for iy in range(n):
            yz2 = (iz - middle) ** 2 + (iy - middle) ** 2
            source = values[iz, iy]
            for ix in range(n):
                w = weight[yz2 + (ix - middle) ** 2]
                sums[0] += w
                sums[1] += w * source[ix]
    return sums
