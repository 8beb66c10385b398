"""MRC maps and stacks: writing."""

import math
import os
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from aurefine.errors import MrcError
from aurefine.io.atomic import atomic_path

__all__ = ["StackWriter", "to_float16", "write_map"]

_LABEL = b"aurefine"
_LOW_LEVEL = 0.1  # share of the mean in the power below which their difference is precise
_LARGEST_HALF = np.float32(65504.0)
_SMALLEST_HALF = np.float32(2.0**-14)  # RELION has no subnormal numbers


@dataclass(frozen=True, slots=True)
class _Statistics:
    minimum: float
    maximum: float
    mean: float
    deviation: float


def to_float16(array: npt.ArrayLike) -> npt.NDArray[np.float16]:
    """Round to 16 bits as RELION does: ties away from zero, no infinities, no subnormals.

    Parameters
    ----------
    array : array-like, any shape, real

    Returns
    -------
    rounded : ndarray, same shape, float16
        Magnitudes above 65504 become 65504, below 2**-14 zero; NaN and infinity stay.
    """
    values = np.ascontiguousarray(array, dtype=np.float32)
    bits = values.view(np.uint32)
    rounded = ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    sign = np.copysign(np.float32(1), values)
    magnitude = np.minimum(np.abs(rounded), _LARGEST_HALF)
    magnitude = np.where(magnitude < _SMALLEST_HALF, np.float32(0), magnitude)
    result = np.where(np.isfinite(values), sign * magnitude, values)
    return result.astype(np.float16).reshape(np.shape(array))


def _header(
    shape: tuple[int, int, int],
    pixel_size: float,
    statistics: _Statistics,
    *,
    half_precision: bool,
    is_stack: bool,
) -> bytes:
    nz, ny, nx = shape
    mz, cell_z = (1, 1.0) if is_stack else (nz, nz * pixel_size)
    header = bytearray(1024)
    struct.pack_into(
        "<10i", header, 0, nx, ny, nz, 12 if half_precision else 2, 0, 0, 0, nx, ny, mz
    )
    struct.pack_into("<3f", header, 40, nx * pixel_size, ny * pixel_size, cell_z)
    struct.pack_into("<3f3i", header, 52, 90.0, 90.0, 90.0, 1, 2, 3)
    struct.pack_into("<3f", header, 76, statistics.minimum, statistics.maximum, statistics.mean)
    is_volume = nz > 1 and not is_stack
    struct.pack_into("<2i", header, 88, 1 if is_volume else 0, 0)
    header[208:216] = b"MAP DD\x00\x00"
    struct.pack_into("<fi", header, 216, statistics.deviation, 1)
    header[224 : 224 + len(_LABEL)] = _LABEL
    return bytes(header)


def _check_pixel_size(path: str | os.PathLike[str], pixel_size: float) -> None:
    if not (math.isfinite(pixel_size) and pixel_size > 0):
        raise MrcError(
            f"{os.fspath(path)}: the pixel size must be a positive number of Å, not {pixel_size}."
        )


