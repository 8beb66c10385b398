"""First pass of the search: every coarse orientation and offset (spec 3.7-3.9)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.kernels.posterior import significant_points
from aurefine.kernels.scoring import finish_coarse_scores, shifted_rows, slice_norms
from aurefine.kernels.slices import extract_slices
from aurefine.kernels.two_step import likely_orientations, score_likely
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.memory import TABLE_BYTES
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel

__all__ = [
    "LIKELY_DROP",
    "CoarseTable",
    "Pairs",
    "coarse_rows",
    "global_search",
    "inner_pixels",
    "join_firsts",
    "make_coarse_table",
    "offset_log_priors",
    "reference_factor",
    "score_weights",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_SCORE_BYTES = 48 << 20  # scores of the particles that one thread works on
_MAX_BLOCK = 32  # particles in one matrix product
_TILE = 1024  # orientations in one matrix product
_FEW_PIXELS = 256  # below this number two steps save nothing
_LOWEST_PRIOR = 1e-8  # of a direction, over the mean
LIKELY_DROP = 32.0  # log weight below the best on the inner rings at which points are left out


@dataclass(frozen=True, slots=True)
class CoarseTable:
    """Slices of all coarse orientations at the size of the first pass, or how to make them."""

    rotations: Float32  # (n_orientations, 3, 3)
    orientation: IntArray  # (n_orientations,), direction row * n_psi + psi index
    log_prior: Float32  # (n_orientations,)
    slices: Float32 | None  # (n_orientations, 2 * n_coarse)
    norms: Float32 | None  # (n_orientations, n_coarse)
    inner_slices: Float32 | None = None  # (n_orientations, 2 * n_inner)
    inner_norms: Float32 | None = None  # (n_orientations, n_inner)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Significant coarse (orientation, offset) pairs of a batch, particle by particle."""

    first: IntArray  # (n_particles + 1,)
    orientation: IntArray  # (n_pairs,)
    offset: IntArray  # (n_pairs,)
    log_prior: Float32  # (n_pairs,)


def make_coarse_table(
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    model: HalfModel,
    pool: WorkerPool,
    byte_limit: int,
) -> CoarseTable:
    """List the coarse orientations that have a prior, with their slices if they fit."""
    n_psi = len(plan.psi)
    # an empty view can be reached by a particle that fits it much better than any other
    prior = np.maximum(model.direction_prior, _LOWEST_PRIOR * model.direction_prior.mean())
    searched = np.flatnonzero(prior > 0)
    orientation = (searched[:, None] * n_psi + np.arange(n_psi)).ravel()
    log_prior = np.repeat(np.log(prior[searched] / prior.mean()), n_psi).astype(np.float32)
    rotations = grids.coarse_rotations(
        np.repeat(plan.grid.pixel[searched], n_psi),
        np.tile(plan.psi, len(searched)),
        plan.sampling.order,
        plan.perturbation,
    ).astype(np.float32)
    n, n_coarse = len(orientation), geometry.n_coarse
    if TABLE_BYTES * n * n_coarse > byte_limit:
        return CoarseTable(rotations, orientation, log_prior, None, None)
    slices = np.empty((n, 2 * n_coarse), np.float32)
    norms = np.empty((n, n_coarse), np.float32)

    def fill(start: int) -> None:
        part = slice(start, start + _TILE)
        _extract(projector, rotations[part], geometry, slices[part], norms[part])

    pool.map(fill, range(0, n, _TILE))
    table = CoarseTable(rotations, orientation, log_prior, slices, norms)
    n_inner = inner_pixels(plan, geometry)
    if not n_inner:
        return table
    inner = np.concatenate([slices[:, :n_inner], slices[:, n_coarse : n_coarse + n_inner]], axis=1)
    return replace(table, inner_slices=inner, inner_norms=norms[:, :n_inner])


