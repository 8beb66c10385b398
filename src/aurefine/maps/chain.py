"""The fixed order in which the operations of the image handler are applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.fourier import apply_bfactor, highpass_filter, lowpass_filter, phase_randomise
from aurefine.maps.operations import (
    centre_of_mass,
    divide_safely,
    flip,
    invert_hand,
    pad_to_square,
    rescale,
    set_box,
    shift_content,
    symmetrise,
)

__all__ = ["ARITHMETIC", "Operations", "apply_operations"]

Real = npt.NDArray[np.floating]

ARITHMETIC: dict[str, Callable[[Real, Real], Real]] = {
    "multiply": np.multiply,
    "divide": divide_safely,
    "add": np.add,
    "subtract": np.subtract,
}

_WITH_NUMBER: dict[str, Callable[..., Real]] = {**ARITHMETIC, "divide": np.divide}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What to do with a map or with each image of a stack; resolutions and pixel sizes in Å.

    At most one of `constant` and `other` is done; the first is a pair of a key of `ARITHMETIC`
    and a number, the second a key of `ARITHMETIC` for the second image.  None or an empty text
    stands for "not asked for".
    """

    transpose: str = ""  # "flipXY" or "flipmXY", images only
    replace_nan: float | None = None
    randomise_phases_at: float | None = None
    constant: tuple[str, float] | None = None
    other: str = ""
    bfactor: float = 0.0
    lowpass: float | None = None
    highpass: float | None = None
    edge_shells: int = 2
    flip: str = ""  # X, Y, Z or hand
    shift_to_centre_of_mass: bool = False
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y, z [px]
    rescale_to: float | None = None
    new_box: int | None = None
    symmetry: str = ""
    clamp_above: float | None = None
    clamp_below: float | None = None

    @property
    def needs_pixel_size(self) -> bool:
        """Whether any of the operations depends on the pixel size."""
        lengths = (self.randomise_phases_at, self.lowpass, self.highpass, self.rescale_to)
        return self.bfactor != 0 or any(length is not None for length in lengths)


