"""Adding combined slices to the sums, beside other work (spec 4.1)."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aurefine.kernels.fixed_point import APART, insert_slices
from aurefine.parallel.pool import TaskGroup, WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.parallel.shield import SHIELD
from aurefine.refine.exact_volume import ExactVolume, add_carries, add_copies, volumes_for
from aurefine.refine.plan import ImageGeometry
from aurefine.refine.profile import Stopwatch

__all__ = ["Insertion", "RangesApart", "insertion_ranges"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Range = tuple[int, int]
Task = tuple[int | None, slice]  # volume (None for any), slices
Inserted = tuple[ExactVolume, tuple[IntArray, IntArray]]  # with the carries

_STAGE = "insertion"
_PIECES = 16  # of the slices, for threads that have a volume each
_RANGES = 8  # of pixels for each thread, where threads share a volume


class RangesApart:
    """Hands out ranges, but none while one of its neighbours is at work."""

    def __init__(self, ranges: list[Range]) -> None:
        """List what is to be handed out once, in ascending order."""
        self._ranges = ranges
        self._left: list[int] = [*range(len(ranges))[::-2], *range(len(ranges) - 1)[::-2]]
        self._at_work: set[int] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[Range]:
        """Give the next range, as soon as there is one."""
        number = -1
        try:
            with SHIELD, self._changed:
                while (found := self._possible()) is None:
                    self._changed.wait()
                number = found
                self._left.remove(number)
                self._at_work.add(number)
            yield self._ranges[number]
        finally:  # also if a signal came in between
            with SHIELD, self._changed:
                self._at_work.discard(number)
                self._changed.notify_all()

    def _possible(self) -> int | None:
        for number in self._left:
            if self._at_work.isdisjoint((number - 1, number + 1)):
                return number
        return None


@dataclass(frozen=True, slots=True)
class _Window:
    """Slices that are inserted together, and what they are added to."""

    slices: Float32  # (n, 3, n_pixels)
    rotations: Float32  # (n, 3, 3)
    geometry: ImageGeometry
    volumes: list[ExactVolume]
    free: deque[ExactVolume]  # those that no thread works on
    shared: list[RangesApart]  # of each volume, if there are fewer of them than threads

    def insert(self, task: Task) -> Inserted:
        """Add slices to any free volume, or some pixels of them to one that threads share."""
        number, own = task
        if number is not None:
            with self.shared[number].one() as pixels:
                return self._insert(self.volumes[number], own, pixels)
        volume = self.free.pop()
        found = self._insert(volume, own, (0, self.geometry.pixels.n_pixels))
        self.free.append(volume)
        return found

    def _insert(self, volume: ExactVolume, own: slice, pixels: Range) -> Inserted:
        carries = insert_slices(
            (volume.words.reshape(-1), len(volume.words)),
            volume.scales.arrays,
            self.rotations[own],
            self.geometry.slice_x,
            self.geometry.slice_y,
            self.slices[own],
            *pixels,
        )
        return volume, carries


class Insertion:
    """Adds one window of slices after the other to the sums of a half.

    Threads do that when they have nothing else to do; the first pass of the next batch goes on
    meanwhile.
    """

    def __init__(self, volume: ExactVolume, pool: WorkerPool, stopwatch: Stopwatch) -> None:
        """Start with nothing to insert."""
        self.volume = volume
        self._pool = pool
        self._stopwatch = stopwatch
        self._memory = np.empty(0, np.float32)
        self._group: TaskGroup[Inserted] | None = None  # of the window that is being added

    def buffer(self, n_slices: int, n_pixels: int) -> Float32:
        """Memory for the next window, shape (n_slices, 3, n_pixels)."""
        self._complete()
        size = n_slices * 3 * n_pixels
        if len(self._memory) < size:
            self._memory = np.empty(size, np.float32)
        return self._memory[:size].reshape(n_slices, 3, n_pixels)

    def begin(self, slices: Float32, rotations: Float32, geometry: ImageGeometry) -> None:
        """Begin to add slices, which are in the memory that `buffer` has given.

        Parameters
        ----------
        slices : ndarray, shape (n, 3, n_pixels)
            Real part, imaginary part, weight.
        rotations : ndarray, shape (n, 3, 3), float32
        """
        n_threads, n_slices = self._pool.n_threads, len(slices)
        volumes = volumes_for(self.volume, n_threads)
        tasks: list[Task]
        if len(volumes) >= n_threads:
            pieces = min(_PIECES, n_slices) if n_threads > 1 else 1
            tasks = [(None, own) for own in even_parts(n_slices, pieces)]
            shared = []
        else:
            radius = np.hypot(geometry.slice_x, geometry.slice_y)
            ranges = insertion_ranges(radius, -(-n_threads // len(volumes)))
            parts = enumerate(even_parts(n_slices, len(volumes)))
            tasks = [*parts] * len(ranges)
            shared = [RangesApart(ranges) for _ in volumes]
        window = _Window(slices, rotations, geometry, volumes, deque(volumes), shared)
        spent = partial(self._stopwatch.add_cpu, _STAGE)
        self._group = self._pool.aside(window.insert, tasks, spent)

    def lend(self, size: int) -> Float32:
        """Give memory for other numbers, shape (size,), that are used before the next window.

        That of the windows, if it is large enough: new memory has to be cleared by the system.
        """
        self._complete()
        if size > len(self._memory):
            self._memory = np.empty(0, np.float32)  # before there is the other one
            return np.empty(size, np.float32)
        return self._memory[:size]

    def finish(self) -> None:
        """Complete the sums in the volume itself, and give back memory."""
        self._complete()
        self._memory = np.empty(0, np.float32)
        with self._stopwatch(_STAGE):
            add_copies(self.volume, self._pool)

    def _complete(self) -> None:
        with self._stopwatch(_STAGE):
            if self._group is not None:
                for volume, carries in self._group.result():
                    add_carries(volume, *carries)
            self._group = None


def insertion_ranges(radius: Float32, n_threads: int) -> list[Range]:
    """Cut pixels into ranges of about equal numbers, each of which keeps its neighbours apart.

    Parameters
    ----------
    radius : ndarray, shape (n_pixels,)
        In voxels, ascending by and large.
    n_threads : int
        That work on them.
    """
    n = len(radius)
    if n_threads == 1:
        return [(0, n)]
    largest = np.maximum.accumulate(radius)  # of all before
    smallest = np.minimum.accumulate(radius[::-1])[::-1]  # of all behind
    bounds = [0]
    while bounds[-1] < n:
        begin = bounds[-1]
        even = n * len(bounds) // (_RANGES * n_threads)
        inside = largest[begin - 1] if begin > 0 else 0.0
        wide = int(np.searchsorted(smallest, inside + APART, side="right"))
        bounds.append(min(max(even, wide), n))
    return list(pairwise(bounds))
