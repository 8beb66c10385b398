"""Adding combined slices to the sums, beside other work (spec 4.1)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aurefine.kernels.fixed_point import APART, insert_slices
from aurefine.parallel.pool import TaskGroup, WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.refine.exact_volume import ExactVolume, add_carries, add_copies, volumes_for
from aurefine.refine.plan import ImageGeometry
from aurefine.refine.profile import Stopwatch

__all__ = ["Insertion", "insertion_phases"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Task = tuple[int | None, slice, tuple[int, int]]  # volume (None for any), slices, pixels
Inserted = tuple[ExactVolume, tuple[IntArray, IntArray]]  # with the carries

_STAGE = "insertion"
_PIECES = 16  # of the slices, for threads that have a volume each
_RANGES = 2  # of pixels for each thread, where threads share a volume


@dataclass(frozen=True, slots=True)
class _Window:
    """Slices that are inserted together, and what they are added to."""

    slices: Float32  # (n, 3, n_pixels)
    rotations: Float32  # (n, 3, 3)
    geometry: ImageGeometry
    volumes: list[ExactVolume]
    free: deque[ExactVolume]  # those that no thread works on

    def insert(self, task: Task) -> Inserted:
        """Add some pixels of some slices."""
        number, own, pixels = task
        volume = self.free.pop() if number is None else self.volumes[number]
        carries = insert_slices(
            (volume.words.reshape(-1), len(volume.words)),
            volume.scales.arrays,
            self.rotations[own],
            self.geometry.slice_x,
            self.geometry.slice_y,
            self.slices[own],
            *pixels,
        )
        if number is None:
            self.free.append(volume)
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
        self._phases: deque[list[Task]] = deque()  # that have not begun
        self._groups: list[TaskGroup[Inserted]] = []  # of those that have

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
        n_threads = self._pool.n_threads
        volumes = volumes_for(self.volume, n_threads)
        window = _Window(slices, rotations, geometry, volumes, deque(volumes))
        self._phases.extend(_tasks(len(slices), geometry, n_threads, len(volumes)))
        self._begin_phase(window)

    def complete(self) -> None:
        """Add what has not been added yet, and give back memory."""
        self._complete()
        self._memory = np.empty(0, np.float32)

    def finish(self) -> None:
        """Complete the sums in the volume itself."""
        self.complete()
        with self._stopwatch(_STAGE):
            add_copies(self.volume, self._pool)

    def _begin_phase(self, window: _Window) -> None:
        tasks = self._phases.popleft()
        then = partial(self._begin_phase, window) if self._phases else None
        spent = partial(self._stopwatch.add_cpu, _STAGE)
        self._groups.append(self._pool.aside(window.insert, tasks, spent, then))

    def _complete(self) -> None:
        with self._stopwatch(_STAGE):
            for group in self._groups:  # a phase begins the next one before it ends
                for volume, carries in group.result():
                    add_carries(volume, *carries)
            self._groups = []


def _tasks(
    n_slices: int, geometry: ImageGeometry, n_threads: int, n_volumes: int
) -> list[list[Task]]:
    """List what can be inserted at the same time, phase by phase."""
    if n_volumes >= n_threads:
        pieces = even_parts(n_slices, min(_PIECES, n_slices) if n_threads > 1 else 1)
        return [[(None, own, (0, geometry.pixels.n_pixels)) for own in pieces]]
    radius = np.hypot(geometry.slice_x, geometry.slice_y)
    parts = list(enumerate(even_parts(n_slices, n_volumes)))
    return [
        [(number, own, pixels) for pixels in ranges for number, own in parts]
        for ranges in insertion_phases(radius, -(-n_threads // n_volumes))
        if ranges
    ]


def insertion_phases(radius: Float32, n_threads: int) -> list[list[tuple[int, int]]]:
    """Cut pixels into ranges that threads can insert at the same time, phase by phase.

    Neighbouring ranges belong to different phases, so that those of one phase are kept apart by
    those of the other; all have about equal numbers of pixels.

    Parameters
    ----------
    radius : ndarray, shape (n_pixels,)
        Ascending, in voxels.
    n_threads : int
    """
    n = len(radius)
    if n_threads == 1:
        return [[(0, n)]]
    bounds = [0]
    while bounds[-1] < n:
        begin = bounds[-1]
        even = n * len(bounds) // (_RANGES * n_threads)
        wide = int(np.searchsorted(radius, radius[begin] + APART, side="right")) + 1
        bounds.append(min(max(even, wide), n))
    ranges = list(pairwise(bounds))
    return [ranges[::-2], ranges[-2::-2]]  # those that take longest first
