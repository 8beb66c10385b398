"""Copies of particle stacks on a local disk, shared by the processes of a node."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aurefine.errors import AurefineError, OptionError
from aurefine.io.mrc import MrcHeader, read_mrc_header
from aurefine.io.stack_copy import copied_bytes, copy_stack
from aurefine.io.stacks import ParticleImages

__all__ = ["ScratchSettings", "images_on_scratch"]

_PREFIX = "aurefine_particles_"
_COMPLETE = "complete"  # marker in a folder: all copies are there
_KEEP = "keep"  # marker in a folder: it outlives the run
_GB = 10**9

Write = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScratchSettings:
    """Where copies go, and how much space stays free there."""

    directory: str = ""  # "": no copies
    keep_free_gb: float = 10.0
    keeps_copies: bool = False


@contextlib.contextmanager
def images_on_scratch(
    images: ParticleImages, settings: ScratchSettings, write: Write
) -> Iterator[ParticleImages]:
    """Copy the stacks that are in use, read from the copies, and remove them at the end.

    Processes of one node that use the same particles share the copies: the first one makes them,
    the last one removes them. What a process has left that was killed is removed by the next run
    that uses the directory.

    Parameters
    ----------
    images : ParticleImages
    settings : ScratchSettings
    write : callable
        Receives a line on what was done.

    Yields
    ------
    images : ParticleImages
        With the names of the originals. Stacks for which there is no space are not copied.

    Raises
    ------
    OptionError
        If the directory can not be used.
    """
    if not settings.directory:
        yield images
        return
    directory = Path(settings.directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):  # the only sure way to see that it takes files
            pass
        _remove_unused(directory)
    except OSError as error:
        raise OptionError(
            f"option --scratch_dir: {directory} can not be used: {error.strerror}. Give a folder "
            "on a local disk to which you can write."
        ) from None
    folder = directory / f"{_PREFIX}{_key(images)}"
    while True:
        with _Locked(_lock_of(folder), fcntl.LOCK_EX | fcntl.LOCK_NB) as first:
            if first.is_held:
                _make_copies(images, folder, settings, write)
        with _Locked(_lock_of(folder), fcntl.LOCK_SH) as used:
            if used.is_current() and (folder / _COMPLETE).exists():
                try:
                    yield images.with_copies(_copies_in(folder, images))
                finally:
                    used.release()
                    if not settings.keeps_copies:
                        _remove_if_unused(folder)
                return


class _Locked:
    """A file that is locked in a block; the lock ends with the process, too, however it ends."""

    def __init__(self, path: Path, kind: int) -> None:
        self.path, self._kind = path, kind
        self.is_held = False

    def __enter__(self) -> _Locked:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._descriptor, self._kind)
            self.is_held = self.is_current()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def is_current(self) -> bool:
        """Whether the file still has its name: somebody may have removed it meanwhile."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        return False

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _key(images: ParticleImages) -> str:
    """Name the stacks and sections in use, and the state of the files."""
    text = hashlib.sha256(str(os.getuid()).encode())
    for header, sections in images.stacks():
        stat = os.stat(header.path)
        path = os.path.abspath(header.path)
        text.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode("utf-8", "replace"))
        text.update(sections.tobytes())
    return text.hexdigest()[:16]


def _make_copies(
    images: ParticleImages, folder: Path, settings: ScratchSettings, write: Write
) -> None:
    """Copy all stacks for which there is space, unless that was done before."""
    if (folder / _COMPLETE).exists():
        write(f" Using the copies of particles in {folder}")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    space = shutil.disk_usage(folder).free
    free = space - settings.keep_free_gb * _GB
    stacks = images.stacks()
    n_all, n_copied, copied = 0, 0, 0
    try:
        for number, (header, sections) in enumerate(stacks):
            size = copied_bytes(header, len(sections))
            n_all += len(sections)
            if copied + size > free:
                continue
            copy_stack(header, sections, _copy_name(folder, number))
            copied += size
            n_copied += len(sections)
        if settings.keeps_copies:
            (folder / _KEEP).touch()
        (folder / _COMPLETE).touch()
    except (AurefineError, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    write(f" Copied {n_copied} of {n_all} particle images ({copied / _GB:.2f} GB) to {folder}")
    if n_copied < n_all:
        write(
            f" The other {n_all - n_copied} are read from where they are: of {space / _GB:.2f} GB "
            f"that were free, --keep_free_scratch leaves {settings.keep_free_gb:g} GB"
        )


def _copy_name(folder: Path, number: int) -> Path:
    return folder / f"stack{number:06d}.mrcs"


def _copies_in(folder: Path, images: ParticleImages) -> dict[str, MrcHeader]:
    names = {
        header.path: _copy_name(folder, number)
        for number, (header, _) in enumerate(images.stacks())
    }
    return {path: read_mrc_header(copy) for path, copy in names.items() if copy.exists()}


def _remove_unused(directory: Path) -> None:
    """Remove what runs have left that were killed."""
    for folder in directory.glob(f"{_PREFIX}*"):
        if folder.is_dir() and not (folder / _KEEP).exists():
            _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    """Remove copies, unless another process has them in use or makes them."""
    with (
        contextlib.suppress(OSError),
        _Locked(_lock_of(folder), fcntl.LOCK_EX | fcntl.LOCK_NB) as alone,
    ):
        if alone.is_held:
            shutil.rmtree(folder, ignore_errors=True)
            alone.path.unlink(missing_ok=True)
