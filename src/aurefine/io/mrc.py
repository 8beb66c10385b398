"""MRC maps, micrographs and stacks: reading; writing is in `aurefine.io._mrc_write`."""

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, MrcError
from aurefine.io._mrc_write import StackWriter, to_float16, write_map

__all__ = [
    "MrcHeader",
    "StackWriter",
    "check_finite",
    "decode_pixels",
    "map_pixels",
    "read_image",
    "read_map",
    "read_mrc_header",
    "to_float16",
    "write_map",
]

_HEADER_SIZE = 1024
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}
_UNSUPPORTED = {3: "complex 16-bit integers", 4: "complex numbers"}
_PACKED = 101  # two 4-bit pixels per byte
_STACK_SUFFIXES = (".mrcs", ".st")
_LARGEST_PIXEL = 1e15


@dataclass(frozen=True, slots=True)
class MrcHeader:
    """What aurefine uses of the header of an MRC file, checked against the file size."""

    path: str
    nx: int
    ny: int
    nz: int  # sections of a volume or images of a stack
    mode: int
    dtype: np.dtype[Any]  # of one pixel in the file; packed pairs of pixels in mode 101
    byte_order: Literal["little", "big"]
    pixel_size: float | None  # along x [Å]; None if the header does not say
    data_offset: int  # of the first pixel [bytes]
    space_group: int  # 0 for images; many programs do not set it

    @property
    def is_stack(self) -> bool:
        """Whether the name says that the file holds 2D images and not a volume."""
        return self.path.endswith(_STACK_SUFFIXES)

    @property
    def section_items(self) -> int:
        """Number of stored items in one section."""
        n_pixels = self.nx * self.ny
        return n_pixels // 2 if self.mode == _PACKED else n_pixels


def read_mrc_header(path: str | os.PathLike[str]) -> MrcHeader:
    """Read the header of an MRC file and compare it with the size of the file.

    Parameters
    ----------
    path : path-like
        Modes 0, 1, 2, 6, 12 and 101 in either byte order are accepted. Machine stamp, axis
        order, origin and statistics are ignored, as RELION does.

    Returns
    -------
    header : MrcHeader

    Raises
    ------
    MrcError
        If the file does not exist, is not an MRC file of these modes, or is too short.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as stream:
            raw = stream.read(_HEADER_SIZE)
            n_bytes = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise MrcError(f"{name}: the image file does not exist.") from None
    except OSError as error:
        raise MrcError(f"{name}: can not read the image file: {error.strerror}.") from error
    if len(raw) < _HEADER_SIZE:
        raise MrcError(
            f"{name}: not an MRC file: {len(raw)} bytes, but the header alone takes 1024."
            " Copy or create the file again."
        )
    header = _parse_header(name, raw)
    expected = header.data_offset + header.nz * header.section_items * header.dtype.itemsize
    if n_bytes < expected:
        raise MrcError(
            f"{name}: the file is truncated: {header.nx} x {header.ny} x {header.nz} pixels of"
            f" mode {header.mode} need {expected} bytes, found {n_bytes}."
            " Copy or create the file again."
        )
    return header


def _parse_header(name: str, raw: bytes) -> MrcHeader:
    order: Literal["little", "big"] = "little"
    nx, _, _, mode = struct.unpack_from("<4i", raw)
    if abs(mode) > 65535 or abs(nx) > 65535:
        order = "big"
    sign: Literal["<", ">"] = "<" if order == "little" else ">"
    nx, ny, nz, mode = struct.unpack_from(f"{sign}4i", raw)
    (mx,) = struct.unpack_from(f"{sign}i", raw, 28)
    (cell_x,) = struct.unpack_from(f"{sign}f", raw, 40)
    space_group, n_extended = struct.unpack_from(f"{sign}2i", raw, 88)
    if mode not in _TYPES:
        found = f" ({_UNSUPPORTED[mode]})" if mode in _UNSUPPORTED else ""
        raise MrcError(
            f"{name}: pixels of mode {mode}{found} are not supported, or this is not an MRC file."
            " Expected mode 0, 1, 2, 6, 12 or 101; convert the file, for instance to mode 2."
        )
    if min(nx, ny, nz) < 1 or n_extended < 0 or (mode == _PACKED and nx * ny % 2):
        raise MrcError(
            f"{name}: not a valid MRC file: {nx} x {ny} x {nz} pixels of mode {mode},"
            f" extended header of {n_extended} bytes."
        )
    pixel_size = cell_x / mx if mx else 0.0
    return MrcHeader(
        path=name,
        nx=nx,
        ny=ny,
        nz=nz,
        mode=mode,
        dtype=np.dtype(_TYPES[mode]).newbyteorder(sign),
        byte_order=order,
        pixel_size=pixel_size if math.isfinite(pixel_size) and pixel_size > 0 else None,
        data_offset=_HEADER_SIZE + n_extended,
        space_group=space_group,
    )


def map_pixels(header: MrcHeader) -> npt.NDArray[Any]:
    """Map the pixels of a file into memory, read-only, without reading them.

    Returns
    -------
    stored : ndarray, shape (nz, ny, nx), type of the file
        For mode 101 of shape (nz, ny * nx / 2), two pixels per byte. `decode_pixels` converts.

    Raises
    ------
    MrcError
        If the file can not be opened.
    """
    if header.mode == _PACKED:
        shape: tuple[int, ...] = (header.nz, header.section_items)
    else:
        shape = (header.nz, header.ny, header.nx)
    try:
        mapped = np.memmap(
            header.path, dtype=header.dtype, mode="r", offset=header.data_offset, shape=shape
        )
    except (OSError, ValueError) as error:
        raise MrcError(f"{header.path}: can not read the image file: {error}.") from error
    return np.asarray(mapped)


def decode_pixels(header: MrcHeader, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Convert sections as they are in the file to float32.

    Parameters
    ----------
    stored : ndarray, shape (m, ny, nx)
        Part of what `map_pixels` gave.

    Returns
    -------
    pixels : ndarray, shape (m, ny, nx), float32
        A new array.
    """
    if header.mode == _PACKED:
        pairs = np.stack((stored & 0x0F, stored >> 4), axis=-1)  # low half first
        pixels: npt.NDArray[np.float32] = pairs.astype(np.float32)
        return pixels.reshape(len(stored), header.ny, header.nx)
    return np.array(stored, dtype=np.float32, order="C")


