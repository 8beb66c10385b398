"""Point groups about RELION's axes, their asymmetric units, and angular changes.

A map with a point group does not change under ``x -> R x`` for each of its operators R,
so the poses A and ``A @ R`` describe the same image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aurefine.errors import OptionError
from aurefine.geometry.euler import angles_from_direction, direction_from_angles

__all__ = [
    "PointGroup",
    "angular_change",
    "in_asymmetric_unit",
    "point_group",
    "to_asymmetric_unit",
]

Float = npt.NDArray[np.float64]

_ACCEPTED = "Cn and Dn with n from 1 to 999 (C1, C4, D2, ...), T, O, I (= I2), I1, I2, I3, I4"
_MAX_ORDER = 999
_TOLERANCE = 1e-6  # of a boundary, in degrees (C, D) or as a sine (T, O, I)
_CHUNK = 4_000_000  # numbers in one working array

_GOLDEN = (1.0 + np.sqrt(5.0)) / 2.0
# 2-, 5- and 3-fold axis of the standard setting I2; the others are rotated copies
_I2_AXES = ((0.0, 0.0, 1.0), (1.0, 0.0, _GOLDEN), (0.0, 1.0, _GOLDEN**2))

# corners of the asymmetric units, all on symmetry axes: three 3-folds; a 4-fold and two 3-folds
_T_CORNERS = (
    (0.0, 0.0, 1.0),
    (0.0, np.sqrt(8.0), -1.0),
    (-np.sqrt(6.0), np.sqrt(2.0), 1.0),
)
_O_CORNERS = ((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class PointGroup:
    """A group of rotations that leave a map unchanged.

    Attributes
    ----------
    name : str
        Upper-case name, such as ``"D2"``.
    matrices : ndarray, shape (n, 3, 3), float64, read-only
        The operators R in the map frame; the identity comes first.
    asu_normals : ndarray, shape (k, 3), float64, read-only
        Inward normals of the planes around the asymmetric unit (T, O and I only, else empty).
    """

    name: str
    matrices: Float
    asu_normals: Float

    @property
    def n_operators(self) -> int:
        """Number of operators, the identity included."""
        return len(self.matrices)


def point_group(name: str) -> PointGroup:
    """Point group of a name, built from explicit generator axes (spec 3.4).

    Parameters
    ----------
    name : str
        ``C1``, ``Cn``, ``Dn``, ``T``, ``O``, ``I``, ``I1`` ... ``I4``; case does not matter.

    Returns
    -------
    PointGroup
        Operators orthonormal to 1e-12, identity first.

    Raises
    ------
    OptionError
        If the name is not one of the accepted groups.
    """
    return _build_group(name.strip().upper())


@lru_cache(maxsize=64)
def _build_group(name: str) -> PointGroup:
    match = re.fullmatch(r"([CD])(\d{1,3})", name)
    if match and int(match[2]) >= 1:
        kind, n = match[1], int(match[2])
        operators = _cyclic(n)
        if kind == "D":
            two_fold_x = np.diag([1.0, -1.0, -1.0])
            operators = np.concatenate([operators, operators @ two_fold_x])
        return _freeze(f"{kind}{n}", operators, np.empty((0, 3)))
    if name == "T":
        operators = _closure([_rotation((0, 0, 1), 3), _rotation((0, np.sqrt(2.0), 1.0), 2)])
        return _freeze(name, operators, _triangle_normals(_T_CORNERS))
    if name == "O":
        operators = _closure([_rotation((0, 0, 1), 4), _rotation((1, 1, 1), 3)])
        return _freeze(name, operators, _triangle_normals(_O_CORNERS))
    if name in ("I", "I1", "I2", "I3", "I4"):
        turn = _icosahedral_setting(name)
        axes = np.asarray(_I2_AXES) @ turn.T
        operators = _closure([_rotation(axis, n) for axis, n in zip(axes, (2, 5, 3), strict=True)])
        return _freeze(name, operators, _triangle_normals(_icosahedral_corners(name, turn)))
    raise _refusal(name)


def _refusal(name: str) -> OptionError:
    """Error for a group that is unknown or not made of rotations alone."""
    if re.fullmatch(r"(C\d*[VHIS]|S\d+|D\d*[VHD]|T[DH]|OH|I\d?H)", name):
        reason = "contains mirrors or an inversion, which a chiral molecule can not have"
    else:
        reason = "is not a known point group"
    return OptionError(f"symmetry {name!r} {reason}. Give one of: {_ACCEPTED}.")


def _rotation(axis: npt.ArrayLike, n_fold: int, turns: int = 1) -> Float:
    """Rotation matrix by ``turns / n_fold`` of a full turn about an axis."""
    x, y, z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(np.asarray(axis))
    angle = 2.0 * np.pi * turns / n_fold
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(
        np.eye(3) + np.sin(angle) * cross + 2.0 * np.sin(angle / 2.0) ** 2 * (cross @ cross)
    )


def _cyclic(n: int) -> Float:
    """The n rotations about z, identity first."""
    return np.stack([_rotation((0, 0, 1), n, turns=i) for i in range(n)])


def _closure(generators: list[Float]) -> Float:
    """All products of the generators, identity first, in order of discovery."""
    found = [np.eye(3)]
    for operator in found:  # grows while it is walked
        for generator in generators:
            product = operator @ generator
            if all(np.abs(product - known).max() > 1e-6 for known in found):
                found.append(product)
    return np.stack(found)


def _icosahedral_setting(name: str) -> Float:
    """Rotation that takes the I2 setting to another one."""
    to_five_fold = np.arctan2(1.0, _GOLDEN)  # from the 2-fold on z to the nearest 5-fold
    turn_y = {"I1": 0.5 * np.pi, "I3": -to_five_fold, "I4": to_five_fold}.get(name, 0.0)
    c, s = np.cos(turn_y), np.sin(turn_y)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _icosahedral_corners(name: str, turn: Float) -> Float:
    """Two 5-fold axes and the 3-fold axis between them: the unit that RELION searches."""
    if name == "I1":
        return np.array([(-_GOLDEN, 0.0, 1.0), (-_GOLDEN, 0.0, -1.0), (-(_GOLDEN**2), 1.0, 0.0)])
    if name == "I4":
        five_folds = direction_from_angles((144.0, -144.0), np.rad2deg(np.arctan(2.0)))
        third = direction_from_angles(180.0, 180.0 - np.rad2deg(np.arctan(2.0)))
        return np.stack([*five_folds, five_folds.sum(axis=0) + third])
    corners: Float = np.array([_I2_AXES[1], (-1.0, 0.0, _GOLDEN), _I2_AXES[2]]) @ turn.T
    return corners


def _triangle_normals(corners: npt.ArrayLike) -> Float:
    """Inward unit normals of the planes through the sides of a spherical triangle."""
    a, b, c = np.asarray(corners, dtype=np.float64)
    normals = np.stack([np.cross(a, b), np.cross(b, c), np.cross(c, a)])
    normals *= np.sign(np.dot(normals[0], c))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals


def _freeze(name: str, operators: Float, normals: Float) -> PointGroup:
    """Clean the operators of rounding noise and make the arrays read-only."""
    u, _, vt = np.linalg.svd(operators)
    operators = u @ vt
    for exact in (0.0, 0.5, -0.5, 1.0, -1.0):
        operators[np.abs(operators - exact) < 1e-14] = exact
    operators.flags.writeable = False
    normals.flags.writeable = False
    return PointGroup(name, operators, normals)


def in_asymmetric_unit(directions: npt.ArrayLike, group: PointGroup) -> npt.NDArray[np.bool_]:
    """Tell which directions lie in the asymmetric unit of a group, its boundary included.

    Parameters
    ----------
    directions : array_like, shape (n, 3)
        Viewing directions in the map frame, of any length but zero.
    group : PointGroup

    Returns
    -------
    ndarray, shape (n,), bool

    Notes
    -----
    Cn: ``|rot| <= 180 / n``.  D1: ``tilt <= 90``.  Dn: ``|rot - 90| <= 180 / n`` and
    ``tilt <= 90``.  T, O, I: a spherical triangle between symmetry axes.
    """
    v = _checked_directions(directions)
    if len(group.asu_normals):
        return np.asarray(np.all(v @ group.asu_normals.T >= -np.deg2rad(_TOLERANCE), axis=1))
    kind, n = group.name[0], int(group.name[1:])
    rot, tilt = angles_from_direction(v)
    is_inside = np.ones(len(v), dtype=np.bool_)
    if kind == "D":
        is_inside &= tilt <= 90.0 + _TOLERANCE
    if n > 1:
        middle = 90.0 if kind == "D" else 0.0
        distance = np.abs((rot - middle + 180.0) % 360.0 - 180.0)
        is_pole = np.hypot(v[:, 0], v[:, 1]) < np.deg2rad(_TOLERANCE)
        is_inside &= (distance <= 180.0 / n + _TOLERANCE) | is_pole
    return is_inside


def to_asymmetric_unit(
    directions: npt.ArrayLike, group: PointGroup
) -> tuple[Float, npt.NDArray[np.int64]]:
    """Map directions into the asymmetric unit.

    Parameters
    ----------
    directions : array_like, shape (n, 3)
        Viewing directions (third rows of poses A).
    group : PointGroup

    Returns
    -------
    mapped : ndarray, shape (n, 3), float64
        Unit vectors inside the asymmetric unit.
    operator : ndarray, shape (n,), int64
        Index of the operator R used: the pose ``A @ group.matrices[operator]`` has the
        direction `mapped`. The identity is preferred, then the lowest index.
    """
    v = _checked_directions(directions)
    mapped = v.copy()
    operator = np.zeros(len(v), dtype=np.int64)
    outside = np.flatnonzero(~in_asymmetric_unit(v, group))
    for index in range(1, group.n_operators):
        if not len(outside):
            break
        mate = v[outside] @ group.matrices[index]
        is_inside = in_asymmetric_unit(mate, group)
        mapped[outside[is_inside]] = mate[is_inside]
        operator[outside[is_inside]] = index
        outside = outside[~is_inside]
    return mapped, operator


def angular_change(old: npt.ArrayLike, new: npt.ArrayLike, group: PointGroup) -> Float:
    """Change between two poses of each particle, up to symmetry (spec 5.7).

    Parameters
    ----------
    old, new : array_like, shape (n, 3, 3)
        Rotation matrices of the poses.
    group : PointGroup

    Returns
    -------
    ndarray, shape (n,), float64
        Degrees: the mean of the angles between corresponding rows of ``old @ R`` and
        `new`, minimised over the operators R.
    """
    a = np.asarray(old, dtype=np.float64)
    b = np.asarray(new, dtype=np.float64)
    if a.shape != b.shape or a.shape[1:] != (3, 3):
        raise ValueError(f"poses must both have shape (n, 3, 3), not {a.shape} and {b.shape}")
    operators = group.matrices.reshape(-1, 9).T  # (9, n_operators)
    change = np.empty(len(a))
    step = max(1, _CHUNK // (3 * max(9, group.n_operators)))
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        # row i of old @ R times row i of new is the sum over jk of old_ij R_jk new_ik
        outer = a[part, :, :, None] * b[part, :, None, :]  # (n, 3, 3, 3)
        cosine = outer.reshape(-1, 3, 9) @ operators  # (n, 3, n_operators)
        angle = np.arccos(np.clip(cosine, -1.0, 1.0)).mean(axis=1)
        change[part] = angle.min(axis=1)
    return np.rad2deg(change)


def _checked_directions(directions: npt.ArrayLike) -> Float:
    """Directions as unit vectors of shape (n, 3)."""
    v = np.asarray(directions, dtype=np.float64)
    if v.ndim != 2 or v.shape[1] != 3:
        raise ValueError(f"directions must have shape (n, 3), not {v.shape}")
    unit: Float = v / np.linalg.norm(v, axis=1, keepdims=True)
    return unit
