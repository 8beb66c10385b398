"""Second pass of the search: from significant pairs to a sparse posterior (spec 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.geometry.euler import euler_from_matrix
from aurefine.kernels.pairs import sort_pairs
from aurefine.kernels.posterior import normalise_posterior, select_best_correlation
from aurefine.kernels.rotations import turn_in_plane
from aurefine.kernels.scoring import fine_scores, shifted_rows
from aurefine.kernels.vectors import LANES
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import balanced_ranges, even_parts, n_pieces
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.coarse import Pairs
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector

__all__ = [
    "FEW_PAIRS",
    "FEW_SAMPLES",
    "Posterior",
    "best_angles",
    "child_rotations",
    "fill_child_rotations",
    "fine_search",
    "gathered",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.number[Any])

_TASKS = 64  # pieces that the orientations or the particles of a batch are cut into
# that are not worth waking another thread
FEW_PAIRS, FEW_SAMPLES = 256, 1 << 17
_FEW_ORIENTATIONS = 512


@dataclass(frozen=True, slots=True)
class Posterior:
    """Weights of the fine samples of some particles of a batch, grouped by orientation.

    `group_first`, `particle`, `row_of_pair` and `pair` describe the pairs sorted by orientation
    and particle; `weights` stays in the order of `pairs` (particle by particle).
    """

    pairs: Pairs
    weights: Float32  # (n_pairs, n_child_offsets, n_children)
    best: IntArray  # (n_particles,), flat index in weights
    probability: Float  # (n_particles,), Pmax
    log_total: Float  # (n_particles,), or the correlation in a cross-correlation search
    orientations: IntArray  # (n_groups,), distinct orientations
    rotations: Float32  # (n_groups, n_children, 3, 3)
    group_first: IntArray  # (n_groups + 1,)
    sorted_particle: IntArray  # (n_pairs,)
    sorted_pair: IntArray  # (n_pairs,)


def fine_search(
    batch: PreparedBatch,
    pairs: Pairs,
    particle_range: tuple[int, int],
    cross_weights: Float32,
    norm_weights: Float32,
    image_norms: Float,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    lend: Callable[[int], Float32],
    pool: WorkerPool,
) -> Posterior:
    """Second pass: all children of the significant pairs of particles a..b of the batch.

    `lend` gives memory for so many numbers, which is used for the shifted images.
    """
    a, b = particle_range
    window = slice(pairs.first[a], pairs.first[b])
    own = Pairs(
        first=pairs.first[a : b + 1] - pairs.first[a],
        orientation=pairs.orientation[window],
        offset=pairs.offset[window],
        log_prior=pairs.log_prior[window],
    )
    n, n_pairs = b - a, len(own.orientation)
    n_pixels = geometry.pixels.n_pixels
    n_child, n_children = plan.n_child_offsets, plan.n_children
    particle = np.repeat(np.arange(n), np.diff(own.first))
    row_of, rows = _fine_rows(
        batch.masked[a:b], cross_weights[a:b], particle, own.offset, plan, geometry, lend, pool
    )
    orientations, inverse = _distinct(own.orientation, pool)
    group_first, order = sort_pairs(inverse, len(orientations))
    sorted_particle = gathered(particle, order, pool)
    rotations = np.empty((len(orientations), plan.n_children, 3, 3), np.float32)
    cross = np.empty((n_pairs, n_child, n_children), np.float32)
    norms = np.empty((n_pairs, n_children), np.float32)
    sorted_row = gathered(row_of, order, pool)
    norm_part = np.ascontiguousarray(norm_weights[a:b])
    if n_pixels != norm_part.shape[1]:
        raise ValueError(f"norm weights of {norm_part.shape[1]} pixels, expected {n_pixels}")

    def score(task: tuple[int, int]) -> None:
        lo, hi = task
        fine_scores(
            projector.volume,
            rotations[lo:hi],
            geometry.slice_x,
            geometry.slice_y,
            group_first[lo : hi + 1],
            sorted_particle,
            sorted_row,
            order,
            rows,
            norm_part,
            n_child,
            cross,
            norms,
        )

    def rotate(own: slice) -> None:
        fill_child_rotations(orientations[own], plan, rotations[own])

    n_rotated = n_pieces(len(orientations), _FEW_ORIENTATIONS, _TASKS)
    pool.map(rotate, even_parts(len(orientations), n_rotated))
    n_samples = n_pixels * n_children * len(orientations)
    pool.map(score, balanced_ranges(group_first, n_pieces(n_samples, FEW_SAMPLES, _TASKS)))
    best = np.zeros(n, np.int64)
    probability = np.ones(n)
    log_total = np.zeros(n)

    def weigh(task: tuple[int, int]) -> None:
        if plan.use_correlation:
            select_best_correlation(
                own.first, cross, norms, image_norms[a:b], best, log_total, *task
            )
        else:
            normalise_posterior(
                own.first,
                cross,
                norms,
                own.log_prior,
                plan.options.adaptive_fraction,
                best,
                probability,
                log_total,
                *task,
            )

    pool.map(weigh, balanced_ranges(own.first, n_pieces(n_pairs, FEW_PAIRS, _TASKS)))
    return Posterior(
        pairs=own,
        weights=cross,
        best=best,
        probability=probability,
        log_total=log_total,
        orientations=orientations,
        rotations=rotations,
        group_first=group_first,
        sorted_particle=sorted_particle,
        sorted_pair=order,
    )


def gathered(
    values: npt.NDArray[Number], index: IntArray, pool: WorkerPool, *, factor: int = 1
) -> npt.NDArray[Number]:
    """Values at many places times a factor, taken by all threads."""
    out = np.empty(len(index), values.dtype)

    def take(own: slice) -> None:
        np.take(values, index[own], out=out[own], mode="clip")  # without a copy of the result
        if factor != 1:
            out[own] *= factor

    pool.map_parts(take, len(index))
    return out


def _distinct(values: IntArray, pool: WorkerPool) -> tuple[IntArray, IntArray]:
    """Distinct values in ascending order, and the place of each value among them."""
    if not len(values) or values.max() > 2 * len(values):  # few values of many: sort them
        distinct, inverse = np.unique(values, return_inverse=True)
        return distinct, inverse.astype(np.int64, copy=False)
    is_used = np.zeros(values.max() + 1, bool)

    def mark(own: slice) -> None:
        is_used[values[own]] = True

    pool.map_parts(mark, len(values))
    return np.flatnonzero(is_used), gathered(np.cumsum(is_used) - 1, values, pool)


def child_rotations(orientations: IntArray, plan: IterationPlan) -> Float:
    """Rotations of all children of coarse orientations, shape (n, n_children, 3, 3)."""
    if plan.given_rotations is not None:
        return plan.given_rotations[orientations][:, None]
    row, psi = np.divmod(orientations, len(plan.psi))
    return grids.oversampled_rotations(
        _pixels(row, plan),
        plan.psi[psi],
        plan.sampling.order,
        plan.sampling.psi_step,
        plan.sampling.oversampling,
        plan.perturbation,
    )


def fill_child_rotations(orientations: IntArray, plan: IterationPlan, out: Float32) -> None:
    """Write what `child_rotations` returns to `out`, quickly if orientations are sorted."""
    if plan.given_rotations is not None:
        out[:] = child_rotations(orientations, plan)
        return
    sampling = plan.sampling
    row, psi = np.divmod(orientations, len(plan.psi))
    is_new = np.diff(row, prepend=-1) != 0
    children = grids.child_pixels(_pixels(row[is_new], plan), sampling.oversampling)
    order = sampling.order + sampling.oversampling
    upright = grids.upright_rotations(children, order, plan.perturbation)
    angles = np.deg2rad(grids.oversampled_psi(plan.psi, sampling.psi_step, sampling.oversampling))
    turn_in_plane(upright, np.cumsum(is_new) - 1, psi, np.cos(angles), np.sin(angles), out)


def _pixels(row: IntArray, plan: IterationPlan) -> IntArray:
    """HEALPix pixels of coarse directions, which local searches number by them."""
    return row if plan.sampling.is_local else plan.grid.pixel[row]


def best_angles(
    orientations: IntArray, child: IntArray, plan: IterationPlan
) -> tuple[Float, Float, Float]:
    """Euler angles [degrees] of one child of each coarse orientation, in double precision."""
    rotations = child_rotations(orientations, plan)
    return euler_from_matrix(rotations[np.arange(len(child)), child])


def _fine_rows(
    masked: Float32,
    cross_weights: Float32,
    particle: IntArray,
    offset: IntArray,
    plan: IterationPlan,
    geometry: ImageGeometry,
    lend: Callable[[int], Float32],
    pool: WorkerPool,
) -> tuple[IntArray, Float32]:
    """Shift each image by the fine offsets of its significant coarse offsets.

    Returns
    -------
    row_of : ndarray, shape (n_pairs,)
        First row of the pair.
    rows : ndarray, shape (n_rows, n_columns), float32
        2 n_pixels numbers, filled up with zeros so that either half can be read in vectors.
    """
    n_offsets, n_child = len(plan.coarse_offsets), plan.n_child_offsets
    key = np.empty(len(offset), np.int64)
    used = np.zeros(len(masked) * n_offsets, bool)

    def mark(own: slice) -> None:
        np.multiply(particle[own], n_offsets, out=key[own])
        key[own] += offset[own]
        used[key[own]] = True

    pool.map_parts(mark, len(offset))
    position = np.cumsum(used) - 1
    needed = np.flatnonzero(used)
    row_particle = np.repeat((needed // n_offsets).astype(np.int32), n_child)
    row_offset = (
        ((needed % n_offsets)[:, None] * n_child + np.arange(n_child)).ravel().astype(np.int32)
    )
    n_pixels = geometry.pixels.n_pixels
    length = 2 * n_pixels
    n_columns = n_pixels + -(-n_pixels // LANES) * LANES
    shape = len(row_particle), -(-n_columns // LANES) * LANES
    rows = lend(shape[0] * shape[1]).reshape(shape)
    cosines, sines = geometry.fine_ramps
    images = np.ascontiguousarray(masked)
    multipliers = np.ascontiguousarray(cross_weights)

    def fill(part: slice) -> None:
        rows[part, length:] = 0
        shifted_rows(
            images, multipliers, cosines, sines, row_particle[part], row_offset[part], rows[part]
        )

    pool.map(fill, even_parts(len(rows), n_pieces(rows.size, 4 * FEW_SAMPLES, _TASKS)))
    return gathered(position * n_child, key, pool), rows
