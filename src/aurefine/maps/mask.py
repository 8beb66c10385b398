"""Solvent masks: threshold, grow or shrink, soft edge; and soft spherical shells."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from aurefine.imaging import radius_squared_map

__all__ = ["COMBINATIONS", "automatic_threshold", "binarise", "grow", "shell_mask", "soften"]

Real = npt.NDArray[np.floating]
Binary = npt.NDArray[np.bool_]
Mask = npt.NDArray[np.float32]

COMBINATIONS = ("and", "or", "and_not", "or_not")

_SLAB = 64  # planes per piece of the distance transform


def automatic_threshold(values: Real) -> float:
    """Grey value that separates a (low-pass filtered) map from its background.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx), float
        Map with a background that fills most of the box.

    Returns
    -------
    float
        Mean of the background plus four standard deviations, but not below the middle between
        background and Otsu's threshold, nor above the latter.  Otsu's threshold itself lies well
        inside the object, whose density falls off smoothly.

    Raises
    ------
    ValueError
        If the map is constant.

    References
    ----------
    Otsu (1979), IEEE Trans. Syst. Man Cybern. 9, 62-66.
    """
    counts, edges = np.histogram(values, bins=1024)
    if np.count_nonzero(counts) < 2:
        raise ValueError("the map is constant: no threshold separates an object from it")
    levels = (edges[:-1] + edges[1:]) / 2
    n_below = np.cumsum(counts)[:-1]
    n_above = values.size - n_below
    sum_below = np.cumsum(counts * levels)[:-1]
    sum_above = np.sum(counts * levels) - sum_below
    difference = sum_above / n_above - sum_below / n_below
    between = n_below.astype(np.float64) * n_above * difference**2
    plateau = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    otsu = (edges[plateau[0] + 1] + edges[plateau[-1] + 1]) / 2
    background = (levels < otsu) * counts
    mean = np.average(levels, weights=background)
    deviation = np.sqrt(np.average((levels - mean) ** 2, weights=background))
    return float(np.clip(mean + 4 * deviation, (mean + otsu) / 2, otsu))


def binarise(
    values: Real, threshold: float, other: Real | None = None, how: str | None = None
) -> Binary:
    """Voxels of a map that reach a threshold, optionally combined with those of another map.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx), float
        Map.
    threshold : float
        Grey value from which on a voxel belongs to the mask.  In combinations it has to be
        exceeded.
    other : ndarray, shape (nz, ny, nx), float, optional
        Second map.
    how : {"and", "or", "and_not", "or_not"}, optional
        Combination; the second map counts where it is above, for *not* below the threshold.

    Returns
    -------
    ndarray, shape (nz, ny, nx), bool
    """
    if other is None:
        inside: Binary = values >= threshold
        return inside
    if how not in COMBINATIONS:
        raise ValueError(f"combination must be one of {', '.join(COMBINATIONS)}, not {how}")
    if values.shape != other.shape:
        raise ValueError(f"maps differ in shape: {values.shape}, {other.shape}")
    first: Binary = values > threshold
    second = other < threshold if how.endswith("_not") else other > threshold
    return first & second if how.startswith("and") else first | second


def _distance_slabs(
    target: Binary, reach: float, workers: int
) -> Iterator[tuple[slice, npt.NDArray[np.float64] | None]]:
    """Euclidean distance [px] to the nearest target voxel, right up to `reach`, in slabs.

    A slab without a target within reach comes as None.
    """
    margin = int(np.ceil(reach)) + 1
    n = len(target)

    def distance(start: int) -> tuple[slice, npt.NDArray[np.float64] | None]:
        stop = min(n, start + _SLAB)
        low, high = max(0, start - margin), min(n, stop + margin)
        part = target[low:high]
        if not part.any():
            return slice(start, stop), None
        far = ndimage.distance_transform_edt(~part)
        return slice(start, stop), far[start - low : stop - low]

    starts = range(0, n, _SLAB)
    if workers <= 1:
        yield from map(distance, starts)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(distance, starts)


def grow(inside: Binary, by_px: float, *, workers: int = 1) -> Binary:
    """Grow (or, if negative, shrink) a binary mask.

    Parameters
    ----------
    inside : ndarray, shape (nz, ny, nx), bool
        Mask; the box has no periodic neighbours.
    by_px : float
        A voxel changes if one of the other kind is nearer than this [px].
    workers : int
        Threads.

    Returns
    -------
    ndarray, shape (nz, ny, nx), bool
    """
    if by_px == 0:
        return inside.copy()
    grown = inside.copy()
    target = inside if by_px > 0 else ~inside
    for slab, distance in _distance_slabs(target, abs(by_px), workers):
        if distance is not None:
            grown[slab][distance < abs(by_px)] = by_px > 0
    return grown


def soften(inside: Binary, width_px: float, *, workers: int = 1) -> Mask:
    """Mask with a raised-cosine edge outside a binary one.

    Parameters
    ----------
    inside : ndarray, shape (nz, ny, nx), bool
        Where the mask is 1.
    width_px : float
        Width of the edge [px].
    workers : int
        Threads.

    Returns
    -------
    ndarray, shape (nz, ny, nx), float32
        ``0.5 + 0.5 * cos(pi * d / width)`` at distance ``d < width``; 0 farther outside.
    """
    mask = inside.astype(np.float32)
    if width_px <= 0:
        return mask
    for slab, distance in _distance_slabs(inside, width_px, workers):
        if distance is not None:
            edge = distance < width_px
            mask[slab][edge] = 0.5 + 0.5 * np.cos(np.pi * distance[edge] / width_px)
    return mask


def shell_mask(
    n: int,
    inner_px: float,
    outer_px: float,
    width_px: float,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Mask:
    """Spherical shell with soft edges.

    Parameters
    ----------
    n : int
        Box size [px].
    inner_px, outer_px : float
        The mask is 1 between these radii [px].
    width_px : float
        Width of the raised-cosine edges inside the inner and outside the outer radius [px].
    centre : tuple of float
        x, y, z of the centre relative to the origin (index ``n // 2``) [px].

    Returns
    -------
    ndarray, shape (n, n, n), float32
    """
    if centre == (0.0, 0.0, 0.0):
        # Radii are roots of whole numbers: a table instead of a float64 box.
        radius = np.sqrt(np.arange(3 * (n // 2) ** 2 + 1, dtype=np.float64))
        profile = _shell_profile(radius, inner_px, outer_px, width_px).astype(np.float32)
        mask: Mask = profile[radius_squared_map(n, 3)]
        return mask
    mask = np.empty((n, n, n), dtype=np.float32)
    x, y, z = ((np.arange(n) - n // 2 - c) ** 2 for c in centre)
    for plane, z2 in zip(mask, z, strict=True):
        r = np.sqrt(z2 + y[:, None] + x[None, :])
        plane[:] = _shell_profile(r, inner_px, outer_px, width_px)
    return mask


def _shell_profile(
    r: npt.NDArray[np.float64], inner: float, outer: float, width: float
) -> npt.NDArray[np.float64]:
    if width <= 0:
        return np.where((r >= inner) & (r <= outer), 1.0, 0.0)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(r - inner + width, 0, width) / width)
    fall = 0.5 - 0.5 * np.cos(np.pi * np.clip(outer + width - r, 0, width) / width)
    return np.where(r < inner, rise, np.where(r <= outer, 1.0, fall))