def _refuse_numbered(name: str) -> None:
    if "@" in name:
        raise MrcError(
            f"{name}: a numbered image N@ can not be read as a map; only stacks, with the"
            " extension .mrcs, have numbered images."
        )


def read_map(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.float32], float | None]:
    """Read a map, or all images of a stack.

    Parameters
    ----------
    path : path-like
        MRC file.

    Returns
    -------
    data : ndarray, shape (z, y, x), float32
        One section for a single image.
    pixel_size : float or None
        Voxel size along x [Å], None if the header does not say.

    Raises
    ------
    MrcError
        If the file is missing, malformed or truncated.
    """
    name = os.fspath(path)
    _refuse_numbered(name)
    header = read_mrc_header(name)
    return decode_pixels(header, map_pixels(header)), header.pixel_size


def read_image(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """Read a micrograph or one image of a stack.

    Parameters
    ----------
    path : path-like
        MRC file with one section (a suffix ``:mrc`` is ignored), ``N@stack.mrcs``, or a TIFF file,
        whose last row becomes the first, as in RELION.

    Returns
    -------
    image : ndarray, shape (y, x), float32

    Raises
    ------
    MrcError
        If the file is missing, malformed, truncated, or has no such image.
    """
    name = os.fspath(path).removesuffix(":mrc")
    number_text, at, file_name = name.rpartition("@")
    if not at:
        number = 1
    elif number_text.isdecimal() and file_name.endswith(_STACK_SUFFIXES):
        number = int(number_text)
    else:
        raise MrcError(f"{name}: expected N@stack with the extension .mrcs, N counted from 1.")
    if Path(file_name).suffix.lower() in (".tif", ".tiff"):
        return _read_tiff(file_name)
    header = read_mrc_header(file_name)
    if not at and header.nz != 1:
        raise MrcError(
            f"{name}: expected one image, found {header.nz} sections. Name one as N@stack.mrcs."
        )
    if not 1 <= number <= header.nz:
        raise MrcError(f"{name}: there is no image {number}; the stack has {header.nz}.")
    pixels = decode_pixels(header, map_pixels(header)[number - 1 : number])
    return pixels.reshape(header.ny, header.nx)


def _read_tiff(name: str) -> npt.NDArray[np.float32]:
    from PIL import Image  # comes with matplotlib; only needed here

    try:
        with Image.open(name) as picture:
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MrcError(f"{name}: can not read the TIFF file: {error}.") from error
    if pixels.ndim != 2:
        raise MrcError(f"{name}: expected a grey image, found an array of shape {pixels.shape}.")
    # MRC files begin with the bottom row, TIFF files with the top one
    return np.array(pixels[::-1], dtype=np.float32, order="C")


def check_finite(data: npt.NDArray[np.floating], name: str) -> None:
    """Refuse data with NaN or infinite pixels, or so large ones that squares would overflow.

    Parameters
    ----------
    data : ndarray, shape (y, x) or (z, y, x)
    name : str
        File name for the message.

    Raises
    ------
    ImageError
        If there is such a pixel; the message names the file and the first one.
    """
    if data.min() >= -_LARGEST_PIXEL and data.max() <= _LARGEST_PIXEL:  # false for NaN
        return
    is_bad = ~(np.abs(data) <= _LARGEST_PIXEL)
    index = np.argwhere(is_bad)[0]
    place = ", ".join(
        f"{axis} {position}" for axis, position in zip("xyz", index[::-1].tolist(), strict=False)
    )
    value = data[tuple(index)]
    if np.isfinite(value):
        raise ImageError(
            f"{name}: {np.count_nonzero(is_bad)} pixels larger than {_LARGEST_PIXEL:g}, the first "
            f"at {place} (counted from 0) with {value:g}; the file is damaged. Create it again."
        )
    raise ImageError(
        f"{name}: pixels that are not finite numbers (NaN or infinite), the first at {place}"
        " (counted from 0). Create the file again, or replace them with the image handler's"
        " --remove_nan."
    )