def _image_moments(
    images: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population variance of each image of (m, box, box), without a float64 copy.

    Rows are summed in the precision of the images, and rows added up in double precision; where
    the grey level is high, the variance is that of the image less its mean, so that it costs no
    digits.
    """
    row_type = np.result_type(images.dtype, np.float32)
    ones = np.ones(images.shape[2], dtype=row_type)

    def average(of_rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        means: npt.NDArray[np.float64] = of_rows.mean(axis=1, dtype=np.float64) / len(ones)
        return means

    means = average(images @ ones)
    powers = average(np.einsum("nyx,nyx->ny", images, images, dtype=row_type))
    if np.all(means**2 < _LOW_LEVEL * powers):
        return means, powers - means**2
    residuals = images - means.astype(row_type)[:, np.newaxis, np.newaxis]
    rest = average(residuals @ ones)  # what rounding the mean has left
    squares = np.einsum("nyx,nyx->ny", residuals, residuals)
    return means + rest, np.maximum(average(squares) - rest**2, 0.0)


def _encode(data: npt.NDArray[Any], half_precision: bool) -> npt.NDArray[Any]:
    if half_precision:
        return to_float16(data).astype("<f2", copy=False)
    return np.ascontiguousarray(data, dtype="<f4")


def write_map(
    path: str | os.PathLike[str],
    data: npt.NDArray[Any],
    pixel_size: float,
    *,
    half_precision: bool = False,
) -> None:
    """Write a map or an image as an MRC file of mode 2, or 12 with `half_precision`.

    Parameters
    ----------
    path : path-like
        File to write; it appears under its name when it is complete. A name ending in ``.mrcs``
        gets the header of a stack of images.
    data : ndarray, shape (z, y, x) or (y, x), real
    pixel_size : float
        Voxel size along all axes [Å].
    half_precision : bool
        Write 16-bit numbers, rounded by `to_float16`.

    Raises
    ------
    MrcError
        If the pixel size makes no sense.
    OutputError
        If the file can not be written.
    ValueError
        If `data` is not a non-empty 2D or 3D array.
    """
    if data.ndim not in (2, 3) or data.size == 0:
        raise ValueError(f"expected a 2D or 3D array, got shape {data.shape}")
    _check_pixel_size(path, pixel_size)
    volume = data.reshape((-1, *data.shape[-2:]))
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are written as they are
        sections = [_image_moments(section[np.newaxis]) for section in volume]
        means, variances = np.concatenate(sections, axis=1)  # (2, nz)
        statistics = _Statistics(
            minimum=float(volume.min()),
            maximum=float(volume.max()),
            mean=float(means.mean()),
            deviation=float(np.sqrt(variances.mean() + means.var())),
        )
    header = _header(
        (volume.shape[0], volume.shape[1], volume.shape[2]),
        pixel_size,
        statistics,
        half_precision=half_precision,
        is_stack=os.fspath(path).endswith(".mrcs"),
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        stream.write(header)
        for section in volume:  # one at a time: no second copy of a large map
            stream.write(_encode(section, half_precision).data)


class StackWriter:
    """A stack of square images that is written image by image.

    Use it as a context manager; the file appears under its name at the end of the block. The
    statistics in the header describe the images before rounding: minimum and maximum of all, mean
    of the image means, and the root of the mean image variance, as RELION writes them.

    Parameters
    ----------
    path : path-like
        File to write, with the extension ``.mrcs``.
    n_images : int
        Number of images that will be appended.
    box : int
        Width and height [px].
    pixel_size : float
        [Å]
    half_precision : bool
        Write 16-bit numbers (mode 12), rounded by `to_float16`.
    flush : bool
        Wait until the file is on the disk, see `atomic_path`.

    Raises
    ------
    MrcError
        If the pixel size makes no sense.
    OutputError
        If the file can not be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        n_images: int,
        box: int,
        pixel_size: float,
        *,
        half_precision: bool = False,
        flush: bool = True,
    ) -> None:
        if n_images < 1 or box < 1:
            raise ValueError(f"expected at least one image and pixel, got {n_images} of box {box}")
        _check_pixel_size(path, pixel_size)
        self._path = path
        self._n_images = n_images
        self._box = box
        self._pixel_size = pixel_size
        self._half_precision = half_precision
        self._flush = flush
        self._n_written = 0
        self._minimum = math.inf
        self._maximum = -math.inf
        self._sum_of_means = 0.0
        self._sum_of_variances = 0.0
        self._stack = ExitStack()
        self._stream: BinaryIO

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path, flush=self._flush))
            self._stream = stack.enter_context(open(temporary, "wb"))
            self._stream.seek(1024)
            self._stack = stack.pop_all()
        return self

    def append(self, images: npt.NDArray[Any]) -> None:
        """Write one image, shape (box, box), or several, shape (m, box, box)."""
        batch = images[np.newaxis] if images.ndim == 2 else images
        if batch.ndim != 3 or batch.shape[1:] != (self._box, self._box):
            raise ValueError(f"expected images of {self._box} px, got shape {images.shape}")
        if self._n_written + len(batch) > self._n_images:
            raise ValueError(f"more than the {self._n_images} images announced for the stack")
        if len(batch) == 0:
            return
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity stay what they are
            self._minimum = min(self._minimum, float(batch.min()))
            self._maximum = max(self._maximum, float(batch.max()))
            means, variances = _image_moments(batch)
        self._sum_of_means += float(means.sum())
        self._sum_of_variances += float(variances.sum())
        self._stream.write(_encode(batch, self._half_precision).data)
        self._n_written += len(batch)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._finish()

    def _finish(self) -> None:
        if self._n_written != self._n_images:
            raise ValueError(f"{self._n_written} of {self._n_images} images written to the stack")
        statistics = _Statistics(
            minimum=self._minimum,
            maximum=self._maximum,
            mean=self._sum_of_means / self._n_images,
            deviation=math.sqrt(self._sum_of_variances / self._n_images),
        )
        self._stream.seek(0)
        self._stream.write(
            _header(
                (self._n_images, self._box, self._box),
                self._pixel_size,
                statistics,
                half_precision=self._half_precision,
                is_stack=True,
            )
        )
