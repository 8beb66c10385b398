"""Large arrays that wait in a file without a name until they are needed again."""

import contextlib
import mmap
import os
import tempfile
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from aurefine.errors import OutputError

__all__ = ["array_in_file", "release_pages"]

_CHUNK = 1 << 26  # bytes


def array_in_file(values: npt.NDArray[Any], folder: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Copy an array to a file and return it from there.

    Parameters
    ----------
    values : ndarray, C-contiguous
    folder : path-like
        Where the file is made. It has no name, so that nothing is left when the process ends,
        whatever the reason.

    Returns
    -------
    ndarray
        Same shape, type and values, and it can be changed; what is in memory of it can be given
        back by `release_pages`.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    if values.nbytes == 0:
        return values
    raw = memoryview(cast(Any, values.reshape(-1).view(np.uint8)))
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
            for start in range(0, len(raw), _CHUNK):
                _write_all(cast(BinaryIO, stream), raw[start : start + _CHUNK])
            mapped = mmap.mmap(stream.fileno(), len(raw))
    except OSError as error:
        raise OutputError(
            f"{os.fspath(folder)}: can not keep {len(raw) / 2**30:.1f} GiB of sums there: "
            f"{error.strerror}. Free some space and continue from the last iteration."
        ) from None
    return np.frombuffer(mapped, values.dtype).reshape(values.shape)


def release_pages(array: npt.NDArray[Any]) -> None:
    """Give back the memory that an array of `array_in_file` occupies; its values stay.

    Other arrays are left as they are.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(OSError):
            base.madvise(mmap.MADV_DONTNEED)


def _write_all(stream: BinaryIO, chunk: memoryview) -> None:
    done = 0
    while done < len(chunk):
        done += stream.write(chunk[done:])
