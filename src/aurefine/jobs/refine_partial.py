"""Storing what an unfinished iteration has, and reading it back."""

from __future__ import annotations

import contextlib
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aurefine.errors import OutputError
from aurefine.io import atomic_path
from aurefine.jobs.refine_names import FileNames
from aurefine.refine.half_step import BatchResult
from aurefine.refine.partial import PartialIteration, SumsSoFar

__all__ = ["PartialFiles", "read_partial", "write_partial"]

_STOP_SHARE = 0.1  # of the interval, after which it is worth while to save when stopped
_COLUMNS = tuple(BatchResult.__slots__)
_SUMS = tuple(SumsSoFar.__slots__)


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
        """Store it.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        write_partial(self.path, iteration)
        self._last = time.monotonic()

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
        """Remove the file of the iteration, which is complete now."""
        with contextlib.suppress(OSError):
            Path(self.path).unlink(missing_ok=True)


def write_partial(path: str, iteration: PartialIteration) -> None:
    """Write an unfinished iteration; the file appears when it is complete.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    batches = sorted(iteration.results)
    arrays = {
        "key": np.frombuffer(iteration.key.encode(), np.uint8),
        "batches": np.array(batches, np.int64).reshape(-1, 2),
        "sizes": np.array([len(iteration.results[batch].rows) for batch in batches], np.int64),
    }
    for name in _COLUMNS:
        parts = [getattr(iteration.results[batch], name) for batch in batches]
        arrays[f"result_{name}"] = np.concatenate(parts)
    for half, sums in iteration.sums.items():
        arrays |= {f"sums{half}_{name}": getattr(sums, name) for name in _SUMS}
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise OutputError(f"{path}: can not be written: {error.strerror}.") from None


def read_partial(path: str, key: str, warn: Callable[[str], None]) -> PartialIteration | None:
    """Read an unfinished iteration.

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
                half: SumsSoFar(**{name: stored[f"sums{half}_{name}"] for name in _SUMS})
                for half in (1, 2)
                if f"sums{half}_words" in stored
            }
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        warn(f"{path}: not used: the file is damaged ({error})")
        return None
    return PartialIteration(key, results, sums)
