"""The expectation step of one half: images in, sums and poses out (spec 3, 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError
from aurefine.geometry.euler import direction_from_angles
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.coarse import make_coarse_table
from aurefine.refine.half_step import BatchResult, HalfStep
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel, Poses
from aurefine.refine.sums import HalfSums, empty_sums

__all__ = ["HalfResult", "expectation"]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_BATCH = 512  # particles
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class HalfResult:
    """Sums of one half and the new poses of its particles."""

    sums: HalfSums
    rows: IntArray  # (n,), rows of the particle table
    rot: Float
    tilt: Float
    psi: Float
    offset_x: Float  # Å
    offset_y: Float
    norm_correction: Float
    log_likelihood: Float
    pmax: Float
    n_significant: IntArray


def expectation(
    half: int,
    order: IntArray,
    particles: ParticleSet,
    poses: Poses,
    model: HalfModel,
    projector: Projector,
    plan: IterationPlan,
    seed: int,
    pool: WorkerPool,
    stopwatch: Stopwatch,
    progress: Callable[[int], None],
) -> HalfResult:
    """Align the particles of one half against its own reference.

    Parameters
    ----------
    half : int
        1 or 2.
    order : ndarray, shape (n,)
        Rows of the particle table to process, all of this half.
    model : HalfModel
        Of this half.
    projector : Projector
        Of this half's map.
    seed : int
        Seed of noise-filled masks.
    progress : callable
        Called with the number of particles done since the last call.

    Returns
    -------
    HalfResult

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
    sums = empty_sums(
        radius=projector.radius,
        padding=projector.padding,
        box=plan.box,
        n_noise_groups=len(model.sigma2_noise),
        n_groups=len(model.group_scale),
        n_directions=len(model.direction_prior),
    )
    parts: list[BatchResult] = []
    for geometry in plan.geometries:
        rows = order[np.isin(particles.optics[order], geometry.group_rows)]
        if not len(rows):
            continue
        if plan.sampling.is_local:
            rows = _sorted_by_direction(rows, poses)
            table = None
        else:
            with stopwatch("slices"):
                table = make_coarse_table(
                    plan, geometry, projector, model, pool, _table_budget(plan)
                )
        half_step = HalfStep(
            particles, poses, model, projector, plan, geometry, table, seed, pool, stopwatch, sums
        )
        size = _batch_size(plan, geometry)
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        ahead = pool.read_ahead(particles.images.read, batches[0])
        for k, batch_rows in enumerate(batches):
            with stopwatch("reading"):
                raw = ahead.result()
            if k + 1 < len(batches):
                ahead = pool.read_ahead(particles.images.read, batches[k + 1])
            parts.extend(half_step.run(batch_rows, raw, progress))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in BatchResult.__slots__
    }
    done = np.argsort(joined["rows"], kind="stable")
    return HalfResult(sums=sums, **{name: values[done] for name, values in joined.items()})


def _sorted_by_direction(rows: IntArray, poses: Poses) -> IntArray:
    """Order particles by viewing direction, so that neighbours share slices and memory."""
    directions = direction_from_angles(poses.rot[rows], poses.tilt[rows])
    key = np.round(directions * 8).astype(np.int64)
    order = np.lexsort((poses.psi[rows], key[:, 1], key[:, 0], key[:, 2]))
    return rows[order]


def _table_budget(plan: IterationPlan) -> int:
    return int(plan.options.memory_budget * _GIB / 2)


def _batch_size(plan: IterationPlan, geometry: ImageGeometry) -> int:
    """Particles per batch from the byte budget; depends on options only, not on threads."""
    per_particle = 4 * (4 * geometry.box**2 + 10 * geometry.pixels.n_pixels)
    rows = 8 * geometry.pixels.n_pixels * len(plan.fine_offsets)
    size = int(plan.options.memory_budget * _GIB / 4 // (per_particle + rows / 2))
    return int(np.clip(size, 8, _MAX_BATCH))
