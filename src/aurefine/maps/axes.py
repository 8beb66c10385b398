"""Bring a map to the axes of a point group by making it agree best with its symmetry mates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.fourier import fourier_resize_map, lowpass_filter
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import PointGroup
from aurefine.imaging import radius_squared_map, soft_sphere

__all__ = ["AxisAlignment", "align_to_axes", "average_mates", "move_map"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_PERIODS = (6.0, 14.0)  # across the particle, at the resolution of the search and of its end
_VOXELS = 3.0  # per period
_STEP = 15.0  # degrees, of the exhaustive search
_N_POINTS = (600, 2500)  # of the search and of its end
_N_KEPT = 5  # of the best orientations, followed up
_MOST_MATES = 7  # operators compared in a follow-up
_CHUNK = 64
_SEED = 20


@dataclass(frozen=True, slots=True)
class AxisAlignment:
    """How a map is moved to the axes: ``moved(p) = map(centre + rotation.T @ p)``.

    Attributes
    ----------
    rotation : ndarray, shape (3, 3)
        From the frame of the map to that of the group, for (x, y, z).
    centre : ndarray, shape (3,)
        Point of the map (x, y, z) that comes to the origin [Å from the origin of the map].
    before, after : float
        Mean correlation with the symmetry mates at low resolution, 1 for a symmetric map; the
        mean over each sphere is taken off first.
    """

    rotation: Float
    centre: Float
    before: float
    after: float


def align_to_axes(
    values: Float32,
    pixel_size: float,
    group: PointGroup,
    *,
    diameter: float = -1.0,
    keeps_centre: bool = False,
) -> AxisAlignment:
    """Find the rotation and the shift that make a map agree best with its symmetry mates.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float32
    pixel_size : float
        [Å]
    group : PointGroup
    diameter : float
        Of the particle [Å]; 0.8 boxes if it is not positive.
    keeps_centre : bool
        Search rotations only.

    Returns
    -------
    AxisAlignment
        Of all equally good ones the one with the smallest rotation; what the group does not fix
        (turns about and moves along the axis of a cyclic group) is left as it is.
    """
    box = len(values) * pixel_size
    diameter = min(diameter, box) if diameter > 0 else 0.8 * box
    if group.n_operators == 1:
        return AxisAlignment(np.eye(3), np.zeros(3), 1.0, 1.0)
    zero = np.zeros(3)
    coarse = _Sampled.of(values, pixel_size, diameter, 0, zero if keeps_centre else None)
    centre = coarse.centre
    rotations = np.concatenate([np.eye(3)[None], _grid()])
    mates = _some_mates(group)
    scores = coarse.agreement(rotations, centre, mates[:3])
    starts = [rotations[i] for i in _distinct_best(rotations, scores)]
    found = [_climb(coarse, r, centre, mates, keeps_centre, _STEP / 3) for r in starts]
    rotation, centre, _ = max(found, key=lambda item: item[2])
    fine = _Sampled.of(values, pixel_size, diameter, 1, centre)
    rotation, centre, _ = _climb(fine, rotation, centre, mates, keeps_centre, 1.5)
    rotation = _smallest_rotation(rotation, centre, coarse, group)
    centre = _nearest_centre(rotation, centre, group)
    fine = _Sampled.of(values, pixel_size, diameter, 1, centre)
    after = fine.agreement(rotation[None], centre, group.matrices[1:]).item()
    as_given = _Sampled.of(values, pixel_size, diameter, 1, zero)
    before = as_given.agreement(np.eye(3)[None], zero, group.matrices[1:]).item()
    if before >= after:
        return AxisAlignment(np.eye(3), zero, before, before)
    return AxisAlignment(rotation, centre, before, after)


def move_map(values: Float32, pixel_size: float, alignment: AxisAlignment) -> Float32:
    """Rotate and shift a map as an alignment says, by cubic splines.

    Parameters
    ----------
    values : ndarray, shape (n, n, n)
    pixel_size : float
        [Å]

    Returns
    -------
    ndarray, shape (n, n, n), float32
        0 where nothing of the map comes to lie.
    """
    from scipy.ndimage import affine_transform

    n = len(values)
    origin = np.full(3, n // 2, dtype=np.float64)
    back = alignment.rotation.T[::-1, ::-1]  # arrays are (z, y, x)
    shift = alignment.centre[::-1] / pixel_size
    moved: Float32 = affine_transform(
        values, back, offset=origin + shift - back @ origin, order=3, output=np.float32
    )
    return moved


def average_mates(values: Float32, group: PointGroup) -> Float32:
    """Average a map over the operators of a group, by cubic splines; shape (n, n, n)."""
    from scipy.ndimage import affine_transform, spline_filter

    n = len(values)
    origin = np.full(3, n // 2, dtype=np.float64)
    splines = spline_filter(values, output=np.float32)
    total = values.astype(np.float64)
    for matrix in group.matrices[1:]:
        zyx = matrix[::-1, ::-1]
        total += affine_transform(splines, zyx, offset=origin - zyx @ origin, prefilter=False)
    return (total / group.n_operators).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """A small filtered map without its mean over spheres, and points inside the particle."""

    splines: Float
    pixel_size: float
    points: Float  # (n_points, 3) as (x, y, z) [Å]
    centre: Float  # (3,), about which the spheres lie [Å]
    order: int

    @classmethod
    def of(
        cls,
        values: Float32,
        pixel_size: float,
        diameter: float,
        stage: int,
        centre: Float | None = None,
    ) -> _Sampled:
        """Filter a map and cut the particle out about its centre, or about its centre of mass."""
        resolution = max(diameter / _PERIODS[stage], 2.5 * pixel_size)
        n = len(values)
        small = min(n, 2 * int(np.ceil(n * pixel_size * _VOXELS / resolution / 2)))
        own = n * pixel_size / small
        filtered = lowpass_filter(values, pixel_size, resolution)
        density = fourier_resize_map(filtered, small) if small < n else filtered
        density = density - np.float32(_background(density, diameter / (2 * own)))
        if centre is None:
            centre = _centre_of_mass(density * soft_sphere(small, small / 2 - 2, 2), own)
        index = np.indices(density.shape, dtype=np.float64)[::-1] - small // 2  # (x, y, z)
        radius = np.sqrt(((index - (centre / own)[:, None, None, None]) ** 2).sum(axis=0))
        density = density * np.clip((diameter / (2 * own) + 2 - radius) / 2, 0, 1)
        ring = np.rint(radius).astype(np.int64)
        count = np.maximum(np.bincount(ring.ravel()), 1)
        mean = np.bincount(ring.ravel(), density.ravel()) / count
        centred = density - np.interp(radius, np.arange(len(mean)), mean)
        rng = np.random.Generator(np.random.Philox(key=[_SEED, stage]))
        points = rng.uniform(-diameter / 2, diameter / 2, (4 * _N_POINTS[stage], 3))
        points = points[np.linalg.norm(points, axis=1) < diameter / 2][: _N_POINTS[stage]]
        order = 1 if stage == 0 else 3
        if order > 1:
            from scipy.ndimage import spline_filter

            centred = spline_filter(centred)
        return cls(centred, own, points, centre, order)

    def at(self, positions: Float) -> Float:
        """Values at positions (x, y, z) [Å], shape (...)."""
        from scipy.ndimage import map_coordinates

        index = positions[..., ::-1] / self.pixel_size + len(self.splines) // 2
        flat = index.reshape(-1, 3).T
        found: Float = map_coordinates(self.splines, flat, order=self.order, prefilter=False)
        return found.reshape(positions.shape[:-1])

    def agreement(self, rotations: Float, centre: Float, mates: Float) -> Float:
        """Mean correlation with the mates for each rotation, shape (n_rotations,)."""
        if not len(mates):
            return np.ones(len(rotations))
        here = self.at(self.points + centre)
        here = here - here.mean()
        scores = np.empty(len(rotations))
        for start in range(0, len(rotations), _CHUNK):
            part = rotations[start : start + _CHUNK]
            own = np.einsum("rji,gjk,rkl->rgil", part, mates, part)  # R.T g R
            there = self.at(np.einsum("rgij,pj->rgpi", own, self.points) + centre)
            there -= there.mean(axis=2, keepdims=True)
            norm = np.sqrt((here**2).sum() * (there**2).sum(axis=2))
            scores[start : start + _CHUNK] = ((there @ here) / np.maximum(norm, 1e-30)).mean(axis=1)
        return scores


def _centre_of_mass(density: Float32, pixel_size: float) -> Float:
    """Of what is well above the background (x, y, z) [Å]."""
    above = np.maximum(density - 0.3 * density.max(), 0.0).astype(np.float64)
    axis = (np.arange(len(above)) - len(above) // 2) * pixel_size
    total = max(float(above.sum()), 1e-30)
    sums = [above.sum(axis=(0, 1)), above.sum(axis=(0, 2)), above.sum(axis=(1, 2))]  # x, y, z
    return np.array([float(line @ axis) / total for line in sums])


def _background(values: Float32, radius_px: float) -> float:
    r2 = radius_squared_map(len(values), 3)
    outside = (r2 > radius_px**2) & (r2 < (len(values) // 2) ** 2)
    return float(values[outside].mean()) if outside.any() else float(values.min())


def _grid() -> Float:
    """Rotations about 15 degrees apart, shape (n, 3, 3)."""
    from aurefine.geometry.sampling import coarse_rotations, full_sphere, psi_angles

    psi = psi_angles(_STEP)
    sphere = full_sphere(2)
    return coarse_rotations(
        np.repeat(sphere.pixel, len(psi)), np.tile(psi, sphere.n_directions), 2, np.eye(3)
    )


def _some_mates(group: PointGroup) -> Float:
    """Operators that tell enough of the group: all, or some drawn at random."""
    others = group.matrices[1:]
    if len(others) <= _MOST_MATES:
        return others
    rng = np.random.Generator(np.random.Philox(key=[_SEED, 7]))
    return others[np.sort(rng.permutation(len(others))[:_MOST_MATES])]


def _distinct_best(rotations: Float, scores: Float) -> list[int]:
    """Rows of the best rotations, no two of which are neighbours on the grid."""
    kept: list[int] = []
    for row in np.argsort(-scores):
        trace = np.einsum("kij,ij->k", rotations[kept], rotations[row]) if kept else np.zeros(0)
        if not len(trace) or np.all(trace < 1 + 2 * np.cos(np.deg2rad(1.2 * _STEP))):
            kept.append(int(row))
        if len(kept) == _N_KEPT:
            break
    return kept


def _climb(
    sampled: _Sampled,
    rotation: Float,
    centre: Float,
    mates: Float,
    keeps_centre: bool,
    reach: float,
) -> tuple[Float, Float, float]:
    """Follow the agreement uphill; `reach` is the first step [degrees]."""
    from scipy.optimize import minimize
    from scipy.spatial.transform import Rotation

    length = np.linalg.norm(sampled.points, axis=1).max()
    step = np.deg2rad(reach)

    def place(x: Float) -> tuple[Float, Float]:
        turned = Rotation.from_rotvec(x[:3]).as_matrix() @ rotation
        return turned, centre if keeps_centre else centre + x[3:] * length

    def loss(x: Float) -> float:
        turned, point = place(x)
        return -float(sampled.agreement(turned[None], point, mates)[0])

    n = 3 if keeps_centre else 6
    simplex = np.concatenate([np.zeros((1, n)), step * np.eye(n)])
    result = minimize(
        loss, np.zeros(n), method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 30 * n, "xatol": 2e-4, "fatol": 1e-5},
    )  # fmt: skip
    turned, point = place(result.x)
    return turned, point, -float(result.fun)


def _smallest_rotation(
    rotation: Float, centre: Float, sampled: _Sampled, group: PointGroup
) -> Float:
    """Of all rotations that are as good, the one that turns the map least."""
    if group.name.startswith("C"):  # only the axis is fixed, not its end nor the turn about it
        from scipy.spatial.transform import Rotation

        axis = rotation[2] if rotation[2, 2] >= 0 else -rotation[2]
        vector = np.cross(axis, [0.0, 0.0, 1.0])
        sine = float(np.linalg.norm(vector))
        if sine < 1e-12:
            return np.eye(3)
        turn = np.arctan2(sine, axis[2])
        smallest: Float = Rotation.from_rotvec(vector / sine * turn).as_matrix()
        return smallest
    from aurefine.geometry.symmetry import point_group

    # rotations that may exchange equal axes: those of a cube, and halves of the main turns
    extra = [point_group("O").matrices]
    if group.name.startswith("D"):
        n = int(group.name[1:])
        angles = np.arange(2 * n) * 180.0 / n
        main = matrix_from_euler(angles, 0.0, 0.0)
        extra.append(np.concatenate([main, main @ np.diag([1.0, -1.0, -1.0])]))
    candidates = np.concatenate([group.matrices, *extra])
    keeps = [_maps_group_to_itself(h, group) for h in candidates]
    turned = np.einsum("hij,jk->hik", candidates[keeps], rotation)
    scores = sampled.agreement(turned, centre, _some_mates(group))
    good = turned[scores > scores.max() - 0.01]
    best: Float = good[int(np.argmax(np.einsum("hii->h", good)))]
    return best


def _maps_group_to_itself(h: Float, group: PointGroup) -> bool:
    conjugated = np.einsum("ij,gjk,lk->gil", h, group.matrices, h)
    distance = np.abs(conjugated[:, None] - group.matrices[None]).max(axis=(2, 3))
    return bool((distance.min(axis=1) < 1e-6).all())


def _nearest_centre(rotation: Float, centre: Float, group: PointGroup) -> Float:
    """Leave out the move along the axis of a cyclic group, which nothing fixes."""
    if not group.name.startswith("C"):
        return centre
    axis = rotation.T @ np.array([0.0, 0.0, 1.0])
    moved: Float = centre - (centre @ axis) * axis
    return moved
