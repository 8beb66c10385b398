"""Radial filters of maps and images: low-pass, high-pass, B-factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aurefine.fourier.shells import radius_squared, rfft_slabs
from aurefine.fourier.transforms import irfft_images, irfft_map, rfft_images, rfft_map

__all__ = [
    "apply_bfactor",
    "bfactor_profile",
    "highpass_filter",
    "lowpass_filter",
    "lowpass_profile",
    "multiply_images_radially",
    "multiply_radially",
]

Real = npt.NDArray[np.floating]
Complex = npt.NDArray[np.complexfloating]
Profile = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def _half_away(value: float) -> float:
    return float(np.floor(value + 0.5))


def lowpass_profile(
    n: int,
    pixel_size: float,
    resolution: float,
    *,
    edge_shells: int = 2,
    whole_shell: bool = False,
) -> Profile:
    """Raised-cosine low-pass as a function of the radius in Fourier shells.

    Parameters
    ----------
    n : int
        Box size [px].
    pixel_size : float
        [Å].
    resolution : float
        [Å]; the profile is 0.5 at radius ``r0 = n * pixel_size / resolution``.
    edge_shells : int
        Width of the edge; the profile falls from 1 at ``r0 - edge // 2`` to 0 at
        ``r0 + edge // 2``.
    whole_shell : bool
        Round `r0` to a whole shell first (map tools).

    Returns
    -------
    callable
        Maps radii [shells] to factors, float64.

    Raises
    ------
    ValueError
        If pixel size or resolution is not positive, or the edge is negative.
    """
    if not (pixel_size > 0 and resolution > 0):
        raise ValueError(f"need positive pixel size and resolution: {pixel_size}, {resolution} Å")
    if edge_shells < 0:
        raise ValueError(f"edge width must not be negative, got {edge_shells}")
    radius = n * pixel_size / resolution
    if whole_shell:
        radius = _half_away(radius)
    half = edge_shells // 2
    low = max(0.0, radius - half)
    high = radius + half

    def profile(r: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if high <= low:
            return np.where(r > high, 0.0, 1.0)
        ramp = 0.5 + 0.5 * np.cos(np.pi * (np.clip(r, low, high) - low) / (high - low))
        return np.where(r < low, 1.0, np.where(r > high, 0.0, ramp))

    return profile


def bfactor_profile(n: int, pixel_size: float, bfactor: float) -> Profile:
    """Factor exp(-B s² / 4) as a function of the radius in shells; 0 beyond Nyquist.

    Parameters
    ----------
    n : int
        Box size [px].
    pixel_size : float
        [Å].
    bfactor : float
        B [Å²]; negative values sharpen.
    """
    if not pixel_size > 0:
        raise ValueError(f"need a positive pixel size, got {pixel_size} Å")

    def profile(r: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        inside = r <= n / 2
        s2 = (np.where(inside, r, 0.0) / (n * pixel_size)) ** 2
        return np.where(inside, np.exp(-bfactor / 4 * s2), 0.0)

    return profile


def multiply_radially(transform: Complex, profile: Profile) -> None:
    """Multiply the transform of a map by a radial profile, in place.

    Parameters
    ----------
    transform : ndarray, shape (n, n, n // 2 + 1), complex
        Transform of a map; for images see `multiply_images_radially`.
    profile : callable
        Factor as a function of the radius in shells.
    """
    n = transform.shape[1]
    table = _profile_table(profile, 3 * (n // 2) ** 2, transform.real.dtype)
    for slab, r2 in rfft_slabs(n):
        transform[slab] *= table[r2]


def multiply_images_radially(transform: Complex, profile: Profile) -> None:
    """Multiply transforms of images (..., n, n // 2 + 1) by a radial profile, in place."""
    n = transform.shape[-2]
    table = _profile_table(profile, 2 * (n // 2) ** 2, transform.real.dtype)
    transform *= table[radius_squared(n, ndim=2)]


def _profile_table(profile: Profile, maximum: int, dtype: npt.DTypeLike) -> Real:
    """Profile for every squared radius; radii are roots of integers, so that few are needed."""
    table: Real = profile(np.sqrt(np.arange(maximum + 1, dtype=np.float64))).astype(dtype)
    return table


def _filter(values: Real, profile: Profile, workers: int | None, is_map: bool) -> Real:
    n = values.shape[-1]
    if is_map:
        transform = rfft_map(values, workers)
        multiply_radially(transform, profile)
        return irfft_map(transform, n, workers, overwrite=True)
    transform = rfft_images(values, workers)
    multiply_images_radially(transform, profile)
    return irfft_images(transform, n, workers)


def _is_map(values: Real, as_images: bool) -> bool:
    n = values.shape[-1]
    if values.shape[-2] != n:
        raise ValueError(f"not a square image or a cubic map: {values.shape}")
    if as_images or values.ndim == 2:
        return False
    if values.shape != (n, n, n):
        raise ValueError(f"not a cubic map: {values.shape}")
    return True


def lowpass_filter(
    values: Real,
    pixel_size: float,
    resolution: float,
    edge_shells: int = 2,
    *,
    whole_shell: bool = False,
    as_images: bool = False,
    workers: int | None = None,
) -> Real:
    """Low-pass filter with a raised-cosine edge.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), (n, n) or, as images, (..., n, n)
        Map or images; the dtype is kept.
    pixel_size : float
        [Å].
    resolution : float
        Where the filter is 0.5 [Å].
    edge_shells : int
        Width of the edge in Fourier shells.
    whole_shell : bool
        Round the cut-off to a whole shell, as the map tools do.
    as_images : bool
        The leading axis of a three-dimensional array counts images.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    ndarray
        The same shape and dtype.
    """
    profile = lowpass_profile(
        values.shape[-1],
        pixel_size,
        resolution,
        edge_shells=edge_shells,
        whole_shell=whole_shell,
    )
    return _filter(values, profile, workers, _is_map(values, as_images))


def highpass_filter(
    values: Real,
    pixel_size: float,
    resolution: float,
    edge_shells: int = 2,
    *,
    whole_shell: bool = False,
    as_images: bool = False,
    workers: int | None = None,
) -> Real:
    """High-pass filter: one minus the low-pass filter of the same parameters."""
    lowpass = lowpass_profile(
        values.shape[-1],
        pixel_size,
        resolution,
        edge_shells=edge_shells,
        whole_shell=whole_shell,
    )
    return _filter(values, lambda r: 1.0 - lowpass(r), workers, _is_map(values, as_images))


def apply_bfactor(
    values: Real,
    pixel_size: float,
    bfactor: float,
    *,
    as_images: bool = False,
    workers: int | None = None,
) -> Real:
    """Multiply the transform by exp(-B s² / 4) up to Nyquist and by 0 beyond.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), (n, n) or, as images, (..., n, n)
        Map or images; the dtype is kept.
    pixel_size : float
        [Å].
    bfactor : float
        B [Å²]; negative values sharpen.
    as_images : bool
        The leading axis of a three-dimensional array counts images.
    workers : int, optional
        Threads of the transforms.
    """
    profile = bfactor_profile(values.shape[-1], pixel_size, bfactor)
    return _filter(values, profile, workers, _is_map(values, as_images))
