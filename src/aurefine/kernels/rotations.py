"""Rotation matrices of directions turned in the plane of the image (spec 3.5)."""

from __future__ import annotations

from numba import njit

__all__ = ["turn_in_plane"]


@njit(nogil=True, cache=True, error_model="numpy")
def turn_in_plane(upright, direction, psi, cosines, sines, out):
    """Write the matrices of every direction and in-plane angle that belong to an orientation.

    Parameters
    ----------
    upright : float64, shape (n_directions, n_pixels, 3, 3)
        Matrices for an in-plane angle of 0, of the pixels that each direction stands for.
    direction, psi : int64, shape (n,)
        Rows of `upright`, and of `cosines` and `sines`, of each orientation.
    cosines, sines : float64, shape (n_psi, n_angles)
        Of the in-plane angles that each of them stands for.
    out : float32, shape (n, n_pixels * n_angles, 3, 3)
        Overwritten; pixels (slow), in-plane angles (fast).
    """
    n_angles = cosines.shape[1]
    for i in range(direction.size):
        for p in range(upright.shape[1]):
            matrix = upright[direction[i], p]
            for a in range(n_angles):
                cosine = cosines[psi[i], a]
                sine = sines[psi[i], a]
                turned = out[i, p * n_angles + a]
                for k in range(3):
                    turned[0, k] = cosine * matrix[0, k] + sine * matrix[1, k]
                    turned[1, k] = cosine * matrix[1, k] - sine * matrix[0, k]
                    turned[2, k] = matrix[2, k]
