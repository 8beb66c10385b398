"""HEALPix grids of viewing directions, whole or restricted to an asymmetric unit (spec 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import healpix
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from aurefine.errors import OptionError
from aurefine.geometry.euler import direction_from_angles
from aurefine.geometry.symmetry import PointGroup, in_asymmetric_unit

__all__ = [
    "DirectionGrid",
    "angular_step",
    "asymmetric_unit",
    "child_pixels",
    "direction_index",
    "full_sphere",
    "grid_from_angles",
    "pixel_angles",
]

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

_MAX_ORDER = 12
_THINNED_BELOW = 4000  # longer lists keep both copies of a direction on a seam


def angular_step(order: int, oversampling: int = 0) -> float:
    """Angular step [degrees] of a HEALPix order, ``360 / (6 * 2**(order + oversampling))``."""
    return 360.0 / (6.0 * 2.0 ** (order + oversampling))


@dataclass(frozen=True, slots=True, eq=False)
class DirectionGrid:
    """A list of sampled viewing directions.

    Attributes
    ----------
    order : int
        HEALPix order; ``12 * 4**order`` pixels cover the sphere.
    pixel : ndarray, shape (n,), int64
        Nested pixel index of each direction.
    rot, tilt : ndarray, shape (n,), float64
        Angles of the pixel centres in degrees; rot in [-180, 180], tilt in [0, 180].
    """

    order: int
    pixel: Int
    rot: Float
    tilt: Float

    @property
    def n_directions(self) -> int:
        """Number of directions in the list."""
        return len(self.pixel)

    @property
    def vectors(self) -> Float:
        """Unit vectors of the directions, shape (n, 3)."""
        return direction_from_angles(self.rot, self.tilt)


def pixel_angles(pixel: npt.ArrayLike, order: int) -> tuple[Float, Float]:
    """Angles of HEALPix pixel centres.

    Parameters
    ----------
    pixel : array_like of int, shape (...)
        Nested pixel indices of the order.
    order : int

    Returns
    -------
    rot, tilt : ndarray, shape (...), float64
        Degrees; rot in [-180, 180], tilt in [0, 180].
    """
    theta, phi = healpix.pix2ang(_n_side(order), np.asarray(pixel), nest=True)
    rot, tilt = np.rad2deg(phi), np.rad2deg(theta)
    return np.where(rot > 180.0, rot - 360.0, rot), tilt


def full_sphere(order: int) -> DirectionGrid:
    """All directions of a HEALPix order, in nested order."""
    pixel = np.arange(12 * _n_side(order) ** 2, dtype=np.int64)
    return DirectionGrid(order, pixel, *pixel_angles(pixel, order))


def asymmetric_unit(order: int, group: PointGroup, *, tilt_limit: float = -91.0) -> DirectionGrid:
    """Directions in one asymmetric unit of a point group, without copies on its seams.

    Parameters
    ----------
    order : int
        HEALPix order.
    group : PointGroup
    tilt_limit : float
        Degrees, off unless its magnitude is below 90. Positive: keep directions at least
        that far from the poles (side views); negative: at most ``-tilt_limit`` (top views).

    Returns
    -------
    DirectionGrid
        In nested order.

    Raises
    ------
    OptionError
        If no direction is left.
    """
    sphere = full_sphere(order)
    keep = _passes_tilt_limit(sphere.tilt, tilt_limit)
    if group.n_operators > 1:
        keep &= in_asymmetric_unit(sphere.vectors, group)
        if 0 < np.count_nonzero(keep) < _THINNED_BELOW:
            rows = np.flatnonzero(keep)
            keep[rows] = _without_copies(sphere.vectors[rows], order, group)
    if not keep.any():
        raise OptionError(
            f"healpix order {order} with symmetry {group.name} and tilt limit {tilt_limit:g} "
            "leaves no direction to search. Use a higher --healpix_order or a wider --limit_tilt."
        )
    return DirectionGrid(order, sphere.pixel[keep], sphere.rot[keep], sphere.tilt[keep])


def grid_from_angles(order: int, rot: npt.ArrayLike, tilt: npt.ArrayLike) -> DirectionGrid:
    """Directions listed in another run's sampling file.

    Parameters
    ----------
    order : int
        HEALPix order of the list.
    rot, tilt : array_like, shape (n,)
        Degrees, rounded or not; each must be the centre of a pixel of that order.

    Returns
    -------
    DirectionGrid
        The same rows in the same order, with exact angles.

    Raises
    ------
    OptionError
        If an angle pair is further than 0.01 degrees from any pixel centre.
    """
    vectors = direction_from_angles(rot, tilt)
    pixel = _pixel_of(vectors, order)
    exact = pixel_angles(pixel, order)
    chord = np.linalg.norm(vectors - direction_from_angles(*exact), axis=-1)
    if np.any(chord > np.deg2rad(0.01)):
        row = int(np.argmax(chord))
        raise OptionError(
            f"direction {row + 1} of the sampling table (rot {np.ravel(rot)[row]:g}, "
            f"tilt {np.ravel(tilt)[row]:g}) is not a HEALPix direction of order {order}."
        )
    return DirectionGrid(order, pixel, *exact)


def child_pixels(pixel: npt.ArrayLike, oversampling: int) -> Int:
    """Pixels of a finer order inside each pixel.

    Parameters
    ----------
    pixel : array_like of int, shape (n,)
        Nested indices.
    oversampling : int
        Number of orders to go down.

    Returns
    -------
    ndarray, shape (n, 4**oversampling), int64
        Nested indices at the finer order.
    """
    n_children = 4**oversampling
    parent = np.asarray(pixel, dtype=np.int64)
    children: Int = parent[..., None] * n_children + np.arange(n_children, dtype=np.int64)
    return children


def direction_index(directions: npt.ArrayLike, grid: DirectionGrid, group: PointGroup) -> Int:
    """Row of a grid to which each direction belongs, symmetry mates taken into account.

    Parameters
    ----------
    directions : array_like, shape (m, 3)
        Viewing directions in the map frame.
    grid : DirectionGrid
        A full sphere or an asymmetric unit of `group`.
    group : PointGroup

    Returns
    -------
    ndarray, shape (m,), int64
        The row nearest to any symmetry mate of the direction; for a full sphere the row
        whose HEALPix pixel holds the direction.
    """
    v = np.asarray(directions, dtype=np.float64)
    if v.ndim != 2 or v.shape[1] != 3:
        raise ValueError(f"directions must have shape (m, 3), not {v.shape}")
    n_pixels = 12 * _n_side(grid.order) ** 2
    if grid.n_directions == n_pixels:
        row_of_pixel = np.empty(n_pixels, dtype=np.int64)
        row_of_pixel[grid.pixel] = np.arange(n_pixels)
        return row_of_pixel[_pixel_of(v, grid.order)]
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    _, nearest = _tree_of_mates(grid, group).query(unit)
    return np.asarray(nearest % grid.n_directions, dtype=np.int64)


@lru_cache(maxsize=4)
def _tree_of_mates(grid: DirectionGrid, group: PointGroup) -> cKDTree:
    """All mates of all directions of a grid; point `i` belongs to row ``i % n_directions``."""
    mates = np.einsum("mi,kij->kmj", grid.vectors, group.matrices)
    return cKDTree(mates.reshape(-1, 3))


def _n_side(order: int) -> int:
    if not 0 <= order <= _MAX_ORDER:
        raise OptionError(f"healpix order {order} is not between 0 and {_MAX_ORDER}.")
    return 1 << int(order)


def _pixel_of(vectors: Float, order: int) -> Int:
    """Nested pixel that holds each vector."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    pixel = healpix.vec2pix(_n_side(order), x, y, z, nest=True)
    return np.asarray(pixel, dtype=np.int64)


