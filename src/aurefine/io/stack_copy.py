"""Copies of stacks that hold only the images in use."""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.io.atomic import atomic_path
from aurefine.io.mrc import MrcHeader, read_mrc_header

__all__ = ["copied_bytes", "copy_stack"]

_CHUNK = 1 << 24  # bytes


def copied_bytes(header: MrcHeader, n_sections: int) -> int:
    """Size of a copy with that many sections [bytes]."""
    return header.data_offset + n_sections * header.section_items * header.dtype.itemsize


def copy_stack(
    header: MrcHeader, sections: npt.NDArray[np.int64], target: str | os.PathLike[str]
) -> MrcHeader:
    """Write a stack with some sections of another one, byte for byte as they are stored.

    Parameters
    ----------
    header : MrcHeader
        Of the original.
    sections : ndarray, shape (n,)
        From 0, ascending.
    target : path-like

    Returns
    -------
    MrcHeader
        Of the copy.

    Raises
    ------
    ImageError
        If the original can not be read.
    OutputError
        If the copy can not be written.
    """
    n_bytes = header.section_items * header.dtype.itemsize
    sign = "<" if header.byte_order == "little" else ">"
    with (
        _opened(header.path) as source,
        atomic_path(target, flush=False) as temporary,
        open(temporary, "wb") as stream,
    ):
        start = bytearray(os.pread(source.fileno(), header.data_offset, 0))
        struct.pack_into(f"{sign}i", start, 8, len(sections))
        stream.write(start)
        for first, count in _runs(sections, max(1, _CHUNK // n_bytes)):
            size = count * n_bytes
            chunk = os.pread(source.fileno(), size, header.data_offset + first * n_bytes)
            if len(chunk) < size:
                raise ImageError(f"{header.path}: the stack changed while it was in use.")
            stream.write(chunk)
    return read_mrc_header(target)


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise ImageError(f"{path}: can not read the image file: {error.strerror}.") from error


def _runs(sections: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Yield first section and number of sections that follow each other."""
    breaks = np.flatnonzero(np.diff(sections) != 1) + 1
    for run in np.split(sections, breaks):
        for start in range(0, len(run), most):
            part = run[start : start + most]
            yield int(part[0]), len(part)
