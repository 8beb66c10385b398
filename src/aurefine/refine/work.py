"""Batches of particles: the unit in which the expectation step is handed out (spec 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError
from aurefine.geometry.euler import direction_from_angles
from aurefine.parallel.ranges import even_parts
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.economy import known_poses
from aurefine.refine.memory import batch_size, n_batches
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan
from aurefine.refine.state import Poses

__all__ = ["Batch", "WorkList", "WorkSource", "cut_batches"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Particles of one half and one image geometry that are aligned together."""

    half: int
    number: int  # from 0, in the list of its half
    geometry: int  # index into the geometries of the plan
    rows: IntArray  # (n,), rows of the particle table
    is_known: bool = False  # whether only the last poses are searched around


class WorkSource(Protocol):
    """Where batches come from and their results go to."""

    def take(self, half: int) -> Batch | None:
        """Return the next batch of a half; None if there is none left."""
        ...

    def deliver(self, batch: Batch, result: BatchResult) -> None:
        """Hand in the poses of a batch."""
        ...

    def progress(self, n: int) -> None:
        """Tell that `n` more particles are done."""
        ...


class WorkList:
    """The batches of both halves, and what has become of them."""

    def __init__(
        self, batches: Mapping[int, Sequence[Batch]], progress: Callable[[int], None]
    ) -> None:
        """Start with all batches, by half, to be done."""
        self.batches = batches
        self.progress = progress
        self.results: dict[tuple[int, int], BatchResult] = {}  # by half and number
        self.is_due: Callable[[], bool] = _never  # whether what there is should be stored
        self.store: Callable[[], None] = _nothing
        self._next = {half: iter(own) for half, own in batches.items()}

    def take(self, half: int) -> Batch | None:
        """Return the next batch of a half; None if all are given out."""
        for batch in self._next[half]:
            if (half, batch.number) not in self.results:
                return batch
        return None

    def deliver(self, batch: Batch, result: BatchResult) -> None:
        """Keep the poses of a batch, whose sums are complete, and store all if that is due."""
        self.keep(batch, result)
        if self.is_due():
            self.store()

    def keep(self, batch: Batch, result: BatchResult) -> None:
        """Keep the poses of a batch."""
        self.results[batch.half, batch.number] = result

    def restore(self, results: Mapping[tuple[int, int], BatchResult]) -> None:
        """Take over the results of batches that need not be done again."""
        self.results.update(results)
        self.progress(sum(len(result.rows) for result in results.values()))

    def end_storing(self) -> None:
        """Forget how to store, which refers to this list and to the state of the iteration.

        The maps of each iteration would stay in memory until the garbage collector finds them.
        """
        self.is_due, self.store = _never, _nothing

    @property
    def is_complete(self) -> bool:
        """Whether the results of all batches are there."""
        return len(self.results) == sum(len(own) for own in self.batches.values())

    def new_poses(self, poses: Poses) -> Poses:
        """Put the results in the place of the poses of these particles."""
        names = [name for name in BatchResult.__slots__ if name != "rows"]
        columns = {name: np.copy(getattr(poses, name)) for name in names}
        for result in self.results.values():
            for name, values in columns.items():
                values[result.rows] = getattr(result, name)
        changes: dict[str, Any] = {"class_number": np.ones_like(poses.class_number), **columns}
        return replace(poses, **changes)


def _never() -> bool:
    return False


def _nothing() -> None:
    """Store nothing."""


def cut_batches(
    half: int, order: IntArray, particles: ParticleSet, poses: Poses, plan: IterationPlan
) -> list[Batch]:
    """Cut the particles of one half into batches.

    Parameters
    ----------
    half : int
        1 or 2.
    order : ndarray, shape (n,)
        Rows of the particle table to process, all of this half.
    particles, poses, plan
        Decide, together with `order` only, which particles make up a batch.

    Raises
    ------
    AurefineError
        If a particle of the other half is among `order`.
    """
    if np.any(particles.half[order] != half):
        wrong = order[particles.half[order] != half][0]
        raise AurefineError(
            f"particle row {wrong + 1} belongs to half {particles.half[wrong]}, but half {half} "
            "is being processed: the halves must stay independent"
        )
    batches: list[Batch] = []
    for index, geometry in enumerate(plan.geometries):
        rows = order[np.isin(particles.optics[order], geometry.group_rows)]
        budget = plan.options.memory_budget
        size = batch_size(geometry.box, geometry.pixels.n_pixels, len(plan.fine_offsets), budget)
        known = np.full(len(rows), plan.reuses_poses)
        if plan.reuses_poses:
            known = known_poses(poses, rows, plan.options)
        for is_known in (False, True):
            found = rows[known == is_known]
            if is_known or plan.sampling.is_local:
                found = _sorted_by_direction(found, poses)
            for part in _evenly(found, size):
                batches.append(Batch(half, len(batches), index, part, is_known))
    return batches


def _evenly(rows: IntArray, size: int) -> list[IntArray]:
    """Cut rows into equal parts of at most `size`; small sets into enough for several processes."""
    return [rows[part] for part in even_parts(len(rows), n_batches(len(rows), size))]


def _sorted_by_direction(rows: IntArray, poses: Poses) -> IntArray:
    """Order particles by viewing direction, so that neighbours share slices and memory."""
    directions = direction_from_angles(poses.rot[rows], poses.tilt[rows])
    key = np.round(directions * 8).astype(np.int64)
    order = np.lexsort((poses.psi[rows], key[:, 1], key[:, 0], key[:, 2]))
    return rows[order]