def apply_operations(
    values: Real,
    pixel_size: float,
    operations: Operations,
    *,
    other: Real | None = None,
    as_images: bool = False,
    rng: np.random.Generator | None = None,
    workers: int | None = None,
) -> tuple[Real, float]:
    """Apply operations in their fixed order.

    Parameters
    ----------
    values : ndarray, shape (nz, ny, nx) or (n_images, ny, nx), float
        Map or images; the dtype is kept, the array is not changed.
    pixel_size : float
        [Å].
    operations : Operations
        What to do.
    other : ndarray, optional
        Second map, or image that serves for each of the images, of the same size.
    as_images : bool
        The leading axis counts images.
    rng : Generator, optional
        Source of random phases and of the noise around images that are not square.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    result : ndarray
        New map or images.
    new_pixel_size : float
        [Å]; differs from `pixel_size` only after rescaling.

    Raises
    ------
    ImageError
        If an operation does not fit the data.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    is_map = values.ndim == 3 and not as_images
    if operations.transpose:
        if is_map:
            raise ImageError(f"--{operations.transpose} is for images, not for maps.")
        values = np.swapaxes(values, -1, -2)
        if operations.transpose == "flipmXY":
            values = values[..., ::-1, ::-1]
    if operations.replace_nan is not None:
        values = np.where(np.isfinite(values), values, values.dtype.type(operations.replace_nan))
    values = _randomise(values, pixel_size, operations, is_map, rng, workers)
    values = _calculate(values, operations, other)
    values = _filter(values, pixel_size, operations, is_map, rng, workers)
    values = _move(values, operations, is_map)
    if operations.rescale_to is not None:
        values, pixel_size = rescale(
            values, pixel_size, operations.rescale_to, as_images=not is_map, workers=workers
        )
    if operations.new_box is not None:
        values = set_box(values, operations.new_box, as_images=not is_map)
    if operations.symmetry:
        if not is_map:
            raise ImageError("--sym is for maps, not for images.")
        values = symmetrise(values, operations.symmetry)
    if operations.clamp_above is not None:
        values = np.minimum(values, values.dtype.type(operations.clamp_above))
    if operations.clamp_below is not None:
        values = np.maximum(values, values.dtype.type(operations.clamp_below))
    return values, pixel_size


def _randomise(
    values: Real,
    pixel_size: float,
    operations: Operations,
    is_map: bool,
    rng: np.random.Generator,
    workers: int | None,
) -> Real:
    if operations.randomise_phases_at is None:
        return values
    if not is_map:
        raise ImageError("--phase_randomise is for maps, not for images.")
    shell = int(values.shape[-1] * pixel_size / operations.randomise_phases_at)
    return phase_randomise(values, shell, rng, workers=workers)


def _calculate(values: Real, operations: Operations, other: Real | None) -> Real:
    if operations.constant is not None:
        name, number = operations.constant
        if name == "divide" and number == 0:
            raise ImageError("--divide_constant: division by zero.")
        result: Real = _WITH_NUMBER[name](values, values.dtype.type(number))
        return result
    if not operations.other:
        return values
    if other is None or other.shape[-2:] != values.shape[-2:]:
        found = "nothing" if other is None else other.shape[::-1]
        raise ImageError(
            f"--{operations.other}: the second image must have the size of the first, "
            f"{values.shape[:-3:-1]} px, but has {found}."
        )
    return ARITHMETIC[operations.other](values, np.broadcast_to(other, values.shape))


def _filter(
    values: Real,
    pixel_size: float,
    operations: Operations,
    is_map: bool,
    rng: np.random.Generator,
    workers: int | None,
) -> Real:
    if operations.bfactor == 0 and operations.lowpass is None and operations.highpass is None:
        return values
    shape = values.shape
    if len(set(shape)) > 1 and is_map:
        raise ImageError(f"filters need a cubic map, not {shape[2]} x {shape[1]} x {shape[0]} px.")
    ny, nx = shape[-2:]
    if ny != nx:
        values = pad_to_square(values, _matching_noise(values, max(ny, nx), rng))
    if operations.bfactor != 0:
        values = apply_bfactor(
            values, pixel_size, operations.bfactor, as_images=not is_map, workers=workers
        )
    for function, resolution in (
        (lowpass_filter, operations.lowpass),
        (highpass_filter, operations.highpass),
    ):
        if resolution is not None:
            values = function(
                values,
                pixel_size,
                resolution,
                operations.edge_shells,
                whole_shell=True,
                as_images=not is_map,
                workers=workers,
            )
    if ny != nx:
        size = max(ny, nx)
        first_y, first_x = size // 2 - ny // 2, size // 2 - nx // 2
        values = values[..., first_y : first_y + ny, first_x : first_x + nx]
    return values


def _matching_noise(images: Real, size: int, rng: np.random.Generator) -> Real:
    mean = images.mean(axis=(-2, -1), dtype=np.float64)[..., None, None]
    std = images.std(axis=(-2, -1), dtype=np.float64)[..., None, None]
    noise = rng.standard_normal((*images.shape[:-2], size, size))
    matched: Real = (mean + std * noise).astype(images.dtype)
    return matched


def _move(values: Real, operations: Operations, is_map: bool) -> Real:
    if operations.flip == "Z" and not is_map:
        raise ImageError("--flipZ is for maps, not for images.")
    if operations.flip:
        values = invert_hand(values) if operations.flip == "hand" else flip(values, operations.flip)
    if operations.shift_to_centre_of_mass:
        if is_map:
            x, y, z = centre_of_mass(values)
            return shift_content(values, (-x, -y, -z))
        moved = np.empty_like(values)
        for target, image in zip(moved, values, strict=True):
            x, y, _ = centre_of_mass(image)
            target[:] = shift_content(image, (-x, -y, 0.0))
        return moved
    if any(operations.shift):
        return shift_content(values, operations.shift, as_images=not is_map)
    return values
