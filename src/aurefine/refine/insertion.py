"""Adding combined slices to the sums, beside other work (spec 4.1)."""

from __future__ import annotations

from collections import deque
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
Inserted = tuple[ExactVolume, tuple[IntArray, IntArray]]  # with the carries

_STAGE = "insertion"
_PIECES = 16  # of the slices, for threads that have a volume each
_RANGES = 4  # of pixels for each thread, where threads share a volume


class Insertion:
    """Adds one window of slices after the other to the sums of a half.

    Threads do that when they have nothing else to do; the first pass of the next batch goes on
    meanwhile.
    """

    def __init__(self, volume: ExactVolume, pool: WorkerPool, stopwatch: Stopwatch) -> None:
        """Start with nothing to insert."""
        self.volume = volume
        self._pool, self._stopwatch = pool, stopwatch
        self._groups: list[TaskGroup[Inserted]] = []  # one for each phase that has begun
        self._memory = np.empty(0, np.float32)

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
        volumes = volumes_for(self.volume, self._pool.n_threads)
        free, edge = deque(volumes), len(self.volume.words)

        def insert(task: tuple[int | None, slice, tuple[int, int]]) -> Inserted:
            number, own, pixels = task
            volume = free.pop() if number is None else volumes[number]
            carries = insert_slices(
                (volume.words.reshape(-1), edge),
                volume.scales.arrays,
                rotations[own],
                geometry.slice_x,
                geometry.slice_y,
                slices[own],
                *pixels,
            )
            if number is None:
                free.append(volume)
            return volume, carries

        def begin_phase(number: int) -> None:
            is_last = number == len(phases) - 1
            then = None if is_last else partial(begin_phase, number + 1)
            spent = partial(self._stopwatch.add_cpu, _STAGE)
            self._groups.append(self._pool.aside(insert, phases[number], spent, then))

        phases = _tasks(len(slices), geometry, self._pool.n_threads, len(volumes))
        begin_phase(0)

    def complete(self) -> None:
        """Add what has not been added yet, and give back memory."""
        self._complete()
        self._memory = np.empty(0, np.float32)

    def finish(self) -> None:
        """Complete the sums in the volume itself."""
        self.complete()
        with self._stopwatch(_STAGE):
            add_copies(self.volume, self._pool)

    def _complete(self) -> None:
        with self._stopwatch(_STAGE):
            for group in self._groups:  # a phase appends the next one before it ends
                for volume, carries in group.result():
                    add_carries(volume, *carries)
            self._groups = []


def _tasks(
    n_slices: int, geometry: ImageGeometry, n_threads: int, n_volumes: int
) -> list[list[tuple[int | None, slice, tuple[int, int]]]]:
    """Volume (None for any), slices and pixels of what can be inserted at the same time."""
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
