"""Files inside the project folder, and no others."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aurefine.errors import AurefineError

__all__ = ["Entry", "Folder", "ForbiddenPathError", "MissingFileError"]


class ForbiddenPathError(AurefineError):
    """A path that leads out of the project folder."""


class MissingFileError(AurefineError):
    """A file of the project that does not exist."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: str  # "folder", "file", or "other": outside the project, broken or special
    size: int  # bytes
    modified: float  # seconds since 1970


class Folder:
    """The project folder.

    Parameters
    ----------
    root : path-like
        Every path that is handed out lies in it after all links have been followed.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(os.path.realpath(root))

    def path(self, name: str) -> Path:
        """Return the real path of a file or folder of the project.

        Parameters
        ----------
        name : str
            Relative to the project folder.

        Raises
        ------
        ForbiddenPathError
            If the name is absolute, goes up, or leads outside through a link.
        MissingFileError
            If there is no such file.
        """
        parts = PurePosixPath(name).parts
        if "\0" in name or name.startswith(("/", "~")) or ".." in parts:
            raise ForbiddenPathError(f"{name!r}: only names below the project folder are allowed.")
        try:
            real = Path(os.path.realpath(self.root / name, strict=True))
        except UnicodeEncodeError:
            raise MissingFileError(f"{name!r}: the name can not be used.") from None
        except OSError as error:
            raise MissingFileError(f"{name}: {error.strerror}.") from None
        if real != self.root and self.root not in real.parents:
            raise ForbiddenPathError(f"{name}: leads out of the project folder.")
        return real

    def file(self, name: str) -> Path:
        """Return the real path of a plain file; other kinds could block or never end."""
        path = self.path(name)
        if not stat.S_ISREG(path.stat().st_mode):
            raise MissingFileError(f"{name}: is not a file.")
        return path

    def holds(self, path: Path) -> bool:
        """Whether a path leads, through all links, to a plain file of the project."""
        try:
            real = Path(os.path.realpath(path, strict=True))
            return self.root in real.parents and stat.S_ISREG(real.stat().st_mode)
        except OSError:
            return False

    def entries(self, name: str) -> list[Entry]:
        """List a folder: folders first, then by name with numbers in order."""
        path = self.path(name)
        if not path.is_dir():
            raise MissingFileError(f"{name}: is not a folder.")
        with os.scandir(path) as items:
            found = [self._entry(item) for item in items]
        return sorted(found, key=lambda entry: (entry.kind != "folder", _natural(entry.name)))

    def _entry(self, item: os.DirEntry[str]) -> Entry:
        try:
            status = item.stat()
            real = Path(os.path.realpath(item.path)) if item.is_symlink() else None
        except OSError:
            return Entry(item.name, "other", 0, 0.0)
        is_inside = real is None or self.root in real.parents
        kind = "other"
        if is_inside and stat.S_ISDIR(status.st_mode):
            kind = "folder"
        elif is_inside and stat.S_ISREG(status.st_mode):
            kind = "file"
        return Entry(item.name, kind, status.st_size, status.st_mtime)


def _natural(name: str) -> list[int | str]:
    """Order job9 before job10: text and numbers in turn."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)]
