"""First pass when orientations, or whole poses, are kept as they are given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.kernels.two_step import score_local
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.coarse import LIKELY_DROP, Pairs, coarse_rows, inner_pixels, join_firsts
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector

__all__ = ["given_search"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_BLOCK = 16  # particles of one task


def given_search(
    batch: PreparedBatch,
    cross_weights: Float32,
    norm_weights: Float32,
    offset_priors: Float32,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    pool: WorkerPool,
) -> Pairs:
    """Find the significant coarse offsets of each particle at its own orientation.

    In the pairs, the number of an orientation is the row of the particle, for which the plan has
    a rotation.
    """
    if plan.given_rotations is None:
        raise ValueError("the plan has no given orientations")
    rotations = plan.given_rotations[batch.rows].astype(np.float32)
    n_particles, n_offsets = offset_priors.shape
    if n_offsets == 1:
        return Pairs(
            first=np.arange(n_particles + 1),
            orientation=batch.rows,
            offset=np.zeros(n_particles, np.int64),
            log_prior=np.zeros(n_particles, np.float32),
        )
    n_coarse, n_inner = geometry.n_coarse, inner_pixels(plan, geometry)

    def work(start: int) -> tuple[IntArray, IntArray, IntArray]:
        part = slice(start, min(start + _BLOCK, n_particles))
        n = part.stop - part.start
        rows = coarse_rows(batch, cross_weights, part, n_coarse, geometry)
        inner_rows = coarse_rows(batch, cross_weights, part, n_inner, geometry)
        found: tuple[IntArray, IntArray, IntArray] = score_local(
            projector.volume,
            np.arange(n + 1),
            rotations[part],
            np.zeros(n, np.float32),
            geometry.slice_x[:n_coarse],
            geometry.slice_y[:n_coarse],
            n_inner,
            rows.reshape(n, n_offsets, 2 * n_coarse),
            inner_rows.reshape(n, n_offsets, 2 * n_inner),
            np.ascontiguousarray(norm_weights[part, :n_coarse]),
            offset_priors[part],
            LIKELY_DROP,
            plan.options.adaptive_fraction,
            plan.options.max_significant,
            plan.use_correlation,
        )
        return found

    results = pool.map(work, range(0, n_particles, _BLOCK))
    first = join_firsts([r[0] for r in results])
    particle = np.repeat(np.arange(n_particles), np.diff(first))
    offset = np.concatenate([r[2] for r in results])
    return Pairs(
        first=first,
        orientation=batch.rows[particle],
        offset=offset,
        log_prior=offset_priors[particle, offset],
    )
