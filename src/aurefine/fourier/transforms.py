"""Real transforms of maps and image stacks; single precision stays single precision.

Forward transforms have no factor, inverse ones divide by the number of pixels (as NumPy).
The origin of maps and images is at index ``n // 2``; the `centred_*` functions refer phases
to that point, the others to index 0.  Coefficients have DC in the corner in both cases.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "centred_irfft_images",
    "centred_irfft_map",
    "centred_rfft_images",
    "centred_rfft_map",
    "irfft_images",
    "irfft_map",
    "rfft_images",
    "rfft_map",
]

Real = npt.NDArray[np.floating]
Complex = npt.NDArray[np.complexfloating]

_MAP_AXES = (-3, -2, -1)
_IMAGE_AXES = (-2, -1)


def _forward(values: Real, axes: tuple[int, ...], workers: int | None) -> Complex:
    from scipy import fft  # slow to import: not every command transforms maps

    transform: Complex = fft.rfftn(values, axes=axes, workers=workers)
    return transform


def _inverse(
    transform: Complex, n: int, axes: tuple[int, ...], workers: int | None, overwrite: bool = False
) -> Real:
    from scipy import fft

    values: Real = fft.irfftn(
        transform, s=(n,) * len(axes), axes=axes, workers=workers, overwrite_x=overwrite
    )
    return values


def rfft_map(values: npt.NDArray[Any], workers: int | None = None) -> Complex:
    """Transform a map; (n, n, n) real to (n, n, n // 2 + 1) complex, phases from index 0."""
    return _forward(values, _MAP_AXES, workers)


def irfft_map(
    transform: Complex, n: int, workers: int | None = None, *, overwrite: bool = False
) -> Real:
    """Invert `rfft_map` for box size `n` [px]; `overwrite` allows to spoil the input."""
    return _inverse(transform, n, _MAP_AXES, workers, overwrite)


def rfft_images(images: npt.NDArray[Any], workers: int | None = None) -> Complex:
    """Transform images; (..., n, n) real to (..., n, n // 2 + 1), phases from index 0."""
    return _forward(images, _IMAGE_AXES, workers)


def irfft_images(transform: Complex, n: int, workers: int | None = None) -> Real:
    """Invert `rfft_images` for box size `n` [px]."""
    return _inverse(transform, n, _IMAGE_AXES, workers)


def centred_rfft_map(values: npt.NDArray[Any], workers: int | None = None) -> Complex:
    """Transform a map with phases that refer to its origin, index ``n // 2``."""
    return _forward(np.fft.ifftshift(values, axes=_MAP_AXES), _MAP_AXES, workers)


def centred_irfft_map(transform: Complex, n: int, workers: int | None = None) -> Real:
    """Invert `centred_rfft_map` for box size `n` [px]."""
    values: Real = np.fft.fftshift(_inverse(transform, n, _MAP_AXES, workers), axes=_MAP_AXES)
    return values


def centred_rfft_images(images: npt.NDArray[Any], workers: int | None = None) -> Complex:
    """Transform images (..., n, n) with phases that refer to their origin, ``n // 2``."""
    return _forward(np.fft.ifftshift(images, axes=_IMAGE_AXES), _IMAGE_AXES, workers)


def centred_irfft_images(transform: Complex, n: int, workers: int | None = None) -> Real:
    """Invert `centred_rfft_images` for box size `n` [px]."""
    values: Real = np.fft.fftshift(_inverse(transform, n, _IMAGE_AXES, workers), axes=_IMAGE_AXES)
    return values
