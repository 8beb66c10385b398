"""Change the box of particle images: resample by Fourier crop or pad, or cut about a centre."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from aurefine.fourier.resize import crop_transform, fourier_resize_images

__all__ = ["rescale_images", "window_about"]


def rescale_images(
    images: npt.NDArray[np.float32], size: int, *, has_level: bool = True
) -> npt.NDArray[np.float32]:
    """Resample square images to another box by cropping or padding their Fourier transforms.

    Parameters
    ----------
    images : ndarray, shape (n, box, box), float32
        `box` is even.
    size : int
        New box size [px], even; the pixel size becomes ``pixel_size * box / size``.
    has_level : bool
        Whether the grey level may be far from 0 and must not cost precision.

    Returns
    -------
    rescaled : ndarray, shape (n, size, size), float32
        Pixel 0 stays at pixel 0 and grey values are kept.

    Raises
    ------
    ValueError
        If a box is not even or the images are not square.
    """
    box = images.shape[-1]
    if images.ndim != 3 or images.shape[1] != box or box % 2 or size % 2 or size < 2:
        raise ValueError(f"expected even square images and size: {images.shape}, {size}")
    if size == box:
        return images
    if not has_level:
        return _resample(images, size)
    # The mean goes around the transform, so that single precision serves any grey level; the
    # mean itself need not be precise for that.
    means = images.reshape(len(images), -1).mean(axis=1)[:, None, None]  # (n, 1, 1)
    resampled = _resample(images - means, size)
    resampled += means
    return resampled


def _resample(images: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    if size < images.shape[-1]:
        return _crop(images, size)
    return fourier_resize_images(images, size).astype(np.float32, copy=False)


def _crop(images: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Do what `fourier_resize_images` does, without transforming columns that are dropped."""
    # "forward" puts the whole factor into the forward transforms, where it costs nothing
    columns = fft.rfft(images, axis=2, norm="forward")[:, :, : size // 2 + 1]
    spectrum = fft.fft(columns, axis=1, norm="forward")  # (n, box, size // 2 + 1)
    cropped = crop_transform(spectrum, size, 2)  # (n, size, size // 2 + 1)
    rows = fft.ifft(cropped, axis=1, norm="forward", overwrite_x=True)
    resampled: npt.NDArray[np.float32] = fft.irfft(rows, n=size, axis=2, norm="forward")
    return resampled


def window_about(
    images: npt.NDArray[np.float32], size: int, centre: int
) -> npt.NDArray[np.float32]:
    """Crop images, or pad them with zeros, about a pixel.

    Parameters
    ----------
    images : ndarray, shape (n, box, box), float32
    size : int
        New box size [px].
    centre : int
        Index in the old box, on both axes, that becomes ``size // 2``.

    Returns
    -------
    windowed : ndarray, shape (n, size, size), float32
    """
    n, box, _ = images.shape
    first = centre - size // 2
    start, stop = max(first, 0), min(first + size, box)
    windowed = np.zeros((n, size, size), dtype=np.float32)
    if start < stop:
        inside = slice(start - first, stop - first)
        windowed[:, inside, inside] = images[:, start:stop, start:stop]
    return windowed
