"""First pass of local searches: the neighbourhood of each particle's pose (spec 3.8)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.geometry.directions import pixel_angles
from aurefine.geometry.symmetry import point_group
from aurefine.kernels.local import fill_local_orientations
from aurefine.kernels.two_step import score_local
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.coarse import Pairs, coarse_rows, first_step_pays, join_firsts
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector

__all__ = ["local_search", "search_lists"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Lists = tuple[IntArray, IntArray, Float32, Float32]

_SHARES = np.array([2, 3, 4, 6, 8, 12, 16]) / 16  # of the pixels, that are scored step by step
# log weight below the best after a step at which orientations are left out; the true one comes as
# far below another one, of thousands, with a probability of at most 1e-10 (docs/algorithm.md)
_LIKELY_DROP = 20.0
_GRID_SHARE = 0.1  # of the best one's height, as the true one lies between points of the grid
_BLOCK = 4  # particles whose neighbourhoods one thread lists at a time


def local_search(
    batch: PreparedBatch,
    poses: Float,
    cross_weights: Float32,
    norm_weights: Float32,
    offset_priors: Float32,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    pool: WorkerPool,
) -> Pairs:
    """Find the significant coarse points around the pose of each particle.

    The neighbourhood lies on the full sphere; directions are mapped into the asymmetric unit
    only when their statistics are collected.  `poses` has shape (n_particles, 3, 3); the mates of
    a pose under a relaxed symmetry have neighbourhoods of the same total prior.
    """
    mates = point_group(plan.options.relax_symmetry or "C1").matrices

    def around(part: slice) -> Lists:
        centres = (poses[part, None] @ mates).reshape(-1, 3, 3)
        return _joined(*_neighbourhood(centres, plan), len(mates))

    return search_lists(
        batch,
        around,
        cross_weights,
        norm_weights,
        offset_priors,
        plan,
        geometry,
        projector,
        pool,
    )


def search_lists(
    batch: PreparedBatch,
    lists: Callable[[slice], Lists],
    cross_weights: Float32,
    norm_weights: Float32,
    offset_priors: Float32,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    pool: WorkerPool,
) -> Pairs:
    """Find the significant coarse points among each particle's own list of orientations.

    `lists` gives those of some particles of the batch, as `_neighbourhood` does.
    """
    n_particles, n_offsets = offset_priors.shape
    n_coarse = geometry.n_coarse
    limits = np.array([n_coarse])
    if first_step_pays(plan, geometry):
        limits = (n_coarse * _SHARES).astype(np.int64)

    def work(start: int) -> tuple[IntArray, IntArray, IntArray, Float32]:
        part = slice(start, min(start + _BLOCK, n_particles))
        n = part.stop - part.start
        first, orientation, log_prior, rotations = lists(part)
        rows = coarse_rows(batch, cross_weights, part, n_coarse, geometry)
        found, point, offset = score_local(
            projector.volume,
            first,
            rotations,
            log_prior,
            geometry.slice_x[:n_coarse],
            geometry.slice_y[:n_coarse],
            limits,
            rows.reshape(n, n_offsets, 2 * n_coarse),
            np.ascontiguousarray(norm_weights[part, :n_coarse]),
            offset_priors[part],
            _LIKELY_DROP,
            _GRID_SHARE,
            plan.options.adaptive_fraction,
            plan.options.max_significant,
            plan.use_correlation,
        )
        particle = start + np.repeat(np.arange(n), np.diff(found))
        prior = log_prior[point] + offset_priors[particle, offset]
        return found, orientation[point], offset, prior

    results = pool.map(work, range(0, n_particles, _BLOCK))
    return Pairs(
        first=join_firsts([r[0] for r in results]),
        orientation=np.concatenate([r[1] for r in results]),
        offset=np.concatenate([r[2] for r in results]),
        log_prior=np.concatenate([r[3] for r in results]).astype(np.float32),
    )


def _joined(
    first: IntArray, orientation: IntArray, log_prior: Float32, rotations: Float32, n_mates: int
) -> tuple[IntArray, IntArray, Float32, Float32]:
    """Join the lists of the mates of each particle, each orientation once."""
    if n_mates == 1:
        return first, orientation, log_prior, rotations
    size = np.diff(first)
    n_particles = len(size) // n_mates
    # priors have the mean 1 in each list; now each list has the same sum
    prior = np.exp(log_prior.astype(float)) / np.repeat(size, size)
    particle = np.repeat(np.arange(len(size)) // n_mates, size)
    order = np.lexsort((orientation, particle))
    is_new = np.ones(len(order), bool)
    is_new[1:] = np.diff(particle[order]).astype(bool) | np.diff(orientation[order]).astype(bool)
    starts = np.flatnonzero(is_new)
    kept = order[starts]
    count = np.bincount(particle[kept], minlength=n_particles)
    total = np.add.reduceat(prior[order], starts) * np.repeat(count, count) / n_mates
    joined: Float32 = np.log(total).astype(np.float32)
    return np.concatenate([[0], np.cumsum(count)]), orientation[kept], joined, rotations[kept]


def _neighbourhood(
    poses: Float, plan: IterationPlan
) -> tuple[IntArray, IntArray, Float32, Float32]:
    """Coarse orientations around each pose.

    Returns
    -------
    first : ndarray, shape (n_particles + 1,)
    orientation : ndarray, shape (n_points,)
        HEALPix pixel of the full sphere times the number of in-plane angles, plus their index.
    log_prior : ndarray, shape (n_points,), float32
    rotations : ndarray, shape (n_points, 3, 3), float32
    """
    n_psi, order = len(plan.psi), plan.sampling.order
    sigma = np.deg2rad(plan.sampling.sigma_angle)
    width = min(2 * int(np.ceil(3 * sigma / (2 * np.pi / n_psi))) + 1, n_psi)
    neighbours, pixel, angle = grids.neighbourhoods(
        poses[:, 2], order, 3 * plan.sampling.sigma_angle
    )
    rot, tilt = pixel_angles(pixel, order)
    begin = neighbours * width
    n_found = np.empty(len(poses), np.int64)
    orientation = np.empty(begin[-1], np.int64)
    log_prior = np.empty(begin[-1], np.float32)
    rotations = np.empty((begin[-1], 3, 3), np.float32)
    fill_local_orientations(
        np.ascontiguousarray(poses),
        neighbours,
        np.deg2rad(rot),
        np.deg2rad(tilt),
        pixel,
        np.deg2rad(angle),
        n_psi,
        sigma,
        sigma,
        plan.perturbation,
        begin,
        n_found,
        orientation,
        log_prior,
        rotations,
    )
    first = np.concatenate([[0], np.cumsum(n_found)])
    used = np.repeat(begin[:-1] - first[:-1], n_found) + np.arange(first[-1])
    if not plan.has_pose_prior:
        log_prior[:] = 0
    return first, orientation[used], log_prior[used], rotations[used]
