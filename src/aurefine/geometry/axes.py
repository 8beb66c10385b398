"""Axes of the operators of a point group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry.symmetry import PointGroup

__all__ = ["SymmetryAxis", "asymmetric_unit_corners", "axis_and_angle", "symmetry_axes"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SymmetryAxis:
    """A line through the origin and the number of operators that turn about it."""

    direction: Float  # (3,), unit vector; of the two ends the one with the larger z, then y, then x
    fold: int


def axis_and_angle(matrix: npt.ArrayLike) -> tuple[Float, float]:
    """Axis and angle of a rotation.

    Parameters
    ----------
    matrix : array-like, shape (3, 3)
        Rotation matrix.

    Returns
    -------
    axis : ndarray, shape (3,)
        Unit vector; (0, 0, 1) for the identity.
    angle : float
        Degrees, 0 to 180, counter-clockwise when looking against the axis.
    """
    from scipy.spatial.transform import Rotation

    vector = Rotation.from_matrix(np.asarray(matrix, dtype=np.float64)).as_rotvec()
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.array([0.0, 0.0, 1.0]), 0.0
    axis = vector / angle
    if angle > np.pi - 1e-6:  # both ends are the same then
        axis = _upper_end(axis)
    return axis, float(np.rad2deg(angle))


def symmetry_axes(group: PointGroup) -> list[SymmetryAxis]:
    """All axes of a group, those of the highest fold first.

    Parameters
    ----------
    group : PointGroup

    Returns
    -------
    list of SymmetryAxis
        Empty for C1.
    """
    lines: list[Float] = []
    counts: list[int] = []
    for matrix in group.matrices[1:]:
        end = _upper_end(axis_and_angle(matrix)[0])
        same = [i for i, line in enumerate(lines) if abs(float(line @ end)) > 1 - 1e-6]
        if same:
            counts[same[0]] += 1
        else:
            lines.append(end)
            counts.append(1)
    axes = [SymmetryAxis(line, count + 1) for line, count in zip(lines, counts, strict=True)]
    return sorted(axes, key=lambda axis: (-axis.fold, *(-axis.direction[::-1]).round(6)))


def asymmetric_unit_corners(group: PointGroup) -> Float:
    """Corners of the asymmetric unit of viewing directions, shape (n_corners, 3).

    Unit vectors; empty for cyclic and dihedral groups, whose units are bounded by angles.
    """
    if not len(group.asu_normals):
        return np.empty((0, 3))
    ab, bc, ca = group.asu_normals
    corners = np.stack([np.cross(ca, ab), np.cross(ab, bc), np.cross(bc, ca)])
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    inside = np.sign((corners * np.roll(group.asu_normals, -1, axis=0)).sum(axis=1))
    oriented: Float = corners * inside[:, None]
    return oriented


def _upper_end(axis: Float) -> Float:
    for component in axis[::-1]:
        if abs(component) > 1e-9:
            return axis if component > 0 else -axis
    return axis
