"""Neighbourhoods of directions and in-plane angles for local searches (spec 3.8)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from aurefine.geometry.directions import full_sphere

__all__ = ["neighbourhoods", "psi_windows"]

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

_CHUNK = 8_000_000  # pairs in one working array


def neighbourhoods(centres: npt.ArrayLike, order: int, cutoff: float) -> tuple[Int, Int, Float]:
    """Directions of the full sphere around each centre.

    Parameters
    ----------
    centres : array_like, shape (m, 3)
        Unit vectors.
    order : int
        HEALPix order of the directions.
    cutoff : float
        Degrees; directions with a smaller angle to the centre are taken, or the nearest
        one if there is none.

    Returns
    -------
    indptr : ndarray, shape (m + 1,), int64
        Row `i` of the lists is ``indptr[i]:indptr[i + 1]``.
    pixel : ndarray, shape (n,), int64
        Nested pixel indices, ascending within a row.
    angle : ndarray, shape (n,), float64
        Angle to the centre in degrees.
    """
    v = np.asarray(centres, dtype=np.float64)
    if v.ndim != 2 or v.shape[1] != 3:
        raise ValueError(f"centres must have shape (m, 3), not {v.shape}")
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    tree = _sphere_tree(order)
    # a chord that is surely long enough; the angles are compared below
    reach = 2.0 * np.sin(np.deg2rad(min(max(cutoff, 0.0), 180.0)) / 2.0) * (1 + 1e-9) + 1e-12
    expected = max(1.0, tree.n * reach**2 / 4.0)
    step = max(1, int(_CHUNK / expected))
    parts = [
        _neighbourhood_part(v[start : start + step], tree, reach, cutoff)
        for start in range(0, len(v), step)
    ]
    counts = np.concatenate([np.zeros(1, dtype=np.int64), *(part[0] for part in parts)])
    pixel = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in parts)])
    angle = np.concatenate([np.empty(0), *(part[2] for part in parts)])
    return np.cumsum(counts), pixel, angle


def psi_windows(psi: npt.ArrayLike, n_psi: int, cutoff: float) -> tuple[Int, Int, Float]:
    """In-plane angles of a regular grid around each particle's angle.

    Parameters
    ----------
    psi : array_like, shape (m,)
        Centres in degrees.
    n_psi : int
        Number of grid angles; angle `k` is ``k * 360 / n_psi`` degrees.
    cutoff : float
        Degrees; angles that differ by less are taken, or the nearest one if there is none.

    Returns
    -------
    indptr : ndarray, shape (m + 1,), int64
        Row `i` of the lists is ``indptr[i]:indptr[i + 1]``.
    index : ndarray, shape (n,), int64
        Grid indices, ascending within a row.
    difference : ndarray, shape (n,), float64
        Difference from the centre in degrees, in [0, 180].
    """
    centre = np.asarray(psi, dtype=np.float64)
    if centre.ndim != 1 or n_psi < 1:
        raise ValueError(f"psi must be a list and n_psi positive, not {centre.shape}, {n_psi}")
    step = 360.0 / n_psi
    nearest = np.rint(centre / step).astype(np.int64)
    half = min(int(max(cutoff, 0.0) / step) + 1, (n_psi + 1) // 2)
    reach = np.arange(-half, half + 1)[:n_psi]
    index = np.sort((nearest[:, None] + reach) % n_psi, axis=1)  # (m, window)
    difference = np.abs((index * step - centre[:, None] + 180.0) % 360.0 - 180.0)
    taken = difference < cutoff
    empty = np.flatnonzero(~taken.any(axis=1))
    taken[empty, np.argmin(difference[empty], axis=1)] = True
    indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(taken.sum(axis=1))])
    return indptr, index[taken], difference[taken]


@lru_cache(maxsize=2)
def _sphere_tree(order: int) -> cKDTree:
    return cKDTree(full_sphere(order).vectors)


def _neighbourhood_part(
    centres: Float, tree: cKDTree, reach: float, cutoff: float
) -> tuple[Int, Int, Float]:
    """Number of directions per centre, their pixels and angles."""
    pairs = cKDTree(centres).sparse_distance_matrix(tree, reach, output_type="ndarray")
    angle = _angle_of_chord(pairs["v"])
    near = angle < cutoff
    row, pixel, angle = pairs["i"][near], pairs["j"][near], angle[near]
    empty = np.flatnonzero(np.bincount(row, minlength=len(centres)) == 0)
    if len(empty):
        chord, nearest = tree.query(centres[empty])
        row = np.concatenate([row, empty])
        pixel = np.concatenate([pixel, nearest])
        angle = np.concatenate([angle, _angle_of_chord(chord)])
    order = np.lexsort((pixel, row))
    count = np.bincount(row, minlength=len(centres)).astype(np.int64)
    return count, pixel[order].astype(np.int64), angle[order]


def _angle_of_chord(chord: Float) -> Float:
    return np.asarray(np.rad2deg(2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))))
