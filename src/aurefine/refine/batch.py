"""From raw images to the arrays that are scored (spec 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.errors import ImageError
from aurefine.fourier import ring_index
from aurefine.imaging import background_weight
from aurefine.kernels.ctf import ctf_values
from aurefine.kernels.images import (
    gather_pixels,
    ring_power,
    shift_and_mask,
    shift_transforms,
)
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.particles import ParticleSet
from aurefine.refine.pixels import half_plane_rings, window_index
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.state import HalfModel

__all__ = [
    "PreparedBatch",
    "begin_batch",
    "mean_squared_ctf",
    "noise_image",
    "transfer_function",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_CTF_PARTICLES = 256  # of a noise group that its mean CTF is taken from
_BLOCK = 16  # images transformed together by one thread


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Images of one geometry, ready for scoring; n is the number of particles of the batch."""

    rows: IntArray  # (n,), rows of the particle table
    origin: Float  # (n, 2) Å, shift that was applied
    masked: Float32  # (n, 2, n_pixels)
    unmasked: Float32  # (n, 2, n_pixels)
    transfer: Float32  # (n, n_pixels), scale times CTF, what multiplies a slice
    matched: Float32  # (n, n_pixels), the same over the relative power of the noise
    inverse_sigma2: Float32  # (n_noise_groups, n_pixels), including DC
    ring_power: Float  # (n, box // 2 + 1), masked image, half plane
    window_power: Float  # (n,), masked image, all stored pixels of the window of the image size

    def part(self, particles: slice) -> PreparedBatch:
        """Some particles of the batch."""
        return PreparedBatch(
            rows=self.rows[particles],
            origin=self.origin[particles],
            masked=self.masked[particles],
            unmasked=self.unmasked[particles],
            transfer=self.transfer[particles],
            matched=self.matched[particles],
            inverse_sigma2=self.inverse_sigma2,
            ring_power=self.ring_power[particles],
            window_power=self.window_power[particles],
        )


