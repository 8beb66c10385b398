"""Change the pixel size (crop and pad in Fourier space) or the box (crop and pad in space)."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from aurefine.fourier.shells import radius_squared
from aurefine.fourier.transforms import irfft_images, irfft_map, rfft_images, rfft_map

__all__ = [
    "crop_transform",
    "fourier_resize_images",
    "fourier_resize_map",
    "pad_transform",
    "window_images",
    "window_map",
]

Real = npt.NDArray[np.floating]
Complex = npt.NDArray[np.complexfloating]


def _blocks(n: int) -> tuple[tuple[slice, slice], ...]:
    """Pairs of equal frequencies on a full axis: non-negative, then negative ones.

    The slices hold for the axis of the small grid of `n` (from the front) and, as they count
    negative frequencies from the end, for any larger grid.
    """
    n_negative = (n - 1) // 2
    front = slice(0, n - n_negative)
    if n_negative == 0:
        return ((front, front),)
    back = slice(-n_negative, None)
    return ((front, front), (back, back))


def _paired_blocks(n: int, ndim: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    pairs = []
    for axes in product(_blocks(n), repeat=ndim - 1):
        small = tuple(pair[0] for pair in axes)
        large = tuple(pair[1] for pair in axes)
        pairs.append((small, large))
    return pairs


def crop_transform(
    transform: Complex, new_size: int, ndim: int, *, out: Complex | None = None
) -> Complex:
    """Keep the coefficients of the frequencies that a smaller box has.

    Parameters
    ----------
    transform : ndarray, shape (..., n, n // 2 + 1) or (..., n, n, n // 2 + 1), complex
        DC in the corner.
    new_size : int
        Smaller box size [px].
    ndim : {2, 3}
        Number of transformed axes.
    out : ndarray, optional
        Memory for the result.

    Returns
    -------
    ndarray, complex
        The same dtype; the Nyquist rows hold the coefficients of frequency ``+new_size / 2``.
    """
    columns = slice(0, new_size // 2 + 1)
    lead = transform.shape[: transform.ndim - ndim]
    shape = lead + (new_size,) * (ndim - 1) + (new_size // 2 + 1,)
    cropped = np.empty(shape, dtype=transform.dtype) if out is None else out
    every = (slice(None),) * len(lead)
    for small, large in _paired_blocks(new_size, ndim):
        cropped[every + small] = transform[(*every, *large, columns)]
    return cropped


def pad_transform(transform: Complex, new_size: int, ndim: int) -> Complex:
    """Place a transform into that of a larger box; corners beyond Nyquist are dropped.

    Parameters
    ----------
    transform : ndarray, shape (..., n, n // 2 + 1) or (..., n, n, n // 2 + 1), complex
        DC in the corner.
    new_size : int
        Larger box size [px].
    ndim : {2, 3}
        Number of transformed axes.

    Returns
    -------
    ndarray, complex
        The same dtype; only frequencies within a radius of ``n / 2`` are copied.
    """
    n = transform.shape[-2]
    columns = slice(0, n // 2 + 1)
    lead = transform.shape[: transform.ndim - ndim]
    shape = lead + (new_size,) * (ndim - 1) + (new_size // 2 + 1,)
    padded = np.zeros(shape, dtype=transform.dtype)
    inside = radius_squared(n, ndim=ndim) <= (n // 2) ** 2
    every = (slice(None),) * len(lead)
    for small, large in _paired_blocks(n, ndim):
        padded[(*every, *large, columns)] = transform[every + small] * inside[small]
    return padded


def _check_size(new_size: int) -> None:
    if new_size < 1:
        raise ValueError(f"box size must be positive, got {new_size}")


def fourier_resize_map(values: Real, new_size: int, workers: int | None = None) -> Real:
    """Re-sample a map to another box size by cropping or padding its transform.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Map; its dtype is kept.
    new_size : int
        New box size [px]; the new pixel size is ``n * pixel_size / new_size``.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    ndarray, shape (new_size, new_size, new_size)
        Grey values are preserved; index 0 stays at index 0, so that the origin of even boxes
        stays the origin.
    """
    _check_size(new_size)
    n = values.shape[-1]
    if new_size == n:
        return values.copy()
    change = crop_transform if new_size < n else pad_transform
    transform = change(rfft_map(values, workers), new_size, 3)
    resized = irfft_map(transform, new_size, workers, overwrite=True)
    resized *= resized.dtype.type((new_size / n) ** 3)
    return resized


def fourier_resize_images(images: Real, new_size: int, workers: int | None = None) -> Real:
    """Re-sample square images (..., n, n) as `fourier_resize_map` does with maps."""
    _check_size(new_size)
    n = images.shape[-1]
    if new_size == n:
        return images.copy()
    change = crop_transform if new_size < n else pad_transform
    resized = irfft_images(change(rfft_images(images, workers), new_size, 2), new_size, workers)
    resized *= resized.dtype.type((new_size / n) ** 2)
    return resized


def _window(
    values: Real, new_shape: tuple[int, ...], fill: float, centre: int | None = None
) -> Real:
    lead = values.ndim - len(new_shape)
    out = np.full(values.shape[:lead] + new_shape, fill, dtype=values.dtype)
    source = [slice(None)] * lead
    target = [slice(None)] * lead
    for old, new in zip(values.shape[lead:], new_shape, strict=True):
        first = (old // 2 if centre is None else centre) - new // 2  # source index of target 0
        start, stop = max(0, first), max(0, min(old, first + new))
        if start >= stop:
            return out
        source.append(slice(start, stop))
        target.append(slice(start - first, stop - first))
    out[tuple(target)] = values[tuple(source)]
    return out


def window_map(values: Real, new_size: int, *, fill: float = 0.0) -> Real:
    """Cut out or pad a map so that origins (index ``n // 2``) coincide.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx)
        Map; its dtype is kept.
    new_size : int
        New box size [px], even or odd.
    fill : float
        Value outside the old box.

    Returns
    -------
    ndarray, shape (new_size, new_size, new_size)
    """
    _check_size(new_size)
    return _window(values, (new_size,) * 3, fill)


def window_images(
    images: Real,
    new_size: int | tuple[int, int],
    *,
    fill: float = 0.0,
    centre: int | None = None,
) -> Real:
    """Cut out or pad images (..., ny, nx) so that origins coincide; size or (new_ny, new_nx).

    With `centre`, that index of both axes takes the place of the origin of the old box.
    """
    shape = (new_size, new_size) if isinstance(new_size, int) else new_size
    for size in shape:
        _check_size(size)
    return _window(images, shape, fill, centre)
