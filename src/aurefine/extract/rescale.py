"""Resample particle images by cropping or padding their Fourier transforms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.fourier.block_crop import BlockCrop
from aurefine.fourier.resize import fourier_resize_images

__all__ = ["rescale_images"]


def rescale_images(
    images: npt.NDArray[np.float32],
    size: int,
    *,
    has_level: bool = True,
    crop: BlockCrop | None = None,
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
    crop : BlockCrop, optional
        From these boxes to a smaller `size`, made before, so that its memory serves again.

    Returns
    -------
    rescaled : ndarray, shape (n, size, size), float32
        Pixel 0 stays at pixel 0 and grey values are kept; valid until the next call of
        `crop`.

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
        return _resample(images, size, crop)
    # The mean goes around the transform, so that single precision serves any grey level; the
    # mean itself need not be precise for that.
    means = images.reshape(len(images), -1).mean(axis=1)[:, None, None]  # (n, 1, 1)
    resampled = _resample(images - means, size, crop)
    resampled += means
    return resampled


def _resample(
    images: npt.NDArray[np.float32], size: int, crop: BlockCrop | None
) -> npt.NDArray[np.float32]:
    if size > images.shape[-1]:
        return fourier_resize_images(images, size).astype(np.float32, copy=False)
    return (crop or BlockCrop(len(images), images.shape[-1], size))(images)
