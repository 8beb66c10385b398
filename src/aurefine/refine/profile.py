"""Wall and CPU time by stage of an iteration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]

_OTHER = "other"


class Stopwatch:
    """Adds up the seconds of named stages; stages do not nest.

    CPU seconds are those of all threads of the process, so that their ratio to wall seconds tells
    how many cores a stage keeps busy.
    """

    def __init__(self) -> None:
        """Start with no stages."""
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._start = (time.perf_counter(), time.process_time())

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block of code as part of `stage`."""
        start = (time.perf_counter(), time.process_time())
        try:
            yield
        finally:
            self._add(stage, time.perf_counter() - start[0], time.process_time() - start[1])

    def finish(self) -> None:
        """Count what belongs to no stage since the start as a stage of its own."""
        wall, cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
        self._add(_OTHER, wall - sum(self.seconds.values()), cpu - sum(self.cpu_seconds.values()))

    def _add(self, stage: str, wall: float, cpu: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + wall
        self.cpu_seconds[stage] = self.cpu_seconds.get(stage, 0.0) + cpu
