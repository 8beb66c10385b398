"""Storing what an unfinished iteration has, and reading it back.

The sums of each half are a file of their own, so that the process that holds them writes them.
The file that names them, and has the poses, is renamed last.
"""

from __future__ import annotations

import contextlib
import glob
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aurefine.errors import OutputError
from aurefine.io import atomic_path
from aurefine.jobs.refine_names import FileNames
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.partial import PartialIteration
from aurefine.refine.stored_sums import SumsSoFar, UnusableSumsError

__all__ = ["PartialFiles", "StoredSums", "read_partial", "write_partial"]

_STOP_SHARE = 0.1  # of the interval, after which it is worth while to save when stopped
_COLUMNS = tuple(BatchResult.__slots__)
_SUMS = tuple(SumsSoFar.__slots__)
_DAMAGE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class StoredSums:
    """Files beside the output, which any process of a run can write (`SumsFiles`)."""

    root: str

    def write(self, iteration: int, half: int, mark: str, sums: SumsSoFar) -> str:
        """Store the sums of a half; the file appears when it is complete."""
        name = FileNames(self.root, iteration).partial_sums(half, mark)
        arrays = {field: getattr(sums, field) for field in _SUMS}
        _write_arrays(name, arrays | {"mark": _text(mark)})
        return name

    def read(self, name: str, mark: str) -> SumsSoFar:
        """Read the sums of a half."""
        try:
            with np.load(name, allow_pickle=False) as stored:
                if stored["mark"].tobytes().decode() != mark:
                    raise ValueError("it belongs to other batches")
                return SumsSoFar(**{field: stored[field] for field in _SUMS})
        except _DAMAGE as error:
            raise UnusableSumsError(f"{name}: not used: the file is damaged ({error})") from None


class PartialFiles:
    """Decides when an unfinished iteration is stored."""

    def __init__(self, root: str, minutes: float) -> None:
        """Store every `minutes` minutes; never if that is 0."""
        self._root = root
        self._seconds = 60 * minutes
        self.iteration = 0
        self._last = time.monotonic()  # when the iteration began or was stored
        self._is_running = False

    def begin(self) -> None:
        """Particles are about to be aligned."""
        self._last, self._is_running = time.monotonic(), True

    def end(self) -> None:
        """Particles are no longer aligned."""
        self._is_running = False

    @property
    def path(self) -> str:
        """Name of the file of the iteration."""
        return FileNames(self._root, self.iteration).partial

    @property
    def is_due(self) -> bool:
        """Whether so much time has passed that the iteration should be stored."""
        return self._is_running and 0 < self._seconds <= time.monotonic() - self._last

    @property
    def is_worth_while(self) -> bool:
        """Whether a run that is to stop should store the iteration first."""
        waited = time.monotonic() - self._last
        return self._is_running and 0 < self._seconds * _STOP_SHARE <= waited

    def write(self, iteration: PartialIteration) -> None:
        """Store all but the sums, and remove sums that were stored before.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        write_partial(self.path, iteration)
        self._last = time.monotonic()
        self._remove_sums(iteration.sums.values())

    def read(
        self, key: Callable[[], str], other_root: str, warn: Callable[[str], None]
    ) -> PartialIteration | None:
        """Return what is stored of the iteration, here or beside the run that is continued."""
        for root in dict.fromkeys((self._root, other_root)):
            path = FileNames(root, self.iteration).partial
            if root and Path(path).exists():
                return read_partial(path, key(), warn)
        return None

    def remove(self) -> None:
        """Remove the files of the iteration, which is complete now."""
        with contextlib.suppress(OSError):
            Path(self.path).unlink(missing_ok=True)
        self._remove_sums()

    def _remove_sums(self, kept: Iterable[str] = ()) -> None:
        path = Path(self.path)
        names = {Path(name).name for name in kept}
        for other in path.parent.glob(f"{glob.escape(path.stem)}_half*.npz"):
            if other.name not in names:
                with contextlib.suppress(OSError):
                    other.unlink()


def write_partial(path: str, iteration: PartialIteration) -> None:
    """Write an unfinished iteration, whose sums are stored; the file appears when it is complete.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    batches = sorted(iteration.results)
    arrays = {
        "key": _text(iteration.key),
        "batches": np.array(batches, np.int64).reshape(-1, 2),
        "sizes": np.array([len(iteration.results[batch].rows) for batch in batches], np.int64),
    }
    for name in _COLUMNS:
        parts = [getattr(iteration.results[batch], name) for batch in batches]
        arrays[f"result_{name}"] = np.concatenate(parts)
    for half, file in iteration.sums.items():
        arrays[f"sums{half}"] = _text(Path(file).name)
    _write_arrays(path, arrays)


def read_partial(path: str, key: str, warn: Callable[[str], None]) -> PartialIteration | None:
    """Read an unfinished iteration, but not its sums.

    Parameters
    ----------
    path : str
    key : str
        Of the iteration that is wanted.
    warn : callable
        Receives the reason if the file is not used.

    Returns
    -------
    PartialIteration or None
        None if the file is damaged or belongs to something else: then all is done again.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if stored["key"].tobytes().decode() != key:
                warn(f"{path}: not used: it was made with other options, particles or maps")
                return None
            ends = np.cumsum(stored["sizes"])[:-1]
            columns = {name: np.split(stored[f"result_{name}"], ends) for name in _COLUMNS}
            batches = [(int(half), int(number)) for half, number in stored["batches"]]
            results = {
                batch: BatchResult(**{name: columns[name][i] for name in _COLUMNS})
                for i, batch in enumerate(batches)
            }
            sums = {
                half: str(Path(path).with_name(stored[f"sums{half}"].tobytes().decode()))
                for half in (1, 2)
                if f"sums{half}" in stored
            }
    except _DAMAGE as error:
        warn(f"{path}: not used: the file is damaged ({error})")
        return None
    return PartialIteration(key, results, sums)


def _text(text: str) -> Any:
    return np.frombuffer(text.encode(), np.uint8)


def _write_arrays(path: str, arrays: Mapping[str, Any]) -> None:
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)
    except OSError as error:
        raise OutputError(f"{path}: can not be written: {error.strerror}.") from None
