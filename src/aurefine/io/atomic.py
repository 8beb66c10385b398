"""Files that appear under their name only when they are complete."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from aurefine.errors import OutputError

__all__ = ["atomic_path", "write_text_atomic"]

_REASONS = {
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EACCES: "no permission to write there; check the owner and mode of the folder",
    errno.EPERM: "no permission to write there; check the owner and mode of the folder",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full; free some space and start again",
    errno.EDQUOT: "the disk quota is used up; free some space and start again",
    errno.EISDIR: "a folder of that name exists",
    errno.ENAMETOOLONG: "the file name is too long",
}


def _failure(target: Path, error: OSError) -> OutputError:
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{target}: can not write the file: {reason}.")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], *, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary name that becomes `path` when the block ends without an exception.

    Parameters
    ----------
    path : path-like
        Final name. The temporary name is ``<name>.tmp-<process id>`` in the same folder.
    flush : bool
        Wait until the data are on the disk. Without, a power failure may leave an incomplete file
        under the final name; for large files that are checked before they are used again.

    Yields
    ------
    temporary : Path
        Name to write to. It is flushed and renamed at the end, or removed on failure, so
        that other programs see the old file or the complete new one.

    Raises
    ------
    OutputError
        If the file can not be created, written or renamed.
    """
    target = Path(path)
    temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    try:
        yield temporary
        if flush:
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, temporary, str(temporary)):
            raise _failure(target, error) from error
        raise


def write_text_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` (UTF-8) to `path` so that readers never see an incomplete file.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream,
    ):
        stream.write(text)
