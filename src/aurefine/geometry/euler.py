"""Euler angles (rot, tilt, psi), rotation matrices and viewing directions (spec 1.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "angles_from_direction",
    "direction_from_angles",
    "euler_from_matrix",
    "matrix_from_euler",
    "rotation_angle",
]

Float = npt.NDArray[np.float64]

# below this sin(tilt), rot and psi turn about the same axis and can not be told apart
_DEGENERATE = 1e-7


def matrix_from_euler(rot: npt.ArrayLike, tilt: npt.ArrayLike, psi: npt.ArrayLike) -> Float:
    """Matrix A that takes map coordinates to image coordinates, ``x_image = A @ x_map``.

    Parameters
    ----------
    rot, tilt, psi : array_like, broadcastable to a common shape (...)
        Euler angles (ZYZ) in degrees.

    Returns
    -------
    ndarray, shape (..., 3, 3), float64
        Rotation matrices; the third row is the viewing direction in the map frame.
    """
    angles = (np.deg2rad(np.asarray(angle, dtype=np.float64)) for angle in (rot, tilt, psi))
    r, t, p = np.broadcast_arrays(*angles)
    cr, sr, ct, st, cp, sp = np.cos(r), np.sin(r), np.cos(t), np.sin(t), np.cos(p), np.sin(p)
    matrix = np.empty((*r.shape, 3, 3))
    matrix[..., 0, 0] = cp * ct * cr - sp * sr
    matrix[..., 0, 1] = cp * ct * sr + sp * cr
    matrix[..., 0, 2] = -cp * st
    matrix[..., 1, 0] = -sp * ct * cr - cp * sr
    matrix[..., 1, 1] = -sp * ct * sr + cp * cr
    matrix[..., 1, 2] = sp * st
    matrix[..., 2, 0] = st * cr
    matrix[..., 2, 1] = st * sr
    matrix[..., 2, 2] = ct
    return matrix


def euler_from_matrix(matrix: npt.ArrayLike) -> tuple[Float, Float, Float]:
    """Euler angles of rotation matrices, the inverse of `matrix_from_euler`.

    Parameters
    ----------
    matrix : array_like, shape (..., 3, 3)
        Rotation matrices.

    Returns
    -------
    rot, tilt, psi : ndarray, shape (...), float64
        Degrees; rot and psi in [-180, 180], tilt in [0, 180].
        Where sin(tilt) vanishes, rot is 0 and psi takes the whole in-plane rotation.

    Raises
    ------
    ValueError
        If the last two axes are not 3 x 3.
    """
    a = np.asarray(matrix, dtype=np.float64)
    if a.ndim < 2 or a.shape[-2:] != (3, 3):
        raise ValueError(f"rotation matrices must have shape (..., 3, 3), not {a.shape}")
    sin_tilt = np.hypot(a[..., 0, 2], a[..., 1, 2])
    cos_tilt = a[..., 2, 2]
    tilt = np.arctan2(sin_tilt, cos_tilt)
    is_regular = sin_tilt > _DEGENERATE
    rot = np.where(is_regular, np.arctan2(a[..., 2, 1], a[..., 2, 0]), 0.0)
    # with rot = 0 the second row is (-sin(psi) cos(tilt), cos(psi), .)
    psi_alone = np.arctan2(-np.copysign(1.0, cos_tilt) * a[..., 1, 0], a[..., 1, 1])
    psi = np.where(is_regular, np.arctan2(a[..., 1, 2], -a[..., 0, 2]), psi_alone)
    return np.rad2deg(rot), np.rad2deg(tilt), np.rad2deg(psi)


def direction_from_angles(rot: npt.ArrayLike, tilt: npt.ArrayLike) -> Float:
    """Viewing direction in the map frame: the third row of `matrix_from_euler`.

    Parameters
    ----------
    rot, tilt : array_like, broadcastable to a common shape (...)
        Degrees.

    Returns
    -------
    ndarray, shape (..., 3), float64
        Unit vectors (x, y, z).
    """
    r, t = np.broadcast_arrays(
        np.deg2rad(np.asarray(rot, dtype=np.float64)),
        np.deg2rad(np.asarray(tilt, dtype=np.float64)),
    )
    sin_tilt = np.sin(t)
    return np.stack([sin_tilt * np.cos(r), sin_tilt * np.sin(r), np.cos(t)], axis=-1)


def angles_from_direction(direction: npt.ArrayLike) -> tuple[Float, Float]:
    """Angles rot in [-180, 180] and tilt in [0, 180] degrees of direction vectors.

    Parameters
    ----------
    direction : array_like, shape (..., 3)
        Vectors (x, y, z) of any length but zero.

    Returns
    -------
    rot, tilt : ndarray, shape (...), float64
        Degrees; rot is 0 at the poles.
    """
    v = np.asarray(direction, dtype=np.float64)
    if v.ndim < 1 or v.shape[-1] != 3:
        raise ValueError(f"directions must have shape (..., 3), not {v.shape}")
    in_plane = np.hypot(v[..., 0], v[..., 1])
    tilt = np.rad2deg(np.arctan2(in_plane, v[..., 2]))
    is_regular = in_plane > _DEGENERATE * np.abs(v[..., 2])
    rot = np.where(is_regular, np.rad2deg(np.arctan2(v[..., 1], v[..., 0])), 0.0)
    return rot, tilt


def rotation_angle(first: npt.ArrayLike, second: npt.ArrayLike) -> Float:
    """Angle of the rotation between two poses, without symmetry.

    Parameters
    ----------
    first, second : array_like, shapes broadcastable to (..., 3, 3)
        Rotation matrices.

    Returns
    -------
    ndarray, shape (...), float64
        Degrees in [0, 180]. Accurate for small angles, where the trace formula is not.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    squared = np.einsum("...ij,...ij->...", difference, difference)  # 8 sin^2(angle / 2)
    angle = 2.0 * np.arcsin(np.sqrt(np.clip(squared / 8.0, 0.0, 1.0)))
    return np.asarray(np.rad2deg(angle), dtype=np.float64)