def inner_pixels(plan: IterationPlan, geometry: ImageGeometry) -> int:
    """Number of leading pixels of the first of two steps; 0 for one step."""
    if not plan.options.two_step_scoring or plan.use_correlation:
        return 0
    return geometry.n_inner if geometry.n_coarse >= _FEW_PIXELS else 0


def _extract(
    projector: Projector,
    rotations: Float32,
    geometry: ImageGeometry,
    slices: Float32,
    norms: Float32,
) -> None:
    n = norms.shape[1]
    extract_slices(projector.volume, rotations, geometry.slice_x[:n], geometry.slice_y[:n], slices)
    slice_norms(slices, norms)


def reference_factor(batch: PreparedBatch, plan: IterationPlan, geometry: ImageGeometry) -> Float32:
    """What multiplies a slice before it is compared, shape (n_particles, n_pixels)."""
    if plan.reference_has_ctf:
        return batch.transfer
    return np.broadcast_to(geometry.valid, batch.transfer.shape)


def score_weights(
    batch: PreparedBatch, noise_group: IntArray, plan: IterationPlan, geometry: ImageGeometry
) -> tuple[Float32, Float32]:
    """Factors of the cross and norm terms: C / sigma2 and C^2 / sigma2, without DC.

    For normalised cross-correlation the noise weight is the multiplicity of each stored pixel.

    Returns
    -------
    cross_weights, norm_weights : ndarray, shape (n_particles, n_pixels), float32
    """
    transfer = reference_factor(batch, plan, geometry)
    if plan.use_correlation:
        weight = np.broadcast_to(geometry.pixels.multiplicity, transfer.shape)
    else:
        weight = batch.inverse_sigma2.copy()
        weight[:, 0] = 0
        weight = weight[noise_group]
    cross = transfer * weight
    return cross, cross * transfer


def offset_log_priors(
    batch: PreparedBatch,
    plan: IterationPlan,
    geometry: ImageGeometry,
    sigma_offset: float,
    prior_offset: Float,
) -> Float32:
    """Log of the offset prior over its mean, shape (n_particles, n_offsets) (spec 3.9)."""
    if plan.use_correlation:
        return np.zeros((len(batch.rows), len(plan.coarse_offsets)), np.float32)
    pixel = geometry.pixel_size
    if plan.options.quirk_offset_prior:
        centre = (batch.origin - prior_offset) / pixel
        total = (centre[:, None, :] + plan.coarse_offsets[None]) * pixel
    else:
        centre = batch.origin - prior_offset
        total = centre[:, None, :] + plan.coarse_offsets[None]
    distance2 = (total**2).sum(axis=2)  # (n_particles, n_offsets) Å²
    if sigma_offset**2 < 0.0001:
        log_prior = np.where(distance2 <= distance2.min(axis=1, keepdims=True), 0.0, -1e30)
    else:
        log_prior = -distance2 / (2 * sigma_offset**2)
    top = log_prior.max(axis=1, keepdims=True)
    mean = np.exp(log_prior - top).mean(axis=1, keepdims=True)
    normalised: Float32 = (log_prior - top - np.log(mean)).astype(np.float32)
    return normalised


