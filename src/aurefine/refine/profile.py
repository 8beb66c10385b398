"""Wall and CPU time by stage of an iteration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]

_OTHER = "other"


class Stopwatch:
    """Adds up the seconds of named stages; a stage within another does not count for that one.

    CPU seconds are those of all threads of the process, so that their ratio to wall seconds tells
    how many cores a stage keeps busy.
    """

    def __init__(self) -> None:
        """Start with no stages."""
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._aside = 0.0
        self._start = self._now()
        self._inner = [(0.0, 0.0)]  # of each stage that runs: what belongs to stages within it

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block of code as part of `stage`."""
        start = self._now()
        self._inner.append((0.0, 0.0))
        try:
            yield
        finally:
            now, inner = self._now(), self._inner.pop()
            wall, cpu = now[0] - start[0], now[1] - start[1]
            outer = self._inner[-1]
            self._inner[-1] = outer[0] + wall, outer[1] + cpu
            self._add(stage, wall - inner[0], cpu - inner[1])

    def add_cpu(self, stage: str, seconds: float) -> None:
        """Count CPU time of another thread as part of `stage`, whatever stage runs meanwhile."""
        with self._lock:
            self._aside += seconds
            self.cpu_seconds[stage] = self.cpu_seconds.get(stage, 0.0) + seconds

    def finish(self) -> None:
        """Count what belongs to no stage since the start as a stage of its own."""
        now = self._now()
        wall, cpu = now[0] - self._start[0], now[1] - self._start[1] + self._aside
        self._add(_OTHER, wall - sum(self.seconds.values()), cpu - sum(self.cpu_seconds.values()))

    def _add(self, stage: str, wall: float, cpu: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + wall
        with self._lock:
            self.cpu_seconds[stage] = self.cpu_seconds.get(stage, 0.0) + cpu

    def _now(self) -> tuple[float, float]:
        """Wall and CPU seconds, without those of `add_cpu`."""
        return time.perf_counter(), time.process_time() - self._aside
