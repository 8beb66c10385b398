"""First pass over every coarse orientation and offset, by matrix products (spec 3.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.kernels.byte_products import (
    GROUP,
    WIDTH,
    best_from_bytes,
    bytes_pay,
    pack_rows,
    pack_slices,
    room_for_rows,
)
from aurefine.kernels.posterior import significant_points
from aurefine.kernels.scoring import finish_coarse_scores
from aurefine.kernels.two_step import (
    best_over_offsets,
    likely_orientations,
    score_likely,
    score_local,
)
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.coarse import (
    CoarseTable,
    Pairs,
    coarse_rows,
    equalising_factor,
    extract_with_powers,
    first_look_pixels,
    first_step_pays,
    join_firsts,
    leading_pixels,
    looks_first,
)
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector

__all__ = ["ExhaustiveSearch"]

Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Points = tuple[IntArray, IntArray, IntArray]  # range of each particle; orientations; offsets

# log weight below the best on the inner rings at which orientations are left out; the true one
# comes as far below another one, of millions, with a probability below 3e-12 (docs/algorithm.md)
_LIKELY_DROP = 24.0
_GRID_SHARE = 0.05  # of the best one's height, as the true one lies between points of the grid
_SCORE_BYTES = 48 << 20  # scores of the particles that one thread works on
_MAX_BLOCK = 24  # particles in one matrix product
_TILE = 1024  # orientations in one matrix product
_CACHED_TILE = 256  # of them where slices and products stay in the cache
_CACHED_FLOATS = 1 << 17  # products that do
_PROBE = 8  # particles that show how many orientations are likely
_MOST_LIKELY = 0.1  # share of likely orientations from which on two steps save nothing
_LIKELY_BLOCK = 4  # particles whose likely orientations one thread scores at a time
_SURELY = 8.0  # standard deviations of rounding by which likely orientations may seem worse


@dataclass(frozen=True, slots=True)
class ExhaustiveSearch:
    """First pass of one batch over all coarse orientations."""

    batch: PreparedBatch
    cross_weights: Float32  # (n_particles, n_pixels)
    norm_weights: Float32  # (n_particles, n_pixels)
    offset_priors: Float32  # (n_particles, n_offsets)
    table: CoarseTable
    plan: IterationPlan
    geometry: ImageGeometry
    projector: Projector
    pool: WorkerPool

    def run(self) -> Pairs:
        """Find the significant points, in two steps if that saves work.

        Then the best offset of each orientation is found first, on the inner rings if these tell
        enough, and only the orientations that come near the best one are scored in full.
        """
        found = None
        if looks_first(self.plan):
            found = self._two_steps()
        blocks = found or self._one_step()
        first = join_firsts([counts for counts, _, _ in blocks])
        orientation, offset = np.empty((2, first[-1]), np.int64)
        log_prior = np.empty(first[-1], np.float32)

        def fill(task: tuple[int, Points]) -> None:
            start, (counts, column, own_offset) = task
            stop = start + len(counts) - 1
            own = slice(first[start], first[stop])
            particle = np.repeat(np.arange(start, stop), np.diff(counts))
            orientation[own] = self.table.orientation[column]
            offset[own] = own_offset
            log_prior[own] = self.table.log_prior[column]
            log_prior[own] += self.offset_priors[particle, own_offset]

        starts = np.cumsum([0] + [len(counts) - 1 for counts, _, _ in blocks[:-1]]).tolist()
        self.pool.map(fill, zip(starts, blocks, strict=True))
        return Pairs(first, orientation, offset, log_prior)

    def _one_step(self) -> list[Points]:
        """Score all points and choose among them."""
        n_particles, n_offsets = self.offset_priors.shape
        n_orientations, n_coarse = len(self.table.orientation), self.geometry.n_coarse
        block = int(np.clip(_SCORE_BYTES // (4 * n_offsets * n_orientations), 1, _MAX_BLOCK))
        options = self.plan.options

        def work(part: slice) -> Points:
            n = part.stop - part.start
            rows = self._rows(part, n_coarse)
            norm_rows = np.ascontiguousarray(self.norm_weights[part, :n_coarse])
            scores = np.empty((n * n_offsets, n_orientations), np.float32)
            norm_terms = np.empty((n, n_orientations), np.float32)
            for tile in _parts(0, n_orientations, _TILE):
                slices, powers = self._slices(tile, n_coarse)
                scores[:, tile] = rows @ slices.T
                norm_terms[:, tile] = norm_rows @ powers.T
            finish_coarse_scores(
                scores.reshape(n, n_offsets, n_orientations),
                norm_terms,
                self.table.log_prior,
                self.offset_priors[part],
                self.plan.use_correlation,
            )
            flat = scores.reshape(n, -1)
            if self.plan.use_correlation:
                counts, points = np.arange(n + 1), flat.argmax(axis=1)
            else:
                counts, points = significant_points(
                    flat, options.adaptive_fraction, options.max_significant
                )
            offset, column = np.divmod(points, n_orientations)
            return counts, column, offset

        return self.pool.map(work, _parts(0, n_particles, block))

    def _two_steps(self) -> list[Points] | None:
        """Choose among the points of likely orientations; None if too many of them are likely."""
        n_particles = len(self.offset_priors)
        n_probe = min(_PROBE, n_particles)
        best, drop = self._best_over_offsets(slice(0, n_probe))
        likely = likely_orientations(best, drop, self._share)[1]
        if len(likely) > _MOST_LIKELY * best.size:
            return None
        blocks = [(part, best[part], drop[part]) for part in _parts(0, n_probe, _LIKELY_BLOCK)]
        if n_particles > n_probe:
            best, drop = self._best_over_offsets(slice(n_probe, n_particles))
            for part in _parts(n_probe, n_particles, _LIKELY_BLOCK):
                own = slice(part.start - n_probe, part.stop - n_probe)
                blocks.append((part, best[own], drop[own]))
        return self.pool.map(self._score_likely, blocks)

    def _best_over_offsets(self, particles: slice) -> tuple[Float32, Float32]:
        """Log weights at the best offset, and what likely ones may be below the best one.

        All images pass each tile of orientations, and products go no farther than the cache.

        Returns
        -------
        best : ndarray, shape (n_particles, n_orientations), float32
        drop : ndarray, shape (n_particles,), float32
        """
        n_particles, n_offsets = particles.stop - particles.start, self.offset_priors.shape[1]
        n_orientations = len(self.table.orientation)
        n_pixels = first_look_pixels(self.plan, self.geometry)
        n_together = max(1, _CACHED_FLOATS // (n_offsets * _CACHED_TILE))
        rows = np.empty((n_particles, n_offsets, 2 * n_pixels), np.float32)
        norm_weights = np.ascontiguousarray(self.norm_weights[particles, :n_pixels])
        priors = np.ascontiguousarray(self.offset_priors[particles])
        best = np.empty((n_particles, n_orientations), np.float32)
        drop = np.full(n_particles, _LIKELY_DROP, np.float32)

        def fill(part: slice) -> None:
            own = slice(particles.start + part.start, particles.start + part.stop)
            rows[part] = self._rows(own, n_pixels).reshape(-1, n_offsets, 2 * n_pixels)

        def work(tile: slice) -> None:
            slices, powers = self._slices(tile, n_pixels)
            best_over_offsets(
                rows,
                norm_weights,
                slices,
                np.ascontiguousarray(powers),
                self.table.log_prior[tile],
                priors,
                n_together,
                best[:, tile],
            )

        self.pool.map(fill, _parts(0, n_particles, n_together))
        if bytes_pay(2 * n_pixels):
            drop += self._score_bytes(rows, norm_weights, priors, best)
        else:
            self.pool.map(work, _parts(0, n_orientations, _CACHED_TILE))
        return best, drop

    def _score_bytes(
        self, rows: Float32, norm_weights: Float32, priors: Float32, best: Float32
    ) -> Float32:
        """Write log weights at the best offset from products of bytes; return what they may lack.

        Slices and images are multiplied by factors that make all pixels of slices about equal.
        """
        n_particles, n_offsets, length = rows.shape
        n_rows, n_orientations = n_particles * n_offsets, best.shape[1]
        n_blocks = -(-n_orientations // WIDTH)
        tiles = [
            slice(WIDTH * own.start, min(WIDTH * own.stop, n_orientations))
            for own in _parts(0, n_blocks, _CACHED_TILE // WIDTH)
        ]
        factor = self._equalising(tiles[0], length // 2)
        flat = rows.reshape(n_rows, length)
        packed, scale, middle, power = room_for_rows(n_rows, length)

        def pack(part: slice) -> None:
            own = slice(GROUP * part.start, min(GROUP * part.stop, n_rows))
            pack_rows(flat[own], factor, packed[part], scale[own], middle[own], power[own])

        def work(tile: slice) -> tuple[float, float]:
            in_bytes, own_scale, own_power, powers = self._slices_in_bytes(tile, factor)
            best_from_bytes(
                packed,
                scale,
                middle,
                norm_weights,
                in_bytes,
                own_scale,
                np.ascontiguousarray(powers),
                self.table.log_prior[tile],
                priors,
                best[:, tile],
            )
            return float(own_scale.max()), own_power

        self.pool.map(pack, _parts(0, len(packed), -(-_CACHED_FLOATS // (GROUP * length))))
        step, most = np.max(self.pool.map(work, tiles), axis=0)
        variance = (scale**2 * most + step**2 * power) / 12
        largest = variance.reshape(n_particles, -1).max(axis=1)
        lacking: Float32 = (_SURELY * np.sqrt(largest)).astype(np.float32)
        return lacking

    def _score_likely(self, block: tuple[slice, Float32, Float32]) -> Points:
        """Choose among the points of those orientations that are likely for some particles."""
        part, best, drop = block
        table, geometry, options = self.table, self.geometry, self.plan.options
        n_coarse = geometry.n_coarse
        first, likely = likely_orientations(best, drop, self._share)
        rows = self._rows(part, n_coarse).reshape(len(best), -1, 2 * n_coarse)
        norm_rows = np.ascontiguousarray(self.norm_weights[part, :n_coarse])
        if table.slices is not None:
            found: Points = score_likely(
                first,
                likely,
                table.slices,
                table.norms,
                table.log_prior,
                self.offset_priors[part],
                rows,
                norm_rows,
                options.adaptive_fraction,
                options.max_significant,
            )
            return found
        counts, point, offset = score_local(
            self.projector.volume,
            first,
            table.rotations[likely],
            table.log_prior[likely],
            geometry.slice_x[:n_coarse],
            geometry.slice_y[:n_coarse],
            np.array([n_coarse]),
            rows,
            norm_rows,
            self.offset_priors[part],
            _LIKELY_DROP,
            self._share,
            options.adaptive_fraction,
            options.max_significant,
            False,
        )
        return counts, likely[point], offset

    @property
    def _share(self) -> float:
        """Share of `likely_orientations`: scores of all pixels tell exactly."""
        return _GRID_SHARE if first_step_pays(self.plan, self.geometry) else 0.0

    def _rows(self, part: slice, n_pixels: int) -> Float32:
        return coarse_rows(self.batch, self.cross_weights, part, n_pixels, self.geometry)

    def _slices(self, tile: slice, n_pixels: int) -> tuple[Float32, Float32]:
        """Leading pixels of the slices of some orientations, planar, and their powers."""
        table = self.table
        if table.slices is None or table.norms is None:
            n = len(table.rotations[tile])
            slices = np.empty((n, 2 * n_pixels), np.float32)
            powers = np.empty((n, n_pixels), np.float32)
            extract_with_powers(
                self.projector, table.rotations[tile], self.geometry, slices, powers
            )
            return slices, powers
        return leading_pixels(table.slices[tile], n_pixels), table.norms[tile, :n_pixels]

    def _equalising(self, tile: slice, n_pixels: int) -> Float32:
        """Factors of images that make pixels of slices about equal, shape (2 * n_pixels,)."""
        if self.table.packed is not None:
            return self.table.packed.factor
        return equalising_factor(self._slices(tile, n_pixels)[1])

    def _slices_in_bytes(
        self, tile: slice, factor: Float32
    ) -> tuple[npt.NDArray[np.uint8], Float32, float, Float32]:
        """What `pack_slices` returns for some orientations, and the powers of their pixels."""
        packed, norms, n_pixels = self.table.packed, self.table.norms, len(factor) // 2
        if packed is None or norms is None:
            slices, powers = self._slices(tile, n_pixels)
            in_bytes, scale, power = pack_slices(slices, 1 / factor)
            return in_bytes, scale, float(power), powers
        blocks = slice(tile.start // WIDTH, -(-tile.stop // WIDTH))
        scale = packed.scale[WIDTH * blocks.start : WIDTH * blocks.stop]
        return packed.blocks[blocks], scale, packed.power, norms[tile, :n_pixels]


def _parts(start: int, stop: int, size: int) -> list[slice]:
    """Cut a range into parts of about equal length, at most `size` each.

    Their number is a multiple of four, so that two or four threads get the same.
    """
    n = stop - start
    n_parts = max(min(4 * -(-n // (4 * size)), n), 1)
    return [slice(start + p.start, start + p.stop) for p in even_parts(n, n_parts)]