def global_search(
    batch: PreparedBatch,
    cross_weights: Float32,
    norm_weights: Float32,
    offset_priors: Float32,
    table: CoarseTable,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    pool: WorkerPool,
) -> Pairs:
    """First pass over all coarse orientations: one matrix product per block and tile.

    With two steps, products are formed on the inner rings first, and on all rings only for the
    orientations that come near the best one.
    """
    n_particles, n_offsets = offset_priors.shape
    n_orientations, n_coarse = len(table.orientation), geometry.n_coarse
    block = int(np.clip(_SCORE_BYTES // (4 * n_offsets * n_orientations), 1, _MAX_BLOCK))

    def scores_of(part: slice, slices: Float32 | None, norms: Float32 | None) -> Float32:
        n = part.stop - part.start
        n_pixels = n_coarse if norms is None else norms.shape[1]
        rows = coarse_rows(batch, cross_weights, part, n_pixels, geometry)
        norm_rows = np.ascontiguousarray(norm_weights[part, :n_pixels])
        scores = np.empty((n * n_offsets, n_orientations), np.float32)
        norm_terms = np.empty((n, n_orientations), np.float32)
        for start in range(0, n_orientations, _TILE):
            tile = slice(start, min(start + _TILE, n_orientations))
            if slices is None or norms is None:
                own = np.empty((tile.stop - tile.start, 2 * n_pixels), np.float32)
                powers = np.empty((tile.stop - tile.start, n_pixels), np.float32)
                _extract(projector, table.rotations[tile], geometry, own, powers)
            else:
                own, powers = slices[tile], norms[tile]
            scores[:, tile] = rows @ own.T
            norm_terms[:, tile] = norm_rows @ powers.T
        cube = scores.reshape(n, n_offsets, n_orientations)
        finish_coarse_scores(
            cube, norm_terms, table.log_prior, offset_priors[part], plan.use_correlation
        )
        return cube

    def work(start: int) -> tuple[IntArray, IntArray, IntArray]:
        part = slice(start, min(start + block, n_particles))
        n = part.stop - part.start
        if table.inner_slices is not None:
            first, likely = likely_orientations(
                scores_of(part, table.inner_slices, table.inner_norms), LIKELY_DROP
            )
            rows = coarse_rows(batch, cross_weights, part, n_coarse, geometry)
            found: tuple[IntArray, IntArray, IntArray] = score_likely(
                first,
                likely,
                table.slices,
                table.norms,
                table.log_prior,
                offset_priors[part],
                rows.reshape(n, n_offsets, -1),
                np.ascontiguousarray(norm_weights[part, :n_coarse]),
                plan.options.adaptive_fraction,
                plan.options.max_significant,
            )
            return found
        flat = scores_of(part, table.slices, table.norms).reshape(n, -1)
        if plan.use_correlation:
            counts, points = np.arange(n + 1), flat.argmax(axis=1)
        else:
            counts, points = significant_points(
                flat, plan.options.adaptive_fraction, plan.options.max_significant
            )
        offset, column = np.divmod(points, n_orientations)
        return counts, column, offset

    results = pool.map(work, range(0, n_particles, block))
    first = join_firsts([r[0] for r in results])
    column = np.concatenate([r[1] for r in results])
    offset = np.concatenate([r[2] for r in results])
    particle = np.repeat(np.arange(n_particles), np.diff(first))
    return Pairs(
        first=first,
        orientation=table.orientation[column],
        offset=offset,
        log_prior=table.log_prior[column] + offset_priors[particle, offset],
    )


def coarse_rows(
    batch: PreparedBatch,
    cross_weights: Float32,
    part: slice,
    n_pixels: int,
    geometry: ImageGeometry,
) -> Float32:
    """Images of some particles at all coarse offsets, particle by particle.

    Returns
    -------
    ndarray, shape (n_particles * n_offsets, 2 * n_pixels), float32
    """
    cosines, sines = geometry.coarse_ramps
    n, n_offsets = part.stop - part.start, len(cosines)
    rows = np.empty((n * n_offsets, 2 * n_pixels), np.float32)
    shifted_rows(
        np.ascontiguousarray(batch.masked[part, :, :n_pixels]),
        np.ascontiguousarray(cross_weights[part, :n_pixels]),
        np.ascontiguousarray(cosines[:, :n_pixels]),
        np.ascontiguousarray(sines[:, :n_pixels]),
        np.repeat(np.arange(n, dtype=np.int32), n_offsets),
        np.tile(np.arange(n_offsets, dtype=np.int32), n),
        rows,
    )
    return rows


def join_firsts(firsts: list[IntArray]) -> IntArray:
    """Row pointers of several blocks, one after the other."""
    counts = np.concatenate([np.diff(f) for f in firsts])
    return np.concatenate([[0], np.cumsum(counts)])
