"""How well projections of a reference match some particles, for several sizes of the reference.

A coarse exhaustive search at low resolution, made before a refinement to see whether reference
and particles belong together: pixel size, contrast and greyscale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurefine.fourier import fourier_resize_map
from aurefine.geometry import sampling as grids
from aurefine.geometry.directions import asymmetric_unit
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import PointGroup
from aurefine.kernels.scoring import slice_norms
from aurefine.kernels.slices import extract_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import PreparedBatch, begin_batch
from aurefine.refine.coarse import coarse_rows
from aurefine.refine.initialise import initial_sampling
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import ImageGeometry, IterationPlan, make_plan
from aurefine.refine.projector import Projector, build_projector
from aurefine.refine.state import HalfModel, Poses

__all__ = ["BestPoses", "ReferenceSearch", "SizeMatch", "prepare_search"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_BLOCK = 8  # particles in one matrix product
_REFINED_BLOCK = 32  # particles whose neighbourhoods are searched together
_TILE = 1536  # orientations in one matrix product
_PADDING = 2.0
_ORDER = 2  # HEALPix order of the search, 15 degrees
_STEPS = np.array([-1.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class BestPoses:
    """Sums over the Fourier pixels of each ring at the best pose of each particle.

    X is an image at its best offset, M the slice at its best orientation times the CTF; each
    frequency counts once.
    """

    cross: Float  # (n_particles, n_rings), Re <X, M>
    model: Float  # (n_particles, n_rings), |M|²
    image: Float  # (n_particles, n_rings), |X|²
    score: Float  # (n_particles,), noise-weighted cross term over the root of the model's norm
    rotations: Float32  # (n_particles, 3, 3)
    offsets_px: Float  # (n_particles, 2)

    def amplitude(self) -> Float:
        """Factor of the model in each ring that explains all images best, shape (n_rings,)."""
        cross, model = self.cross.sum(axis=0), self.model.sum(axis=0)
        factor: Float = np.divide(cross, model, out=np.zeros_like(cross), where=model > 0)
        return factor


@dataclass(frozen=True, slots=True)
class SizeMatch:
    """Match of the particles with the reference of one size."""

    size: float  # of the particle in the images, relative to that in the reference
    positive: BestPoses  # of the highest correlation
    negative: BestPoses | None  # of the lowest correlation, if it was asked for


@dataclass(frozen=True, slots=True)
class ReferenceSearch:
    """Some particles of one image geometry, and the reference that they are compared with."""

    plan: IterationPlan
    geometry: ImageGeometry
    projector: Projector
    batch: PreparedBatch
    weight: Float32  # (n_particles, n_pixels), 1 / sigma2
    rotations: Float32  # (n_orientations, 3, 3)
    pool: WorkerPool

    @property
    def ring_pixels(self) -> Float:
        """Number of Fourier pixels of each ring, shape (n_rings,)."""
        return np.bincount(self.geometry.pixels.shell).astype(np.float64)

    @property
    def frequency(self) -> Float:
        """Spatial frequency of each ring [1/Å], shape (n_rings,)."""
        extent = self.geometry.box * self.geometry.pixel_size
        return np.arange(len(self.ring_pixels)) / extent

    def match(self, size: float, *, wants_negative: bool = False) -> SizeMatch:
        """Find the best poses with the reference of one size.

        Parameters
        ----------
        size : float
            1 if the particle in the images is as large as in the reference, 1.1 if it is 10 %
            larger.
        wants_negative : bool
            Whether the poses of the lowest correlation are needed, too.
        """
        n_pixels = self.geometry.pixels.n_pixels
        slices = np.empty((len(self.rotations), 2 * n_pixels), np.float32)
        norms = np.empty((len(self.rotations), n_pixels), np.float32)
        x, y = (c * np.float32(size) for c in (self.geometry.slice_x, self.geometry.slice_y))

        def fill(start: int) -> None:
            part = slice(start, start + _TILE)
            extract_slices(self.projector.volume, self.rotations[part], x, y, slices[part])
            slice_norms(slices[part], norms[part])

        self.pool.map(fill, range(0, len(self.rotations), _TILE))
        cross_weights = self.batch.transfer * self.weight
        found = self.pool.map(
            lambda start: self._coarse(start, cross_weights, slices, norms, wants_negative),
            range(0, len(self.batch.rows), _BLOCK),
        )
        best = [
            self._refined(np.concatenate([poses[row] for poses in found], axis=1), sign, x, y)
            for row, sign in enumerate((1, -1) if wants_negative else (1,))
        ]
        return SizeMatch(size, best[0], best[1] if wants_negative else None)

    def with_synthetic_images(self, match: SizeMatch, seed: int) -> ReferenceSearch:
        """Return the same search of images made from the reference, with the noise of the data.

        Poses are those of the highest correlation; the amplitude in each ring and the noise are
        as in the data.
        """
        pixels = self.geometry.pixels
        best = match.positive
        n, n_pixels = len(best.score), pixels.n_pixels
        rings = pixels.shell
        amplitude = np.maximum(best.amplitude(), 0.0)
        residual = (best.image - amplitude**2 * best.model).sum(axis=0) / n
        sigma = np.sqrt(np.maximum(residual, 0.0) / self.ring_pixels / 2)
        rng = np.random.Generator(np.random.Philox(key=[seed, 2 << 40]))
        noise = rng.standard_normal((n, 2, n_pixels)) * sigma[rings]
        x, y = (c * np.float32(match.size) for c in (self.geometry.slice_x, self.geometry.slice_y))
        slices = np.empty((n, 2 * n_pixels), np.float32)
        extract_slices(self.projector.volume, best.rotations, x, y, slices)
        models = (slices[:, :n_pixels] + 1j * slices[:, n_pixels:]) * self.batch.transfer
        signal = models * amplitude[rings] * self._ramp(best.offsets_px).conj()
        masked = (noise + np.stack([signal.real, signal.imag], axis=1)).astype(np.float32)
        return replace(self, batch=replace(self.batch, masked=masked))

    def _coarse(
        self,
        start: int,
        cross_weights: Float32,
        slices: Float32,
        norms: Float32,
        wants_negative: bool,
    ) -> list[IntArray]:
        """(orientation, offset) of the highest and the lowest score of some particles."""
        part = slice(start, min(start + _BLOCK, len(self.batch.rows)))
        n, n_pixels = part.stop - part.start, norms.shape[1]
        rows = coarse_rows(self.batch, cross_weights, part, n_pixels, self.geometry)
        products = (rows @ slices.T).reshape(n, -1, len(slices))
        norm = (cross_weights[part] * self.batch.transfer[part]) @ norms.T  # (n, n_orientations)
        factor = 1 / np.sqrt(np.maximum(norm, 1e-30))
        found = []
        for extreme, where in ((np.max, np.argmax), (np.min, np.argmin))[: 1 + wants_negative]:
            orientation = where(extreme(products, axis=1) * factor, axis=1)
            offset = where(products[np.arange(n), :, orientation], axis=1)
            found.append(np.stack([orientation, offset]))
        return found

    def _refined(self, found: IntArray, sign: int, x: Float32, y: Float32) -> BestPoses:
        """Best of the neighbours at half a step of each best (orientation, offset)."""
        orientation, offset = found
        turns = _small_rotations(_grid(3) * grids.angular_step(_ORDER) / 2)  # (27, 3, 3)
        moves = _grid(2) * self.plan.sampling.offset_step / 2  # (9, 2) Å
        pixels = self.geometry.pixels
        n, n_pixels = len(orientation), pixels.n_pixels
        n_rings = pixels.n_shells
        out = BestPoses(
            cross=np.empty((n, n_rings)),
            model=np.empty((n, n_rings)),
            image=np.empty((n, n_rings)),
            score=np.empty(n),
            rotations=np.empty((n, 3, 3), np.float32),
            offsets_px=np.empty((n, 2)),
        )

        def work(start: int) -> None:
            part = slice(start, start + _REFINED_BLOCK)
            rotations = (turns @ self.rotations[orientation[part], None]).astype(np.float32)
            m = len(rotations)
            slices = np.empty((m * len(turns), 2 * n_pixels), np.float32)
            extract_slices(self.projector.volume, rotations.reshape(-1, 3, 3), x, y, slices)
            planar = slices.reshape(m, -1, 2, n_pixels)
            models = (planar[:, :, 0] + 1j * planar[:, :, 1]) * self.batch.transfer[part, None]
            shift = self.plan.coarse_offsets[offset[part], None] + moves  # (m, n_moves, 2) Å
            shift = shift / self.geometry.pixel_size
            masked = self.batch.masked[part, 0] + 1j * self.batch.masked[part, 1]
            shifted = self._ramp(shift) * masked[:, None]  # (m, n_moves, n_pixels)
            weight = self.weight[part]
            products = ((shifted.conj() * weight[:, None]) @ models.swapaxes(1, 2)).real
            norm = (np.abs(models) ** 2 @ weight[:, :, None])[:, None, :, 0]
            scores = sign * products / np.sqrt(np.maximum(norm, 1e-30))
            best = scores.reshape(m, -1).argmax(axis=1)
            move, turn = np.divmod(best, len(turns))
            every = np.arange(m)
            image, model = shifted[every, move], models[every, turn]
            out.cross[part] = pixels.shell_sums((image.conj() * model).real)
            out.model[part] = pixels.shell_sums(np.abs(model) ** 2)
            out.image[part] = pixels.shell_sums(np.abs(image) ** 2)
            out.score[part] = scores[every, move, turn]
            out.rotations[part] = rotations[every, turn]
            out.offsets_px[part] = shift[every, move]

        self.pool.map(work, range(0, n, _REFINED_BLOCK))
        return out

    def _ramp(self, shift_px: Float) -> npt.NDArray[np.complex128]:
        """Phases that shift images by offsets (..., 2), shape (..., n_pixels)."""
        pixels = self.geometry.pixels
        phase = (-2 * np.pi / self.geometry.box) * (shift_px @ np.stack([pixels.x, pixels.y]))
        ramp: npt.NDArray[np.complex128] = np.exp(1j * phase)
        return ramp


def prepare_search(
    reference: Float32,
    pixel_size: float,
    particles: ParticleSet,
    poses: Poses,
    rows: IntArray,
    model: HalfModel,
    group: PointGroup,
    options: RefineOptions,
    *,
    diameter: float,
    resolution: float,
    largest_size: float,
    pool: WorkerPool,
) -> ReferenceSearch:
    """Read and prepare particles for `ReferenceSearch.match`.

    Parameters
    ----------
    reference : ndarray, shape (n, n, n), float32
        Without background: what lies outside the particle should be 0.
    pixel_size : float
        Of the reference [Å].
    rows : ndarray
        Particles to use, all of one image geometry.
    model : HalfModel
        Noise spectra and scales.
    diameter, resolution : float
        Of the particle mask, and limit of the comparison [Å].
    largest_size : float
        That will be asked for.
    """
    extent = len(reference) * pixel_size
    # slices of a larger particle are taken further out; the box is cropped to what that needs
    reach = int(np.ceil(extent / resolution * largest_size)) + 1
    box = min(len(reference), max(2 * (reach + 3), 16))
    small = reference
    if box < len(reference):  # a projection sums fewer voxels then
        small = fourier_resize_map(reference, box) * np.float32(len(reference) / box)
    size_px = min(box, 2 * int(np.floor(extent / resolution + 0.5)))
    projector = build_projector(small.astype(np.float32), min(box // 2, reach), _PADDING, pool)
    chosen = replace(
        options, healpix_order=_ORDER, psi_step=-1.0, oversampling=0, zero_mask=True,
        coarse_size_px=-1, strict_highres_exp=-1.0,
    )  # fmt: skip
    sampling = replace(
        initial_sampling(chosen, pixel_size),
        offset_range=max(options.offset_range_px * pixel_size, diameter / 12),
        offset_step=max(resolution / 5, pixel_size),
    )
    plan = make_plan(
        box=box,
        pixel_size=extent / box,
        current_size=size_px,
        coarse_step=grids.angular_step(_ORDER),
        group=group,
        grid=asymmetric_unit(_ORDER, group, tilt_limit=options.limit_tilt),
        sampling=sampling,
        optics_groups=particles.optics_groups,
        padding=projector.padding,
        options=chosen,
        particle_diameter=diameter,
        use_correlation=False,
        reference_has_ctf=True,
        mtf_curves=particles.mtf_curves,
    )
    geometry = next(g for g in plan.geometries if int(particles.optics[rows[0]]) in g.group_rows)
    offsets = np.stack([poses.offset_x[rows], poses.offset_y[rows]], axis=1)
    batch = begin_batch(
        particles,
        rows,
        particles.images.read(rows),
        np.rint(offsets / geometry.pixel_size).astype(np.int64),
        None,
        np.ones(len(rows)),
        model,
        plan,
        geometry,
        pool,
        0,
    )()
    weight = batch.inverse_sigma2.copy()
    weight[:, 0] = 0
    n_psi, n_directions = len(plan.psi), plan.grid.n_directions
    rotations = grids.coarse_rotations(
        np.repeat(plan.grid.pixel, n_psi),
        np.tile(plan.psi, n_directions),
        _ORDER,
        plan.perturbation,
    )
    return ReferenceSearch(
        plan=plan,
        geometry=geometry,
        projector=projector,
        batch=batch,
        weight=weight[particles.noise_group[rows]],
        rotations=rotations.astype(np.float32),
        pool=pool,
    )


def _grid(n_axes: int) -> Float:
    """All combinations of -1, 0 and 1, shape (3**n_axes, n_axes)."""
    axes = np.meshgrid(*[_STEPS] * n_axes, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, n_axes)


def _small_rotations(angles: Float) -> Float:
    """Rotations about x, y and z of the image by small angles [degrees], shape (n, 3, 3)."""
    about_x = matrix_from_euler(-90.0, angles[:, 0], 90.0)
    about_y = matrix_from_euler(0.0, angles[:, 1], 0.0)
    about_z = matrix_from_euler(angles[:, 2], 0.0, 0.0)
    product: Float = about_x @ about_y @ about_z
    return product
