"""What all first passes share: images at coarse offsets, priors, slices (spec 3.7-3.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.kernels.byte_products import QUAD, WIDTH, bytes_pay, pack_slices
from aurefine.kernels.rotations import turn_in_plane
from aurefine.kernels.scoring import shifted_rows, slice_norms
from aurefine.kernels.slices import extract_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.memory import TABLE_BYTES
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel

__all__ = [
    "CoarseTable",
    "PackedSlices",
    "Pairs",
    "coarse_rows",
    "equalising_factor",
    "extract_with_powers",
    "first_look_pixels",
    "first_step_pays",
    "join_firsts",
    "leading_pixels",
    "looks_first",
    "make_coarse_table",
    "offset_log_priors",
    "reference_factor",
    "score_weights",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_TILE = 1024  # orientations whose slices one thread extracts at a time
_PACKED_TILE = 8 * WIDTH  # of them that it rounds to bytes at a time
_LOWEST_PRIOR = 1e-8  # of a direction, over the mean
_FEW_PIXELS = 256  # below this number a first step on the inner rings tells too little


@dataclass(frozen=True, slots=True)
class PackedSlices:
    """Slices of all coarse orientations in bytes, for the first look."""

    factor: Float32  # (2 * n_pixels,), what slices were divided by
    blocks: npt.NDArray[np.uint8]  # (n_blocks, n_quads, WIDTH, QUAD)
    scale: Float32  # (n_blocks * WIDTH,), what a byte stands for
    power: float  # largest sum of squares of a slice


@dataclass(frozen=True, slots=True)
class CoarseTable:
    """Slices of all coarse orientations at the size of the first pass, or how to make them."""

    rotations: Float32  # (n_orientations, 3, 3)
    orientation: IntArray  # (n_orientations,), direction row * n_psi + psi index
    log_prior: Float32  # (n_orientations,)
    slices: Float32 | None  # (n_orientations, 2 * n_coarse)
    norms: Float32 | None  # (n_orientations, n_coarse)
    packed: PackedSlices | None = None  # None also where bytes are of no use


@dataclass(frozen=True, slots=True)
class Pairs:
    """Significant coarse (orientation, offset) pairs of a batch, particle by particle."""

    first: IntArray  # (n_particles + 1,)
    orientation: IntArray  # (n_pairs,)
    offset: IntArray  # (n_pairs,)
    log_prior: Float32  # (n_pairs,)


def looks_first(plan: IterationPlan) -> bool:
    """Whether a first look may leave out orientations before they are scored in full."""
    return plan.options.two_step_scoring and not plan.use_correlation


def first_step_pays(plan: IterationPlan, geometry: ImageGeometry) -> bool:
    """Whether a first step on the inner rings tells which orientations are likely."""
    return looks_first(plan) and geometry.n_coarse >= _FEW_PIXELS


def first_look_pixels(plan: IterationPlan, geometry: ImageGeometry) -> int:
    """Number of pixels by which all orientations are compared first."""
    return geometry.n_inner if first_step_pays(plan, geometry) else geometry.n_coarse


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
    rotations = _rotations(searched, plan)
    n, n_coarse = len(orientation), geometry.n_coarse
    if TABLE_BYTES * n * n_coarse > byte_limit:
        return CoarseTable(rotations, orientation, log_prior, None, None)
    slices = np.empty((n, 2 * n_coarse), np.float32)
    norms = np.empty((n, n_coarse), np.float32)

    def fill(start: int) -> None:
        part = slice(start, start + _TILE)
        extract_with_powers(projector, rotations[part], geometry, slices[part], norms[part])

    pool.map(fill, range(0, n, _TILE))
    packed = None
    if looks_first(plan):
        n_look = first_look_pixels(plan, geometry)
        if bytes_pay(2 * n_look):
            packed = _packed(slices, norms, n_look, pool)
    return CoarseTable(rotations, orientation, log_prior, slices, norms, packed)


def leading_pixels(slices: Float32, n_pixels: int) -> Float32:
    """Leading pixels of planar slices, (n, 2 * n_coarse), as planar ones, (n, 2 * n_pixels)."""
    n_coarse = slices.shape[1] // 2
    if n_pixels == n_coarse:
        return slices
    parts = [slices[:, :n_pixels], slices[:, n_coarse : n_coarse + n_pixels]]
    return np.concatenate(parts, axis=1)


def equalising_factor(powers: Float32) -> Float32:
    """What slices are divided by to make their pixels about equal, from powers of some of them.

    Parameters
    ----------
    powers : ndarray, shape (n, n_pixels)

    Returns
    -------
    ndarray, shape (2 * n_pixels,), float32
    """
    strength = np.sqrt(powers.mean(axis=0))
    strength[strength == 0] = 1
    return np.concatenate([strength, strength])


def _packed(slices: Float32, norms: Float32, n_pixels: int, pool: WorkerPool) -> PackedSlices:
    """Round the leading pixels of slices to bytes, after making all pixels about equal."""
    n = len(slices)
    factor = equalising_factor(norms[:_TILE, :n_pixels])
    inverse = 1 / factor
    n_blocks = -(-n // WIDTH)
    blocks = np.empty((n_blocks, -(-len(factor) // QUAD), WIDTH, QUAD), np.uint8)
    scale = np.empty(n_blocks * WIDTH, np.float32)

    def pack(start: int) -> float:
        part = slice(start, start + _PACKED_TILE)
        own = leading_pixels(slices[part], n_pixels)
        in_bytes, own_scale, power = pack_slices(own, inverse)
        blocks[start // WIDTH : start // WIDTH + len(in_bytes)] = in_bytes
        scale[start : start + len(own_scale)] = own_scale
        return float(power)

    power = max(pool.map(pack, range(0, n, _PACKED_TILE)))
    return PackedSlices(factor, blocks, scale, power)


def _rotations(directions: IntArray, plan: IterationPlan) -> Float32:
    """Rotations of some directions at all in-plane angles, which change fastest."""
    n_psi = len(plan.psi)
    upright = grids.upright_rotations(
        plan.grid.pixel[directions, None], plan.sampling.order, plan.perturbation
    )
    direction = np.repeat(np.arange(len(directions)), n_psi)
    psi = np.tile(np.arange(n_psi), len(directions))
    angles = np.deg2rad(plan.psi)[:, None]
    out = np.empty((len(psi), 1, 3, 3), np.float32)
    turn_in_plane(upright, direction, psi, np.cos(angles), np.sin(angles), out)
    return out[:, 0]


def extract_with_powers(
    projector: Projector,
    rotations: Float32,
    geometry: ImageGeometry,
    slices: Float32,
    norms: Float32,
) -> None:
    """Write planar slices at the leading pixels, (n, 2 * n_pixels), and their powers."""
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

    Of a premultiplied image C is CTF^2, and sigma2 of its noise is in proportion to CTF^2.
    For normalised cross-correlation the noise weight is the multiplicity of each stored pixel.

    Returns
    -------
    cross_weights, norm_weights : ndarray, shape (n_particles, n_pixels), float32
    """
    transfer = reference_factor(batch, plan, geometry)
    if plan.use_correlation:
        weight = np.broadcast_to(geometry.pixels.multiplicity, transfer.shape)
    else:
        weight = batch.inverse_sigma2[noise_group]
        weight[:, 0] = 0
    whitens = plan.reference_has_ctf and not plan.use_correlation
    cross = (batch.matched if whitens else transfer) * weight
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
