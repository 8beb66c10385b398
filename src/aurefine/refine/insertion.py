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

from aurefine.kernels.additions import BLOCK
from aurefine.kernels.fixed_point import APART, insert_slices
from aurefine.parallel.pool import TaskGroup, WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.parallel.shield import SHIELD
from aurefine.refine.exact_volume import ExactVolume, add_carries, add_copies, volumes_for
from aurefine.refine.memory import WINDOW_BYTES
from aurefine.refine.plan import ImageGeometry
from aurefine.refine.profile import Stopwatch

__all__ = ["Insertion", "RangesApart", "insertion_ranges", "slices_in_window"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Range = tuple[int, int]
Task = tuple[int | None, slice]  # volume (None for any), slices
Inserted = tuple[ExactVolume, tuple[IntArray, IntArray]]  # with the carries

_STAGE = "insertion"
_PIECES = 16  # of the slices, for threads that have a volume each
_RANGES = 8  # of pixels for each thread, where threads share a volume
_LEAST = 3  # for each thread, so that they do not wait for their neighbours


class RangesApart:
    """Hands out ranges, but none while it or one of its neighbours is at work."""

    def __init__(self, ranges: list[Range]) -> None:
        """List what is handed out, in ascending order."""
        self._ranges = ranges
        self._at_work: set[int] = set()
        self._changed = threading.Condition()

    def all_once(self) -> list[int]:
        """Return the numbers of all ranges, in the order in which they hinder each other least."""
        n = len(self._ranges)
        return [*range(n)[::-2], *range(n - 1)[::-2]]

    @contextlib.contextmanager
    def one(self, left: list[int]) -> Iterator[Range]:
        """Give a range whose number is in `left`, as soon as one may be; it is removed there."""
        number = -1
        try:
            with SHIELD, self._changed:
                while (found := self._possible(left)) is None:
                    self._changed.wait()
                number = found
                left.remove(number)
                self._at_work.add(number)
            yield self._ranges[number]
        finally:  # also if a signal came in between
            with SHIELD, self._changed:
                self._at_work.discard(number)
                self._changed.notify_all()

    def _possible(self, left: list[int]) -> int | None:
        for number in left:
            if self._at_work.isdisjoint((number - 1, number, number + 1)):
                return number
        return None


@dataclass(frozen=True, slots=True)
class _Targets:
    """What all windows of a half are added to."""

    volumes: list[ExactVolume]
    free: deque[ExactVolume]  # those that no thread works on
    shared: list[RangesApart]  # of each volume, if there are fewer of them than threads


@dataclass(frozen=True, slots=True)
class _Window:
    """Slices that are inserted together, and what they are added to."""

    slices: Float32  # (n, 3, n_pixels)
    rotations: Float32  # (n, 3, 3)
    geometry: ImageGeometry
    targets: _Targets
    left: list[list[int]]  # numbers of ranges, for each volume that is shared

    def insert(self, task: Task) -> Inserted:
        """Add slices to any free volume, or some pixels of them to one that threads share."""
        number, own = task
        if number is not None:
            with self.targets.shared[number].one(self.left[number]) as pixels:
                return self._insert(self.targets.volumes[number], own, pixels)
        volume = self.targets.free.pop()
        found = self._insert(volume, own, (0, self.geometry.pixels.n_pixels))
        self.targets.free.append(volume)
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

    Threads do that when they have nothing else to do; the next window is filled, and the first
    pass of the next batch goes on meanwhile.
    """

    def __init__(self, volume: ExactVolume, pool: WorkerPool, stopwatch: Stopwatch) -> None:
        """Start with nothing to insert."""
        self.volume = volume
        self._pool = pool
        self._stopwatch = stopwatch
        self._memory = np.empty(0, np.float32)
        self._window = 0, 0  # the part of the memory that was given last
        self._begun: deque[tuple[Range, TaskGroup[Inserted]]] = deque()  # windows not complete
        self._targets: _Targets | None = None

    def buffer(self, n_slices: int, n_pixels: int) -> Float32:
        """Memory for the next window, shape (n_slices, 3, n_pixels)."""
        size = n_slices * 3 * n_pixels
        wanted = max(size, min(2 * size, WINDOW_BYTES // 4))
        if len(self._memory) < wanted:
            self._complete()
            self._memory = np.empty(0, np.float32)  # before there is the other one
            self._memory = np.empty(wanted, np.float32)
        begin = self._window[1] if self._begun else 0
        if begin + size > len(self._memory):
            begin = 0
        self._window = begin, begin + size
        self._complete(self._window)
        return self._memory[begin : begin + size].reshape(n_slices, 3, n_pixels)

    def begin(self, slices: Float32, rotations: Float32, geometry: ImageGeometry) -> None:
        """Begin to add slices, which are in the memory that `buffer` has given.

        Parameters
        ----------
        slices : ndarray, shape (n, 3, n_pixels)
            Real part, imaginary part, weight.
        rotations : ndarray, shape (n, 3, 3), float32
        geometry : ImageGeometry
            The same for all windows.
        """
        if self._targets is None:
            self._targets = _targets(self.volume, self._pool.n_threads, geometry)
        targets, n_slices = self._targets, len(slices)
        left = [ranges.all_once() for ranges in targets.shared]
        tasks: list[Task]
        if not left:
            pieces = min(_PIECES, n_slices) if self._pool.n_threads > 1 else 1
            tasks = [(None, own) for own in even_parts(n_slices, pieces)]
        else:
            parts = enumerate(even_parts(n_slices, len(left)))
            tasks = [*parts] * len(left[0])
        window = _Window(slices, rotations, geometry, targets, left)
        spent = partial(self._stopwatch.add_cpu, _STAGE)
        self._begun.append((self._window, self._pool.aside(window.insert, tasks, spent)))

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
        self._targets = None
        with self._stopwatch(_STAGE):
            add_copies(self.volume, self._pool)

    def _complete(self, part: Range | None = None) -> None:
        """Add what is left of all windows, or of those that have a part of the memory."""
        with self._stopwatch(_STAGE):
            while self._begun and (
                part is None or any(_overlap(part, own) for own, _ in self._begun)
            ):
                for volume, carries in self._begun.popleft()[1].result():
                    add_carries(volume, *carries)


def slices_in_window(n_pixels: int) -> int:
    """Slices of `n_pixels` that are inserted together, at most; two windows are in memory."""
    return max(8, WINDOW_BYTES // (2 * 12 * n_pixels))


def _overlap(one: Range, other: Range) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _targets(volume: ExactVolume, n_threads: int, geometry: ImageGeometry) -> _Targets:
    volumes = volumes_for(volume, n_threads)
    shared = []
    if len(volumes) < n_threads:
        radius = np.hypot(geometry.slice_x, geometry.slice_y)
        ranges = insertion_ranges(radius, -(-n_threads // len(volumes)))
        shared = [RangesApart(ranges) for _ in volumes]
    return _Targets(volumes, deque(volumes), shared)


def insertion_ranges(radius: Float32, n_threads: int) -> list[Range]:
    """Cut pixels into ranges of about equal numbers, each of which keeps its neighbours apart.

    They consist of whole blocks of the kernel, unless that leaves too few for all threads.

    Parameters
    ----------
    radius : ndarray, shape (n_pixels,)
        In voxels, ascending by and large.
    n_threads : int
        That work on them.
    """
    if n_threads == 1:
        return [(0, len(radius))]
    in_blocks = _ranges_of(BLOCK, radius, n_threads)
    return in_blocks if len(in_blocks) >= _LEAST * n_threads else _ranges_of(1, radius, n_threads)


def _ranges_of(unit: int, radius: Float32, n_threads: int) -> list[Range]:
    """Cut pixels into ranges of a multiple of `unit`, but for the last one."""
    n = len(radius)
    largest = np.maximum.accumulate(radius)  # of all before
    smallest = np.minimum.accumulate(radius[::-1])[::-1]  # of all behind
    bounds = [0]
    while bounds[-1] < n:
        begin = bounds[-1]
        even = n * len(bounds) // (_RANGES * n_threads)
        inside = largest[begin - 1] if begin > 0 else 0.0
        wide = int(np.searchsorted(smallest, inside + APART, side="right"))
        bounds.append(min(-(-max(even, wide) // unit) * unit, n))
    return list(pairwise(bounds))
