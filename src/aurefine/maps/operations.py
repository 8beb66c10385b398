"""Elementary operations on maps and image stacks, with RELION's rounding rules.

A map is (nz, ny, nx); `as_images` says that the first axis of a three-dimensional array counts
images instead.  Origins are at index ``n // 2``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.fourier import (
    fourier_resize_images,
    fourier_resize_map,
    window_images,
    window_map,
)
from aurefine.geometry.symmetry import point_group

__all__ = [
    "centre_of_mass",
    "divide_safely",
    "flip",
    "invert_hand",
    "pad_to_square",
    "rescale",
    "rescaled_size",
    "set_box",
    "shift_content",
    "symmetrise",
]

Real = npt.NDArray[np.floating]

_SMALLEST_DIVISOR = 1e-10


def _half_away(value: float) -> int:
    return int(np.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


def rescaled_size(n: int, pixel_size: float, requested: float) -> tuple[int, float]:
    """Even box and true pixel size nearest to a requested pixel size.

    Parameters
    ----------
    n : int
        Box size [px].
    pixel_size, requested : float
        Present and wanted pixel size [Å].

    Returns
    -------
    new_size : int
        Rounded to whole pixels, then down to an even number.
    new_pixel_size : float
        ``n * pixel_size / new_size`` [Å].

    Raises
    ------
    ValueError
        If a pixel size is not positive or no pixel would be left.
    """
    if not (pixel_size > 0 and requested > 0):
        raise ValueError(f"pixel sizes must be positive: {pixel_size}, {requested} Å")
    new_size = _half_away(n * pixel_size / requested)
    new_size -= new_size % 2
    if new_size < 2:
        raise ValueError(
            f"a box of {n} px at {pixel_size:g} Å has no pixels left at {requested:g} Å per pixel"
        )
    return new_size, n * pixel_size / new_size


def pad_to_square(images: Real, fill: Real | float = 0.0) -> Real:
    """Pad images (..., ny, nx) to a square of the larger size, origins aligned.

    Parameters
    ----------
    images : ndarray, shape (..., ny, nx), float
        The dtype is kept.
    fill : float or ndarray, shape (..., size, size)
        What stands around the images.
    """
    ny, nx = images.shape[-2:]
    size = max(ny, nx)
    if ny == nx:
        return images
    square = np.broadcast_to(
        np.asarray(fill, dtype=images.dtype), (*images.shape[:-2], size, size)
    ).copy()
    first_y, first_x = size // 2 - ny // 2, size // 2 - nx // 2
    square[..., first_y : first_y + ny, first_x : first_x + nx] = images
    return square


def rescale(
    values: Real,
    pixel_size: float,
    requested: float,
    *,
    as_images: bool = False,
    workers: int | None = None,
) -> tuple[Real, float]:
    """Re-sample in Fourier space to about a requested pixel size.

    Parameters
    ----------
    values : ndarray, shape (n, n, n) or (..., ny, nx), float
        Cubic map or images; the dtype is kept.
    pixel_size, requested : float
        Present and wanted pixel size [Å].
    as_images : bool
        The leading axis counts images.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    rescaled : ndarray
        In the box of `rescaled_size`; images that are not square are handled in a square and
        cut out again, with even sizes.
    new_pixel_size : float
        True pixel size [Å].
    """
    if values.ndim == 3 and not as_images:
        n = values.shape[0]
        if values.shape != (n, n, n):
            shape = " x ".join(str(size) for size in values.shape[::-1])
            raise ValueError(f"{shape} px, but only cubic maps can be rescaled")
        new_size, new_pixel_size = rescaled_size(n, pixel_size, requested)
        return fourier_resize_map(values, new_size, workers), new_pixel_size
    ny, nx = values.shape[-2:]
    new_size, new_pixel_size = rescaled_size(max(ny, nx), pixel_size, requested)
    resized = fourier_resize_images(pad_to_square(values), new_size, workers)
    if ny != nx:
        new_y, new_x = (_half_away(n * pixel_size / new_pixel_size) // 2 * 2 for n in (ny, nx))
        resized = window_images(resized, (new_y, new_x))
    return resized, new_pixel_size


def set_box(values: Real, new_size: int, *, as_images: bool = False) -> Real:
    """Window or zero-pad to a cubic or square box; nothing happens if x has that size already."""
    if values.shape[-1] == new_size:
        return values
    if values.ndim == 3 and not as_images:
        return window_map(values, new_size)
    return window_images(values, new_size)


def shift_content(
    values: Real, shift: tuple[float, float, float], *, as_images: bool = False
) -> Real:
    """Move the content by (x, y, z) pixels with linear interpolation; zeros come in.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx) or (..., ny, nx), float
        Map or images; the dtype is kept.
    shift : tuple of float
        x, y and z shift [px]; z only counts for maps.
    as_images : bool
        The leading axis counts images.
    """
    from scipy import ndimage  # slow to import, and most operations do without

    x, y, z = shift
    steps = (0.0 if as_images or values.ndim == 2 else z, y, x)[-values.ndim :]
    shifted: Real = ndimage.shift(values, steps, order=1, mode="constant", cval=0.0)
    return shifted


def centre_of_mass(values: Real) -> tuple[float, float, float]:
    """Centre of mass of the positive voxels of one map or image, relative to the origin.

    Returns
    -------
    tuple of float
        x, y, z [px]; z is 0 for an image, and all are 0 if nothing is positive.
    """
    positive = np.maximum(values, 0)
    centre = []
    for axis in range(values.ndim):
        other = tuple(a for a in range(values.ndim) if a != axis)
        profile = positive.sum(axis=other, dtype=np.float64)
        total = profile.sum()
        index = np.arange(values.shape[axis]) - values.shape[axis] // 2
        centre.append(float(profile @ index / total) if total > 0 else 0.0)
    z, y, x = [0.0] * (3 - values.ndim) + centre
    return x, y, z


def flip(values: Real, axis: str) -> Real:
    """Mirror along an axis (X, Y or Z): index i becomes n - 1 - i; a view."""
    return np.flip(values, axis=-1 - "XYZ".index(axis))


def invert_hand(values: Real) -> Real:
    """Mirror along x and keep the origin: index i becomes (n - i) mod n."""
    return np.roll(np.flip(values, axis=-1), 1, axis=-1)


def divide_safely(values: Real, divisor: Real) -> Real:
    """Divide; 0 where the divisor is within 1e-10 of 0."""
    result = np.zeros_like(values)
    np.divide(values, divisor, out=result, where=np.abs(divisor) >= _SMALLEST_DIVISOR)
    return result


def symmetrise(values: Real, symmetry: str) -> Real:
    """Average a map over the operators of a point group about its origin.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Map; the dtype is kept.
    symmetry : str
        Point group, such as ``D2``.

    Returns
    -------
    ndarray, shape (n, n, n)
        Each rotated copy is interpolated tri-linearly, with zeros outside the box.

    Raises
    ------
    OptionError
        If there is no such group.
    """
    from scipy import ndimage  # slow to import, and most operations do without

    operators = point_group(symmetry).matrices
    total = values.copy()
    centre = np.array([n // 2 for n in values.shape], dtype=np.float64)
    for operator in operators[1:]:
        matrix = operator[::-1, ::-1]  # (z, y, x) order
        # Entries that should be whole are made so: a coordinate of n - 1 must not fall outside.
        whole = np.rint(matrix)
        matrix = np.where(np.abs(matrix - whole) < 1e-9, whole, matrix)
        total += ndimage.affine_transform(
            values, matrix, offset=centre - matrix @ centre, order=1, mode="constant", cval=0.0
        )
    total /= total.dtype.type(len(operators))
    return total