def _passes_tilt_limit(tilt: Float, limit: float) -> npt.NDArray[np.bool_]:
    if abs(limit) >= 90.0:
        return np.ones(len(tilt), dtype=np.bool_)
    from_pole = np.minimum(tilt, 180.0 - tilt)
    passes: npt.NDArray[np.bool_] = from_pole >= limit if limit > 0 else from_pole <= -limit
    return passes


def _max_pixel_radius(order: int) -> float:
    """Largest distance [degrees] between the centre and a corner of a pixel of an order.

    The worst pixel lies where the equatorial and polar zones meet, next to the edge of a
    base pixel: its centre is on the ring z = 2/3, its corner on the last polar ring.
    """
    n_side = _n_side(order)
    z_corner = 1.0 - (1.0 - 1.0 / n_side) ** 2 / 3.0
    corner = np.array([np.sqrt(1.0 - z_corner**2), 0.0, z_corner])
    centre = direction_from_angles(45.0 / n_side, np.rad2deg(np.arccos(2.0 / 3.0)))
    return float(np.rad2deg(np.arccos(centre @ corner)))


def _without_copies(vectors: Float, order: int, group: PointGroup) -> npt.NDArray[np.bool_]:
    """Walk through the list and drop every direction that has a mate among those accepted."""
    radius = 0.5 * _max_pixel_radius(order)
    chord = 2.0 * np.sin(np.deg2rad(radius) / 2.0)
    tree = cKDTree(vectors)
    mates = np.einsum("mi,kij->kmj", vectors, group.matrices[1:])  # (n_operators - 1, n, 3)
    pairs = np.concatenate(
        [tree.sparse_distance_matrix(cKDTree(mate), chord, output_type="ndarray") for mate in mates]
    )
    pairs = pairs[(pairs["v"] < chord) & (pairs["j"] < pairs["i"])]
    keep = np.ones(len(vectors), dtype=np.bool_)
    for later, earlier in sorted({(int(i), int(j)) for i, j in pairs[["i", "j"]]}):
        if keep[earlier]:
            keep[later] = False
    return keep