def begin_batch(
    particles: ParticleSet,
    rows: IntArray,
    raw: Float32,
    origin_px: IntArray,
    rest: Float | None,
    intensity: Float,
    model: HalfModel,
    plan: IterationPlan,
    geometry: ImageGeometry,
    pool: WorkerPool,
    seed: int,
    mean_ctf2: Float32 | None = None,
    spent: Callable[[float], None] = lambda seconds: None,
) -> Callable[[], PreparedBatch]:
    """Begin to scale, shift, mask and transform a batch of images.

    Threads of the pool do that when they have nothing else to do.

    Parameters
    ----------
    rows : ndarray, shape (n,)
        Rows of the particle table.
    raw : ndarray, shape (n, box, box), float32
        Images as read.
    origin_px : ndarray, shape (n, 2)
        Stored offsets rounded to whole pixels.
    rest : ndarray, shape (n, 2), optional
        What is to be shifted besides, in Fourier space [Å].
    intensity : ndarray, shape (n,)
        Average over particle norm correction.
    seed : int
        Seed of noise-filled masks.
    mean_ctf2 : ndarray, optional
        See `mean_squared_ctf`.
    spent : callable, optional
        Is told the seconds of CPU time that each piece of the work took.

    Returns
    -------
    callable
        Finishes the work and returns the prepared batch; raises ImageError if an image has pixels
        that are not finite.
    """
    pixels, n_pixels = geometry.pixels, geometry.pixels.n_pixels
    n, box = len(rows), geometry.box
    masked = np.empty((n, 2, n_pixels), np.float32)
    unmasked = np.empty((n, 2, n_pixels), np.float32)
    transfer = np.empty((n, n_pixels), np.float32)
    matched = transfer if mean_ctf2 is None else np.empty_like(transfer)
    power = np.empty((n, box // 2 + 1))
    window_power = np.zeros(n)
    window = window_index(box, pixels.size) if plan.use_correlation else np.empty(0, np.int64)
    window_ring = np.minimum(ring_index(box).ravel()[window], box // 2)
    ring, _ = half_plane_rings(box)
    options = plan.options
    others = None
    if plan.is_last and particles.reconstruct_images is not None:
        others = particles.reconstruct_images.read(rows)
    radius = plan.particle_diameter / (2 * geometry.pixel_size)
    background = background_weight(box, 2, radius, options.mask_edge_px)
    optics = particles.optics[rows]
    scale = np.maximum(model.group_scale[particles.micrograph_group[rows]], 0.001)

    def work(start: int) -> None:
        stop = min(start + _BLOCK, n)
        part = slice(start, stop)
        if options.zero_mask:
            fill = np.empty((0, 0, 0), np.float32)
        else:
            fill = np.stack(
                [
                    noise_image(
                        model.sigma2_noise[particles.noise_group[row]][geometry.model_shell],
                        box,
                        np.random.Generator(np.random.Philox(key=[seed, int(row)])),
                    )
                    for row in rows[part]
                ]
            )
        shifted = np.empty((stop - start, box, box), np.float32)
        masked_images = np.empty_like(shifted)
        unused = np.empty_like(shifted)
        for images, target in ((raw, masked_images), (others, unused)):
            if images is not None:  # the last ones are those that are back-projected
                shift_and_mask(
                    images[part],
                    intensity[part].astype(np.float32),
                    origin_px[part, 0],
                    origin_px[part, 1],
                    background,
                    fill,
                    shifted,
                    target,
                )
        plain = scipy.fft.rfft2(shifted, workers=1).reshape(stop - start, -1)
        soft = scipy.fft.rfft2(masked_images, workers=1).reshape(stop - start, -1)
        ring_power(soft, ring, 1.0 / box**4, power[part])
        for group in np.unique(optics[part]):
            chosen = np.flatnonzero(optics[part] == group)
            factor, gain = geometry.scale[int(group)], geometry.power_gain[int(group)]
            power[start + chosen] *= gain
            if plan.use_correlation:
                stored = np.abs(soft[np.ix_(chosen, window)]) ** 2 * gain[window_ring]
                window_power[start + chosen] = stored.sum(axis=1) / box**4
            if len(chosen) == stop - start:
                gather_pixels(plain, pixels.index, factor, unmasked[part])
                gather_pixels(soft, pixels.index, factor, masked[part])
            else:
                for i in chosen:
                    one = slice(start + i, start + i + 1)
                    gather_pixels(plain[i : i + 1], pixels.index, factor, unmasked[one])
                    gather_pixels(soft[i : i + 1], pixels.index, factor, masked[one])
            transfer[start + chosen] = transfer_function(
                particles, rows[start + chosen], plan, geometry
            )
            if mean_ctf2 is not None:
                is_premultiplied = particles.optics_groups[int(group)].is_premultiplied
                own = particles.noise_group[rows[start + chosen]]
                matched[start + chosen] = (
                    mean_ctf2[own] if is_premultiplied else transfer[start + chosen]
                )
        if rest is not None:
            shifts = rest[part] / geometry.pixel_size
            shift_transforms(masked[part], pixels.x, pixels.y, shifts, box)
            shift_transforms(unmasked[part], pixels.x, pixels.y, shifts, box)
        strength = (scale[part, None] * geometry.valid).astype(np.float32)
        transfer[part] *= strength
        if mean_ctf2 is not None:
            matched[part] *= strength

    group = pool.aside(work, range(0, n, _BLOCK), spent)

    def finish() -> PreparedBatch:
        group.result()
        origin: Float = origin_px.astype(np.float64) * geometry.pixel_size
        if rest is not None:
            origin = origin + rest
        bad = ~np.isfinite(power).all(axis=1)
        if bad.any():
            raise ImageError(
                f"particle row {rows[np.argmax(bad)] + 1}: the image has pixels that are not "
                "finite. Re-extract this particle or remove it."
            )
        shells = geometry.model_shell[pixels.shell]
        sigma2 = model.sigma2_noise[:, shells]
        inverse = np.divide(1.0, sigma2, out=np.zeros_like(sigma2), where=sigma2 > 0)
        return PreparedBatch(
            rows=rows,
            origin=origin,
            masked=masked,
            unmasked=unmasked,
            transfer=transfer,
            matched=matched,
            inverse_sigma2=inverse.astype(np.float32),
            ring_power=power,
            window_power=window_power,
        )

    return finish


def transfer_function(
    particles: ParticleSet, rows: IntArray, plan: IterationPlan, geometry: ImageGeometry
) -> Float32:
    """CTF of particles of one optics group, squared for premultiplied images."""
    group = particles.optics_groups[int(particles.optics[rows[0]])]
    options = plan.options
    if not options.ctf or group.is_ctf_corrected:
        return np.ones((len(rows), geometry.pixels.n_pixels), np.float32)
    values = ctf_values(
        group,
        particles.ctf.take(rows),
        geometry.frequency_x,
        geometry.frequency_y,
        intact_first_peak=options.ctf_intact_first_peak,
        phase_flipped=options.ctf_phase_flipped,
        only_flip_phases=options.only_flip_phases,
    )
    return values**2 if group.is_premultiplied else values


def mean_squared_ctf(
    particles: ParticleSet, plan: IterationPlan, geometry: ImageGeometry
) -> Float32 | None:
    """Mean CTF² of the premultiplied images of each noise group, by shell.

    The noise of a premultiplied image was multiplied by its CTF: in a group of such images it has
    the variance of the group's spectrum times CTF² over this mean.

    Returns
    -------
    ndarray, shape (n_noise_groups, n_pixels), float32
        At the pixels of the geometry; None if no image of this geometry is premultiplied.
    """
    groups = [
        g
        for g in geometry.group_rows
        if particles.optics_groups[g].is_premultiplied
        and not particles.optics_groups[g].is_ctf_corrected
    ]
    if not groups or not plan.options.ctf:
        return None
    shell = geometry.pixels.shell
    pixels_in = np.bincount(shell)
    mean = np.ones((int(particles.noise_group.max()) + 1, len(shell)))
    listed = np.flatnonzero(np.isin(particles.optics, groups))
    for noise_group in np.unique(particles.noise_group[listed]):
        own = listed[particles.noise_group[listed] == noise_group]
        some = own[np.linspace(0, len(own) - 1, min(len(own), _CTF_PARTICLES)).astype(np.int64)]
        total = np.zeros(len(shell))
        for optics in np.unique(particles.optics[some]):
            chosen = some[particles.optics[some] == optics]
            total += transfer_function(particles, chosen, plan, geometry).sum(axis=0, dtype=float)
        mean[noise_group] = (np.bincount(shell, total / len(some)) / pixels_in)[shell]
    return mean.astype(np.float32)


def noise_image(sigma2: Float, box: int, rng: np.random.Generator) -> Float32:
    """Draw an image of Gaussian noise with a given spectrum.

    Parameters
    ----------
    sigma2 : ndarray, shape (box // 2 + 1,)
        Variance of one component of a Fourier coefficient, FFT divided by box².
    box : int
    rng : Generator

    Returns
    -------
    ndarray, shape (box, box), float32
    """
    sigma = np.sqrt(sigma2)[np.minimum(ring_index(box), box // 2)]
    white = scipy.fft.rfft2(rng.standard_normal((box, box), dtype=np.float32))
    # white noise of variance 1 has components of variance box² / 2 in an unnormalised transform
    coloured = white * (sigma * (np.sqrt(2.0) * box)).astype(np.float32)
    image: Float32 = scipy.fft.irfft2(coloured, s=(box, box)).astype(np.float32)
    return image
