"""The expectation step of one half: batches in, sums and poses out (spec 3, 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError, ImageError
from aurefine.parallel.exact import ExactSum
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch, mean_squared_ctf
from aurefine.refine.coarse import make_coarse_table
from aurefine.refine.economy import around_poses
from aurefine.refine.exact_volume import ExactVolume, volume_scales
from aurefine.refine.half_step import HalfStep, empty_tally
from aurefine.refine.insertion import Insertion
from aurefine.refine.memory import table_limit
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan, with_given_poses
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel, Poses
from aurefine.refine.stored_sums import SumsSoFar
from aurefine.refine.sums import HalfSums, complete_sums, empty_sums
from aurefine.refine.tally import Tally
from aurefine.refine.work import Batch, WorkSource

__all__ = ["HalfExpectation"]

IntArray = npt.NDArray[np.int64]
Prepare = Callable[[HalfStep], PreparedBatch]

_Shared = tuple[ParticleSet, Poses, HalfModel, Projector, IterationPlan]


class HalfExpectation:
    """Aligns batches of one half, in any order, and adds them up.

    What a batch contributes depends on the batch alone, and the sums do not depend on the order
    of the batches, nor on which process has added which of them.
    """

    def __init__(
        self,
        half: int,
        particles: ParticleSet,
        poses: Poses,
        model: HalfModel,
        projector: Projector,
        plan: IterationPlan,
        seed: int,
        pool: WorkerPool,
        stopwatch: Stopwatch,
    ) -> None:
        """Start with nothing added.

        Parameters
        ----------
        half : int
            1 or 2.
        model : HalfModel
            Of this half.
        projector : Projector
            Of this half's map.
        seed : int
            Seed of noise-filled masks.
        """
        self.half = half
        plan = with_given_poses(plan, poses)
        self._shared: _Shared | None = (particles, poses, model, projector, plan)
        self._seed, self._pool, self._stopwatch = seed, pool, stopwatch
        self.sums = empty_sums(
            radius=projector.radius,
            scales=volume_scales(half, particles, model, projector, plan),
            padding=projector.padding,
            box=plan.box,
            n_noise_groups=len(model.sigma2_noise),
            n_groups=len(model.group_scale),
            n_directions=len(model.direction_prior),
        )
        assert self.sums.exact is not None
        self._insertion = Insertion(self.sums.exact, pool, stopwatch)
        self._tally = empty_tally(model)
        self.exact = ExactSum(len(self._tally.vector))
        self._step: tuple[Batch, HalfStep] | None = None  # of the last kind of batch

    def run(self, work: WorkSource) -> None:
        """Align batches until there are no more; the next one is prepared meanwhile."""
        batch = work.take(self.half)
        coming = self._ahead(batch, None) if batch else None
        while batch is not None and coming is not None:
            step = self._half_step(batch)
            following = work.take(self.half)
            with self._stopwatch("reading"):
                prepare = coming()
            if following is None:
                coming = None
            else:
                coming = self._ahead(following, step if _is_alike(batch, following) else None)
            result, tally = step.run(partial(prepare, step), work.progress)
            self._add(tally, batch)
            work.deliver(batch, result)
            batch = following
        self.volume()

    def so_far(self) -> SumsSoFar:
        """Return the sums of the batches that were done."""
        volume = self.volume()
        scales = np.concatenate(volume.scales.arrays)
        return SumsSoFar(volume.words, volume.carry_index, volume.carry, self.exact.digits, scales)

    def restore(self, sums: SumsSoFar) -> None:
        """Go on from sums that were begun elsewhere.

        Raises
        ------
        AurefineError
            If sums are scaled otherwise here.
        """
        volume = self.volume()
        if not np.array_equal(sums.scales, np.concatenate(volume.scales.arrays)):
            raise AurefineError(
                "this process computes other scales for its sums than the one that has stored "
                "them in the middle of this iteration, from the same numbers: it ran on another "
                "processor or with other libraries. Remove the files *_partial* beside the "
                "output, so that the iteration is done again."
            )
        volume.words = sums.words
        volume.carry_index, volume.carry = sums.carry_index, sums.carry
        self.exact.digits[:] = sums.digits

    def clear(self) -> None:
        """Set the sums to zero, after another process has taken them over."""
        volume = self.volume()
        for plane in volume.words:
            plane[plane.any(axis=(1, 2))] = 0  # what was never written takes no memory
        volume.carry_index = volume.carry = np.zeros(0, np.int64)
        self.exact.digits[:] = 0

    def volume(self) -> ExactVolume:
        """Return the back-projections of all batches that were done, in one volume."""
        if self.sums.exact is None:
            raise ValueError("the sums are complete")
        self._insertion.finish()
        return self.sums.exact

    def release(self) -> None:
        """Forget everything but the sums."""
        self._step = self._shared = None

    def total(self) -> HalfSums:
        """Return all sums in their final form; nothing can be added afterwards."""
        sums, tally = complete_sums(self.sums, self._pool), self._tally
        tally.vector[:] = self.exact.value()
        sums.noise, sums.noise_pixels = tally.noise, tally.noise_pixels
        sums.scale_cross, sums.scale_power = tally.scale_cross, tally.scale_power
        sums.direction = tally.direction
        sums.offset2, sums.weight, sums.norm, sums.log_likelihood, sums.pmax = (
            tally.scalars.tolist()
        )
        return sums

    def _ahead(self, batch: Batch, step: HalfStep | None) -> Callable[[], Prepare]:
        """Read images of a batch beside other work, and begin to prepare them for a step."""
        assert self._shared is not None
        read = self._shared[0].images.read

        def fetch(rows: IntArray) -> Prepare:
            raw = read(rows)
            if step is None:
                return lambda own: own.begin(rows, raw)()
            finish = step.begin(rows, raw)
            return lambda own: finish()

        return self._pool.read_ahead(fetch, batch.rows)

    def _half_step(self, batch: Batch) -> HalfStep:
        """Prepare what all batches of a geometry share that are searched alike."""
        if self._step is not None and _is_alike(self._step[0], batch):
            return self._step[1]
        assert self._shared is not None
        self._step = None  # one table at a time in memory
        particles, poses, model, projector, plan = self._shared
        if batch.is_known:
            plan = around_poses(plan)
        geometry = plan.geometries[batch.geometry]
        table = None
        if not (plan.sampling.is_local or plan.keeps_rotations):
            with self._stopwatch("slices"):
                limit = table_limit(plan.options.memory_budget)
                table = make_coarse_table(plan, geometry, projector, model, self._pool, limit)
        step = HalfStep(
            particles,
            poses,
            model,
            projector,
            plan,
            geometry,
            table,
            self._seed,
            self._pool,
            self._stopwatch,
            self._insertion,
            mean_squared_ctf(particles, plan, geometry),
        )
        self._step = batch, step
        return step

    def _add(self, tally: Tally, batch: Batch) -> None:
        try:
            self.exact.add(tally.vector)
        except ValueError:
            raise ImageError(
                f"particle rows {batch.rows.min() + 1} to {batch.rows.max() + 1}: one of them has "
                "a noise power or an intensity scale that is not a number. Its image or its CTF "
                "parameters are unusable; remove the particle."
            ) from None


def _is_alike(one: Batch, other: Batch) -> bool:
    """Whether two batches have the same geometry and are searched alike."""
    return one.geometry == other.geometry and one.is_known == other.is_known
