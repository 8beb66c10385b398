"""Soft circular and spherical masks, and the background that they leave outside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "BackgroundStatistics",
    "apply_circular_mask",
    "background_profile",
    "background_weight",
    "normalisation_statistics",
    "radius_squared_map",
    "soft_sphere",
    "soft_sphere_fill",
]

Real = npt.NDArray[np.floating]


class BackgroundStatistics(NamedTuple):
    """Mean and standard deviation of the pixels outside a circle, one value per image."""

    mean: npt.NDArray[np.float64]  # (n_images,)
    std: npt.NDArray[np.float64]


def radius_squared_map(n: int, ndim: int) -> npt.NDArray[np.int32]:
    """Squared distance from the origin (index ``n // 2``) [px²]; shape (n,) * ndim, int32."""
    axis2 = (np.arange(n, dtype=np.int32) - n // 2) ** 2
    r2 = axis2
    for _ in range(ndim - 1):
        r2 = r2[..., None] + axis2
    return r2


def background_weight(
    n: int, ndim: int, radius_px: float, edge_px: float
) -> npt.NDArray[np.float32]:
    """0 inside the radius, raised cosine up to 1 across the edge, 1 outside; float32."""
    weight: npt.NDArray[np.float32] = background_profile(n, ndim, radius_px, edge_px)[
        radius_squared_map(n, ndim)
    ]
    return weight


def background_profile(
    n: int, ndim: int, radius_px: float, edge_px: float
) -> npt.NDArray[np.float32]:
    """Values of `background_weight` by squared distance from the origin [px²]."""
    if not (radius_px >= 0 and edge_px >= 0):
        raise ValueError(f"radius and edge must not be negative: {radius_px}, {edge_px} px")
    # Distances are roots of whole numbers: one table instead of a float64 box.
    r = np.sqrt(np.arange(ndim * (n // 2) ** 2 + 1, dtype=np.float64))
    outer = radius_px + edge_px
    if edge_px > 0:
        ramp = 0.5 + 0.5 * np.cos(np.pi * (outer - np.clip(r, radius_px, outer)) / edge_px)
    else:
        ramp = np.zeros_like(r)
    return np.where(r < radius_px, 0.0, np.where(r > outer, 1.0, ramp)).astype(np.float32)


def soft_sphere(n: int, radius_px: float, edge_px: float) -> npt.NDArray[np.float32]:
    """Spherical mask around the origin of a map.

    Parameters
    ----------
    n : int
        Box size [px].
    radius_px : float
        Up to here the mask is 1 [px].
    edge_px : float
        Width of the raised-cosine edge outside the radius [px].

    Returns
    -------
    ndarray, shape (n, n, n), float32
    """
    mask = background_weight(n, 3, radius_px, edge_px)
    np.subtract(np.float32(1), mask, out=mask)
    return mask


def soft_sphere_fill(values: Real, radius_px: float, edge_px: float) -> Real:
    """Replace what lies outside a sphere by its mean value.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Map; its dtype is kept.
    radius_px : float
        Voxels within are unchanged [px].
    edge_px : float
        Width of the raised-cosine transition outside the radius [px].

    Returns
    -------
    ndarray, shape (n, n, n)
        A copy without changes if nothing lies outside.
    """
    weight = background_weight(values.shape[-1], 3, radius_px, edge_px)
    total = weight.sum(dtype=np.float64)
    if total == 0:
        return values.copy()
    mean = np.einsum("zyx,zyx->z", weight, values, dtype=np.float64).sum() / total
    filled = values * (np.float32(1) - weight)
    weight *= np.float32(mean)
    filled += weight
    return filled


def apply_circular_mask(
    images: Real, radius_px: float, edge_px: float, fill: Real | None = None
) -> Real:
    """Replace what lies outside a circle by the mean background or by given images.

    Parameters
    ----------
    images : ndarray, shape (n_images, n, n), float
        Particle images; the dtype is kept.
    radius_px : float
        Pixels within are unchanged [px].
    edge_px : float
        Width of the raised-cosine transition outside the radius [px].
    fill : ndarray, shape (n_images, n, n), optional
        Images (noise) to fade to; by default the mean background of each image.

    Returns
    -------
    ndarray, shape (n_images, n, n)
        A copy without changes if the circle leaves no background.
    """
    weight = background_weight(images.shape[-1], 2, radius_px, edge_px)  # (n, n)
    total = weight.sum(dtype=np.float64)
    if total == 0:
        return images.copy()
    masked = images * (np.float32(1) - weight)
    if fill is not None:
        masked += weight * fill
        return masked
    mean = np.einsum("iyx,yx->i", images, weight, dtype=np.float64) / total  # (n_images,)
    masked += weight * mean.astype(images.dtype)[:, None, None]
    return masked


def normalisation_statistics(images: Real, radius_px: float) -> BackgroundStatistics:
    """Mean and standard deviation of the background of each image.

    Parameters
    ----------
    images : ndarray, shape (n_images, n, n), float
        Particle images.
    radius_px : float
        Pixels farther from the origin than this are background [px].

    Returns
    -------
    BackgroundStatistics
        Two arrays of shape (n_images,), float64; population standard deviation.

    Raises
    ------
    ValueError
        If there is no background.
    """
    n = images.shape[-1]
    outside = radius_squared_map(n, 2) > radius_px**2
    if not outside.any():
        raise ValueError(f"no pixel lies outside a circle of {radius_px} px in a box of {n} px")
    background = images[:, outside].astype(np.float64)  # (n_images, n_background)
    return BackgroundStatistics(background.mean(axis=1), background.std(axis=1))
