"""First pass of the search: every coarse orientation and offset (spec 3.7-3.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.geometry.directions import pixel_angles
from aurefine.kernels.local import fill_local_orientations
from aurefine.kernels.posterior import significant_points
from aurefine.kernels.scoring import (
    finish_coarse_scores,
    local_scores,
    shifted_rows,
    slice_norms,
)
from aurefine.kernels.slices import extract_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel

__all__ = [
    "CoarseTable",
    "Pairs",
    "global_search",
    "local_search",
    "make_coarse_table",
    "offset_log_priors",
    "score_weights",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_SCORE_BYTES = 48 << 20  # scores of the particles that one thread works on
_MAX_BLOCK = 32  # particles in one matrix product
_TILE = 1024  # orientations in one matrix product
_LOCAL_BLOCK = 8  # particles whose neighbourhoods one thread lists at a time


@dataclass(frozen=True, slots=True)
class CoarseTable:
    """Slices of all coarse orientations at the size of the first pass, or how to make them."""

    rotations: Float32  # (n_orientations, 3, 3)
    orientation: IntArray  # (n_orientations,), direction row * n_psi + psi index
    log_prior: Float32  # (n_orientations,)
    slices: Float32 | None  # (n_orientations, 2 * n_coarse)
    norms: Float32 | None  # (n_orientations, n_coarse)


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
    byte_budget: int,
) -> CoarseTable:
    """List the coarse orientations that have a prior, with their slices if they fit."""
    n_psi = len(plan.psi)
    prior = model.direction_prior
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
    if 12 * n * n_coarse > byte_budget:
        return CoarseTable(rotations, orientation, log_prior, None, None)
    slices = np.empty((n, 2 * n_coarse), np.float32)
    norms = np.empty((n, n_coarse), np.float32)

    def fill(start: int) -> None:
        part = slice(start, start + _TILE)
        _extract(projector, rotations[part], geometry, slices[part], norms[part])

    pool.map(fill, range(0, n, _TILE))
    return CoarseTable(rotations, orientation, log_prior, slices, norms)


def _extract(
    projector: Projector,
    rotations: Float32,
    geometry: ImageGeometry,
    slices: Float32,
    norms: Float32,
) -> None:
    n = geometry.n_coarse
    extract_slices(projector.volume, rotations, geometry.slice_x[:n], geometry.slice_y[:n], slices)
    slice_norms(slices, norms)


def score_weights(
    batch: PreparedBatch, noise_group: IntArray, plan: IterationPlan, geometry: ImageGeometry
) -> tuple[Float32, Float32]:
    """Factors of the cross and norm terms: C / sigma2 and C^2 / sigma2, without DC.

    For normalised cross-correlation the noise weight is the multiplicity of each stored pixel.

    Returns
    -------
    cross_weights, norm_weights : ndarray, shape (n_particles, n_pixels), float32
    """
    if plan.reference_has_ctf:
        transfer = batch.transfer
    else:
        transfer = np.broadcast_to(geometry.valid, batch.transfer.shape)
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
        centre = batch.origin_px - prior_offset / pixel
        total = (centre[:, None, :] + plan.coarse_offsets[None]) * pixel
    else:
        centre = batch.origin_px * pixel - prior_offset
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
    """First pass over all coarse orientations: one matrix product per block and tile."""
    n_particles, n_offsets = offset_priors.shape
    n_orientations, n_coarse = len(table.orientation), geometry.n_coarse
    per_particle = 4 * n_offsets * n_orientations
    block = int(np.clip(_SCORE_BYTES // per_particle, 1, _MAX_BLOCK))
    images = np.ascontiguousarray(batch.masked[:, :, :n_coarse])
    cosines, sines = geometry.coarse_ramps

    def work(start: int) -> tuple[IntArray, npt.NDArray[np.int32]]:
        part = slice(start, min(start + block, n_particles))
        n = part.stop - part.start
        rows = np.empty((n * n_offsets, 2 * n_coarse), np.float32)
        shifted_rows(
            images[part],
            np.ascontiguousarray(cross_weights[part, :n_coarse]),
            cosines,
            sines,
            np.repeat(np.arange(n, dtype=np.int32), n_offsets),
            np.tile(np.arange(n_offsets, dtype=np.int32), n),
            rows,
        )
        norm_rows = np.ascontiguousarray(norm_weights[part, :n_coarse])
        scores = np.empty((n * n_offsets, n_orientations), np.float32)
        norms = np.empty((n, n_orientations), np.float32)
        for tile_start in range(0, n_orientations, _TILE):
            tile = slice(tile_start, min(tile_start + _TILE, n_orientations))
            if table.slices is None or table.norms is None:
                slices = np.empty((tile.stop - tile.start, 2 * n_coarse), np.float32)
                powers = np.empty((tile.stop - tile.start, n_coarse), np.float32)
                _extract(projector, table.rotations[tile], geometry, slices, powers)
            else:
                slices, powers = table.slices[tile], table.norms[tile]
            scores[:, tile] = rows @ slices.T
            norms[:, tile] = norm_rows @ powers.T
        cube = scores.reshape(n, n_offsets, n_orientations)
        finish_coarse_scores(
            cube, norms, table.log_prior, offset_priors[part], plan.use_correlation
        )
        flat = cube.reshape(n, -1)
        if plan.use_correlation:
            return np.arange(n + 1), flat.argmax(axis=1).astype(np.int32)
        found: tuple[IntArray, npt.NDArray[np.int32]] = significant_points(
            flat, plan.options.adaptive_fraction, plan.options.max_significant
        )
        return found

    starts = range(0, n_particles, block)
    results = pool.map(work, starts)
    first = _join_firsts([r[0] for r in results])
    points = np.concatenate([r[1] for r in results]).astype(np.int64)
    offset, column = np.divmod(points, n_orientations)
    particle = np.repeat(np.arange(n_particles), np.diff(first))
    return Pairs(
        first=first,
        orientation=table.orientation[column],
        offset=offset,
        log_prior=table.log_prior[column] + offset_priors[particle, offset],
    )


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
    """First pass over the neighbourhood of each particle's pose (spec 3.8).

    The neighbourhood lies on the full sphere; directions are mapped into the asymmetric unit
    only when their statistics are collected.  `poses` has shape (n_particles, 3, 3).
    """
    n_particles, n_offsets = offset_priors.shape
    n_coarse = geometry.n_coarse
    n_psi = len(plan.psi)
    order = plan.sampling.order
    sigma = np.deg2rad(plan.sampling.sigma_angle)
    images = np.ascontiguousarray(batch.masked[:, :, :n_coarse])
    cosines, sines = geometry.coarse_ramps
    width = min(2 * int(np.ceil(3 * sigma / (2 * np.pi / n_psi))) + 1, n_psi)
    correlation = plan.use_correlation

    def work(start: int) -> list[tuple[IntArray, IntArray, Float32]]:
        part = slice(start, min(start + _LOCAL_BLOCK, n_particles))
        n = part.stop - part.start
        first, pixel, angle = grids.neighbourhoods(
            poses[part, 2], order, 3 * plan.sampling.sigma_angle
        )
        rot, tilt = pixel_angles(pixel, order)
        begin = first * width
        n_found = np.empty(n, np.int64)
        orientation = np.empty(begin[-1], np.int64)
        log_prior = np.empty(begin[-1], np.float32)
        rotations = np.empty((begin[-1], 3, 3), np.float32)
        fill_local_orientations(
            np.ascontiguousarray(poses[part]),
            first,
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
        rows = np.empty((n * n_offsets, 2 * n_coarse), np.float32)
        shifted_rows(
            images[part],
            np.ascontiguousarray(cross_weights[part, :n_coarse]),
            cosines,
            sines,
            np.repeat(np.arange(n, dtype=np.int32), n_offsets),
            np.tile(np.arange(n_offsets, dtype=np.int32), n),
            rows,
        )
        cube = rows.reshape(n, n_offsets, 2 * n_coarse)
        found = []
        for i in range(n):
            own = slice(begin[i], begin[i] + n_found[i])
            scores = np.empty((n_found[i], n_offsets), np.float32)
            norms = np.empty(n_found[i], np.float32)
            local_scores(
                projector.volume,
                rotations[own],
                geometry.slice_x[:n_coarse],
                geometry.slice_y[:n_coarse],
                cube[i],
                norm_weights[start + i, :n_coarse],
                scores,
                norms,
            )
            if correlation:
                scores /= np.sqrt(np.maximum(norms, 1e-30))[:, None]
                points = np.array([scores.argmax()], np.int32)
            else:
                scores -= 0.5 * norms[:, None]
                scores += log_prior[own, None] + offset_priors[start + i]
                _, points = significant_points(
                    scores.reshape(1, -1),
                    plan.options.adaptive_fraction,
                    plan.options.max_significant,
                )
            which, offset = np.divmod(points.astype(np.int64), n_offsets)
            prior = log_prior[own][which] + offset_priors[start + i, offset]
            found.append((orientation[own][which], offset, prior))
        return found

    results = [r for part in pool.map(work, range(0, n_particles, _LOCAL_BLOCK)) for r in part]
    counts = np.array([len(r[0]) for r in results])
    return Pairs(
        first=np.concatenate([[0], np.cumsum(counts)]),
        orientation=np.concatenate([r[0] for r in results]),
        offset=np.concatenate([r[1] for r in results]),
        log_prior=np.concatenate([r[2] for r in results]).astype(np.float32),
    )


def _join_firsts(firsts: list[IntArray]) -> IntArray:
    counts = np.concatenate([np.diff(f) for f in firsts])
    return np.concatenate([[0], np.cumsum(counts)])
