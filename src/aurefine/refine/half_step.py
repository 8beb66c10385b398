"""One batch of particles of the expectation step: align, combine, collect (spec 3, 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.geometry.directions import direction_index, pixel_angles
from aurefine.geometry.euler import direction_from_angles, matrix_from_euler
from aurefine.kernels.posterior import offset_moments
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import balanced_ranges, even_parts, n_pieces
from aurefine.refine import coarse, search
from aurefine.refine.batch import PreparedBatch, begin_batch
from aurefine.refine.batch_result import BatchResult, join_results
from aurefine.refine.combine import Statistics, accumulate, backprojection_weights
from aurefine.refine.exhaustive import ExhaustiveSearch
from aurefine.refine.given import given_search
from aurefine.refine.insertion import Insertion
from aurefine.refine.local import local_search
from aurefine.refine.memory import pair_bytes
from aurefine.refine.particles import ParticleSet
from aurefine.refine.pixels import half_plane_rings
from aurefine.refine.plan import ImageGeometry, IterationPlan, scored_geometry
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel, Poses
from aurefine.refine.tally import Tally

__all__ = ["HalfStep", "empty_tally"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_PREPARING = "preparing images"
_TASKS = 32  # pieces that the pairs of a batch are cut into
_PAIR_BYTES = 320  # working memory per significant coarse pair, with 4 x 8 children
_LEAST_NOISE = np.float32(1e-3)  # of premultiplied images near the zeros of the CTF, relative


def empty_tally(model: HalfModel) -> Tally:
    """Small sums at zero for everything that a half estimates."""
    n_noise_groups, n_shells = model.sigma2_noise.shape
    n_groups, n_directions = len(model.group_scale), len(model.direction_prior)
    return Tally(n_noise_groups, n_shells, n_groups, n_directions)


@dataclass(frozen=True, slots=True)
class HalfStep:
    """What all batches of one half and image geometry share."""

    particles: ParticleSet
    poses: Poses
    model: HalfModel
    projector: Projector
    plan: IterationPlan
    geometry: ImageGeometry
    table: coarse.CoarseTable | None
    seed: int
    pool: WorkerPool
    stopwatch: Stopwatch
    insertion: Insertion
    mean_ctf2: Float32 | None  # see `mean_squared_ctf`

    def begin(self, rows: IntArray, raw: Float32) -> Callable[[], PreparedBatch]:
        """Let threads prepare the images of a batch when they have nothing else to do.

        What is returned finishes the work and returns the prepared batch.
        """
        offsets = np.stack([self.poses.offset_x[rows], self.poses.offset_y[rows]], axis=1)
        pixel = self.geometry.pixel_size
        origin_px = _round_half_away(offsets / pixel)
        return begin_batch(
            self.particles,
            rows,
            raw,
            origin_px,
            offsets - origin_px * pixel if self.plan.centres_exactly else None,
            self._intensity(rows),
            self.model,
            self.plan,
            self.geometry,
            self.pool,
            self.seed,
            self.mean_ctf2,
            partial(self.stopwatch.add_cpu, _PREPARING),
        )

    def run(
        self, prepare: Callable[[], PreparedBatch], progress: Callable[[int], None]
    ) -> tuple[BatchResult, Tally]:
        """Align a batch, add it to the volume of the sums, and return its small sums.

        `prepare` is what `begin` has returned.
        """
        plan, geometry, particles = self.plan, self.geometry, self.particles
        with self.stopwatch(_PREPARING):
            batch = prepare()
            rows = batch.rows
            noise_group = particles.noise_group[rows]
            cross_weights, norm_weights, numerator, denominator = self._weights(batch, noise_group)
            prior_offset = (
                np.zeros((len(rows), 2))
                if particles.prior_offset is None
                else particles.prior_offset[rows]
            )
            offset_priors = coarse.offset_log_priors(
                batch, plan, geometry, self.model.sigma_offset, prior_offset
            )
        intensity = self._intensity(rows)
        is_strong = self._strong_pixels(batch)
        with self.stopwatch("coarse scoring"):
            pairs = self._coarse(batch, cross_weights, norm_weights, offset_priors)
        image_norms = np.sqrt(np.maximum(batch.window_power, 1e-30))
        model_transfer = coarse.reference_factor(batch, plan, geometry)
        scored = scored_geometry(geometry)
        n_scored = scored.pixels.n_pixels
        results = []
        tally = empty_tally(self.model)
        budget = pair_bytes(plan.options.memory_budget, is_local=plan.sampling.is_local)
        for a, b in _particle_ranges(pairs.first, budget):
            with self.stopwatch("fine scoring"):
                posterior = search.fine_search(
                    replace(batch, masked=batch.masked[:, :, :n_scored]),
                    pairs,
                    (a, b),
                    cross_weights[:, :n_scored],
                    norm_weights[:, :n_scored],
                    image_norms,
                    plan,
                    scored,
                    self.projector,
                    self.insertion.lend,
                    self.pool,
                )
            self._check_finite(posterior, batch.rows[a:b])
            with self.stopwatch("combining"):
                statistics = accumulate(
                    batch,
                    (a, b),
                    posterior,
                    model_transfer,
                    numerator,
                    denominator,
                    noise_group,
                    is_strong,
                    plan,
                    geometry,
                    self.projector,
                    self.insertion,
                    self.pool,
                )
            with self.stopwatch("statistics"):
                results.append(
                    self._collect(
                        batch, (a, b), pairs, posterior, statistics, intensity[a:b], tally
                    )
                )
            progress(b - a)
            del posterior  # before there is another one
        return join_results(results), tally

    def _intensity(self, rows: IntArray) -> Float:
        """Average over particle norm correction."""
        if not self.plan.options.norm:
            return np.ones(len(rows))
        intensity: Float = self.model.norm_average / self.poses.norm_correction[rows]
        return intensity

    def _weights(self, batch: PreparedBatch, noise_group: IntArray) -> tuple[Float32, ...]:
        """Factors of cross and norm terms, of back-projected images and of their weights.

        Each has the shape (n_particles, n_pixels).
        """
        all_weights = tuple(np.empty((4, *batch.transfer.shape), np.float32))

        def fill(part: slice) -> None:
            of_part = batch.part(part), noise_group[part], self.plan, self.geometry
            found = coarse.score_weights(*of_part) + backprojection_weights(*of_part)
            for weights, values in zip(all_weights, found, strict=True):
                weights[part] = values

        n_parts = n_pieces(batch.transfer.size, search.FEW_SAMPLES, _TASKS)
        self.pool.map(fill, even_parts(len(noise_group), n_parts))
        return all_weights

    def _coarse(
        self,
        batch: PreparedBatch,
        cross_weights: Float32,
        norm_weights: Float32,
        offset_priors: Float32,
    ) -> coarse.Pairs:
        if self.plan.keeps_rotations:
            return given_search(
                batch,
                cross_weights,
                norm_weights,
                offset_priors,
                self.plan,
                self.geometry,
                self.projector,
                self.pool,
            )
        if self.table is not None:
            return ExhaustiveSearch(
                batch,
                cross_weights,
                norm_weights,
                offset_priors,
                self.table,
                self.plan,
                self.geometry,
                self.projector,
                self.pool,
            ).run()
        current = self._centres(batch.rows)
        return local_search(
            batch,
            current,
            cross_weights,
            norm_weights,
            offset_priors,
            self.plan,
            self.geometry,
            self.projector,
            self.pool,
        )

    def _centres(self, rows: IntArray) -> Float:
        """Orientations that local searches go around, shape (n, 3, 3)."""
        plan, priors = self.plan, self.particles.prior_angles
        if plan.uses_angle_priors and priors is not None:
            return matrix_from_euler(*priors[rows].T)
        poses = self.poses
        return matrix_from_euler(poses.rot[rows], poses.tilt[rows], poses.psi[rows])

    def _check_finite(self, posterior: search.Posterior, rows: IntArray) -> None:
        bad = ~np.isfinite(posterior.log_total)
        if bad.any():
            raise ImageError(
                f"particle row {rows[np.argmax(bad)] + 1}: its score is not a number. The image, "
                "its CTF parameters or the noise spectrum of its optics group is unusable; "
                "remove the particle."
            )

    def _collect(
        self,
        batch: PreparedBatch,
        particle_range: tuple[int, int],
        pairs: coarse.Pairs,
        posterior: search.Posterior,
        statistics: Statistics,
        intensity: Float,
        tally: Tally,
    ) -> BatchResult:
        """Add the scalar and spectral statistics to the tally and gather the new poses."""
        plan, geometry, particles = self.plan, self.geometry, self.particles
        a, b = particle_range
        rows = batch.rows[a:b]
        power = batch.ring_power[a:b]
        weight = statistics.sums[:, 3]
        n_shells = geometry.pixels.n_shells
        shells = geometry.model_shell
        noise_group = particles.noise_group[rows]
        _, pixels_per_ring = half_plane_rings(geometry.box)
        weighted = power.copy()
        weighted[:, :n_shells] *= weight[:, None]
        pixel_shell = shells[geometry.pixels.shell]
        for group in np.unique(noise_group):
            own = noise_group == group
            np.add.at(tally.noise[group], shells, weighted[own].sum(axis=0))
            np.add.at(tally.noise[group], pixel_shell, statistics.residual_by_pixel[group])
            np.add.at(tally.noise_pixels[group], shells, weight[own].sum() * pixels_per_ring)
        expected = np.maximum(weighted.sum(axis=1) + statistics.sums[:, 0], 0.0)
        norm = np.sqrt(2 * expected) / intensity if plan.options.norm else np.ones(len(rows))
        micrograph = particles.micrograph_group[rows]
        scale = np.maximum(self.model.group_scale[micrograph], 0.001)
        np.add.at(tally.scale_cross, micrograph, statistics.sums[:, 1] / scale)
        np.add.at(tally.scale_power, micrograph, statistics.sums[:, 2] / scale**2)
        n_child = plan.n_child_offsets
        fine_total = batch.origin[a:b, None] + plan.fine_offsets[None]  # (n, n_fine_offsets, 2) Å
        prior = 0.0 if particles.prior_offset is None else particles.prior_offset[rows][:, None]
        distance2 = ((fine_total - prior) ** 2).sum(axis=2)
        own = posterior.pairs
        pair_weight = np.empty(len(own.offset))
        moment = np.empty(b - a)
        self.pool.map(
            lambda task: offset_moments(
                own.first, posterior.weights, own.offset, distance2, pair_weight, moment, *task
            ),
            balanced_ranges(own.first, n_pieces(len(own.offset), search.FEW_PAIRS, _TASKS)),
        )
        sorted_weight = search.gathered(pair_weight, posterior.sorted_pair, self.pool)
        tally.direction += np.bincount(
            self._direction_rows(posterior.orientations),
            weights=np.add.reduceat(sorted_weight, posterior.group_first[:-1]),
            minlength=len(tally.direction),
        )
        likelihood = self._log_likelihood(batch, (a, b), posterior, noise_group)
        probability = posterior.probability
        tally.scalars += (
            moment.sum(), weight.sum(), norm.sum(), likelihood.sum(), probability.sum()
        )  # fmt: skip
        pair, child_offset, child = np.unravel_index(posterior.best, posterior.weights.shape)
        if plan.keeps_rotations:
            poses = self.poses
            rot, tilt, psi = poses.rot[rows], poses.tilt[rows], poses.psi[rows]
        else:
            rot, tilt, psi = search.best_angles(own.orientation[pair], child, plan)
        shift = fine_total[np.arange(b - a), own.offset[pair] * n_child + child_offset]
        return BatchResult(
            rows=rows,
            rot=rot,
            tilt=tilt,
            psi=psi,
            offset_x=shift[:, 0],
            offset_y=shift[:, 1],
            norm_correction=norm,
            log_likelihood=likelihood,
            pmax=posterior.probability,
            n_significant=np.diff(own.first),
        )

    def _strong_pixels(self, batch: PreparedBatch) -> Float32:
        """Weights with which pixels set the scale, shape (n_particles or 1, n_pixels).

        They are 1 in shells where the data outweigh the prior enough, and more where a
        premultiplied image has less noise than others.
        """
        geometry, particles = self.geometry, self.particles
        shell = geometry.model_shell[geometry.pixels.shell]
        strong = (self.model.data_vs_prior[shell] > 3).astype(np.float32)[None]
        if self.mean_ctf2 is None:
            return strong
        optics = particles.optics[batch.rows]
        is_multiplied = np.array([group.is_premultiplied for group in particles.optics_groups])[
            optics
        ]
        least = np.maximum(_LEAST_NOISE * batch.matched, np.float32(1e-30))
        gain = batch.matched / np.maximum(batch.transfer, least)
        return strong * np.where(is_multiplied[:, None], gain, np.float32(1.0))

    def _direction_rows(self, orientation: IntArray) -> IntArray:
        """Row of the direction prior of each coarse orientation."""
        plan = self.plan
        if plan.given_rotations is not None:
            directions = plan.given_rotations[orientation, 2]
            return direction_index(directions, plan.grid, plan.group)
        row = orientation // len(plan.psi)
        if not plan.sampling.is_local:
            return row
        pixels, inverse = np.unique(row, return_inverse=True)
        directions = direction_from_angles(*pixel_angles(pixels, plan.sampling.order))
        found: IntArray = direction_index(directions, plan.grid, plan.group)[inverse]
        return found

    def _log_likelihood(
        self,
        batch: PreparedBatch,
        particle_range: tuple[int, int],
        posterior: search.Posterior,
        noise_group: IntArray,
    ) -> Float:
        """Log-likelihood of each particle (spec 3.10), or its correlation."""
        if self.plan.use_correlation:
            return posterior.log_total
        a, b = particle_range
        geometry = self.geometry
        n_shells = geometry.pixels.n_shells
        _, pixels_per_ring = half_plane_rings(geometry.box)
        sigma2 = self.model.sigma2_noise[:, geometry.model_shell[1:n_shells]]
        constant = (
            np.log(2 * np.pi * np.maximum(sigma2, 1e-30)) * pixels_per_ring[1:n_shells]
        ).sum(axis=1)
        power = batch.ring_power[a:b]
        inside = (power[:, 1:n_shells] / sigma2[noise_group] / 2).sum(axis=1)
        outside = power[:, n_shells:].sum(axis=1) / 2
        total: Float = posterior.log_total - inside - outside - constant[noise_group]
        return total


def _round_half_away(values: Float) -> IntArray:
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)


def _particle_ranges(first: IntArray, byte_budget: int) -> list[tuple[int, int]]:
    """Cut a batch so that the pairs of each part fit the byte budget."""
    limit = max(1, byte_budget // _PAIR_BYTES)
    ranges = []
    a = 0
    n = len(first) - 1
    while a < n:
        b = int(np.searchsorted(first, first[a] + limit, side="right")) - 1
        b = min(max(b, a + 1), n)
        ranges.append((a, b))
        a = b
    return ranges
