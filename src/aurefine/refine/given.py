"""First pass when orientations, or whole poses, are kept as they are given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.coarse import Pairs
from aurefine.refine.local import search_lists
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector

__all__ = ["given_search"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


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

    def own(part: slice) -> tuple[IntArray, IntArray, Float32, Float32]:
        rows = batch.rows[part]
        return np.arange(len(rows) + 1), rows, np.zeros(len(rows), np.float32), rotations[part]

    return search_lists(
        batch,
        own,
        cross_weights,
        norm_weights,
        offset_priors,
        plan,
        geometry,
        projector,
        pool,
    )
