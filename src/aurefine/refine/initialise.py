"""Iteration 0: halves, noise spectra, filtered reference, first state (spec 2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.errors import AurefineError
from aurefine.fourier import lowpass_filter, shell_index
from aurefine.geometry.directions import asymmetric_unit
from aurefine.geometry.sampling import angular_step
from aurefine.geometry.symmetry import point_group
from aurefine.imaging import apply_circular_mask, power_by_ring
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.schedule import update_resolution
from aurefine.refine.state import (
    ControllerState,
    HalfModel,
    Poses,
    RefinementState,
    SamplingState,
)

__all__ = ["assign_halves", "initial_noise", "initial_state", "resolve_diameter"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_CHUNK = 64  # images in memory at a time
_NARROW = 0.0033  # degrees; the nearest orientation of the grid alone


def resolve_diameter(options: RefineOptions, box: int, pixel_size: float) -> float:
    """Particle diameter [Å], by default as wide as the box allows."""
    if options.particle_diameter > 0:
        return options.particle_diameter
    return (box - options.mask_edge_px) * pixel_size


def assign_halves(
    subset: IntArray | None, n_particles: int, seed: int, copies: IntArray | None = None
) -> IntArray:
    """Random half of each particle, or the given ones (spec 2.2).

    `copies` gives the row in which each particle appears first, so that all rows of one particle
    are in one half.

    Raises
    ------
    AurefineError
        If some particles have a half and others do not, or if a half is empty.
    """
    if subset is None or not np.any(subset):
        rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
        half = np.where(rng.random(n_particles) < 0.5, 1, 2).astype(np.int64)
        if copies is not None:
            half = half[copies]
    else:
        bad = np.flatnonzero((subset != 1) & (subset != 2))
        if len(bad):
            raise AurefineError(
                f"data_particles, row {bad[0] + 1}: rlnRandomSubset is {subset[bad[0]]}, but other "
                "particles have 1 or 2. Give every particle a half set, or remove the column."
            )
        half = subset.astype(np.int64)
    counts = [int((half == h).sum()) for h in (1, 2)]
    if min(counts) == 0:
        raise AurefineError(
            f"the half sets hold {counts[0]} and {counts[1]} particles, but both must have at "
            "least one: gold-standard refinement needs two independent halves. Use more particles."
        )
    return half


def initial_noise(
    particles: ParticleSet,
    rows: IntArray,
    n_noise_groups: int,
    box: int,
    pixel_size: float,
    diameter: float,
    options: RefineOptions,
) -> Float:
    """Noise spectra from the power of masked images less that of their average (spec 2.3).

    Parameters
    ----------
    rows : ndarray
        Particles in the order of the table; at most `options.n_particles_for_noise` of each
        noise group are used.

    Returns
    -------
    ndarray, shape (n_noise_groups, box // 2 + 1)
    """
    limit = options.n_particles_for_noise if options.n_particles_for_noise > 0 else 1000
    n_shells = box // 2 + 1
    power = np.zeros((n_noise_groups, n_shells))
    count = np.zeros((n_noise_groups, n_shells))
    average = np.zeros((box, box))
    n_average = 0
    chosen = np.concatenate(
        [rows[particles.noise_group[rows] == g][:limit] for g in range(n_noise_groups)]
    )
    for geometry in sorted({_geometry(particles, int(r)) for r in chosen}):
        own = np.array([r for r in chosen if _geometry(particles, int(r)) == geometry])
        own_box, own_pixel = geometry
        ratio = box * pixel_size / (own_box * own_pixel)
        shell = np.minimum(np.floor(np.arange(own_box // 2 + 1) * ratio + 0.5), n_shells - 1)
        for start in range(0, len(own), _CHUNK):
            part = own[start : start + _CHUNK]
            images = particles.images.read(part)
            if options.zero_mask:
                images = apply_circular_mask(
                    images, diameter / (2 * own_pixel), options.mask_edge_px
                )
            spectra = power_by_ring(scipy.fft.rfft2(images)) / own_box**4
            group = particles.noise_group[part][:, None]
            np.add.at(power, (group, shell.astype(int)[None, :]), spectra)
            np.add.at(count, (group, shell.astype(int)[None, :]), 1.0)
            if (own_box, own_pixel) == (box, pixel_size):
                average += images.sum(axis=0, dtype=np.float64)
                n_average += len(part)
    mean_power = np.divide(power, count, out=np.zeros_like(power), where=count > 0)
    average /= max(1, n_average)
    signal = power_by_ring(scipy.fft.rfft2(average)[None])[0] / box**4
    sigma2 = mean_power / 2 - signal / 2
    for g in range(n_noise_groups):
        sigma2[g] = _without_gaps(sigma2[g])
    filled = sigma2.sum(axis=1) > 0
    noise: Float = np.where(filled[:, None], sigma2, sigma2[filled].mean(axis=0))
    return noise


def _geometry(particles: ParticleSet, row: int) -> tuple[int, float]:
    group = particles.optics_groups[int(particles.optics[row])]
    return group.box_size, group.pixel_size


def _without_gaps(spectrum: Float) -> Float:
    """Replace shells that are not positive by the previous one, else by the next positive one."""
    out = spectrum.copy()
    positive = np.flatnonzero(out > 0)
    if not len(positive):
        return np.zeros_like(out)
    for s in range(len(out)):
        if out[s] <= 0:
            out[s] = out[s - 1] if s > 0 and out[s - 1] > 0 else out[positive[positive > s][0]]
    return out


def map_power(reference: Float32, n_threads: int) -> Float:
    """Power of one component per shell, scaled as 2D transforms over n_box² (spec 2.5)."""
    n = len(reference)
    transform = scipy.fft.rfftn(reference, workers=n_threads)
    shell = shell_index(n).ravel()
    power = np.bincount(shell, weights=np.abs(transform.ravel()) ** 2, minlength=n)
    count = np.bincount(shell, minlength=n)
    spectrum: Float = (power / np.maximum(count, 1))[: n // 2 + 1] / n**4 / 2
    return spectrum


def initial_state(
    references: tuple[Float32, Float32],
    pixel_size: float,
    particles: ParticleSet,
    poses: Poses,
    group_names: tuple[str, ...],
    n_noise_groups: int,
    options: RefineOptions,
    seed: int,
    pool: WorkerPool,
) -> RefinementState:
    """Build the state of iteration 0.

    Parameters
    ----------
    references : pair of ndarray, shape (n, n, n), float32
        Starting map of each half, usually the same.
    poses : Poses
        Input poses with the half of each particle.
    n_noise_groups : int
        Number of noise spectra, usually one per optics group.
    """
    box = len(references[0])
    diameter = resolve_diameter(options, box, pixel_size)
    rows_half1 = np.flatnonzero(poses.half == 1)
    sigma2 = initial_noise(
        particles, rows_half1, n_noise_groups, box, pixel_size, diameter, options
    )
    sampling = initial_sampling(options, pixel_size)
    grid = asymmetric_unit(
        sampling.order, point_group(options.symmetry), tilt_limit=options.limit_tilt
    )
    n_shells = box // 2 + 1
    models = []
    for half, reference in enumerate(references, start=1):
        if options.initial_lowpass > 0:
            filtered = lowpass_filter(
                reference, pixel_size, options.initial_lowpass, workers=pool.n_threads
            )
        else:
            filtered = reference
        tau2 = options.tau2_fudge * map_power(filtered, pool.n_threads)
        n_half = int((poses.half == half).sum())
        shells = np.arange(n_shells)
        ratio = np.where(shells > 0, 2 * shells, 1)
        data_vs_prior = n_half / sigma2.mean(axis=0) * tau2 / ratio
        models.append(
            HalfModel(
                map=filtered.astype(np.float32),
                sigma2_noise=sigma2.copy(),
                group_scale=np.ones(len(group_names)),
                group_n_particles=np.bincount(
                    particles.micrograph_group[poses.half == half], minlength=len(group_names)
                ),
                direction_prior=np.full(len(grid.rot), 1 / len(grid.rot)),
                norm_average=1.0,
                sigma_offset=options.offset_sigma,
                tau2=tau2,
                sigma2_map=np.zeros(n_shells),
                data_vs_prior=data_vs_prior,
                fsc=np.zeros(n_shells),
                fourier_coverage=np.zeros(n_shells),
                orientability=np.zeros(n_shells),
                log_likelihood=0.0,
                average_pmax=0.0,
            )
        )
    controller = ControllerState(incr_size=options.incr_size)
    controller, _ = update_resolution(controller, models[0].data_vs_prior, box, pixel_size, options)
    return RefinementState(
        box_size=box,
        pixel_size=pixel_size,
        random_seed=seed,
        options_particle_diameter=diameter,
        controller=replace(controller, n_iter_without_resolution_gain=0),
        sampling=sampling,
        direction_rot=grid.rot,
        direction_tilt=grid.tilt,
        group_names=group_names,
        models=tuple(models),
        poses=poses,
    )


def initial_sampling(options: RefineOptions, pixel_size: float) -> SamplingState:
    """Sampling of the command line in Å; searches are local if the order asks for it."""
    psi_step = options.psi_step if options.psi_step > 0 else angular_step(options.healpix_order)
    is_local = options.healpix_order >= options.auto_local_healpix_order
    sigma = 2 * angular_step(options.healpix_order, options.oversampling) if is_local else 0.0
    if options.sigma_angle > 0:
        sigma = options.sigma_angle
    elif options.relax_symmetry and not is_local:
        sigma = _NARROW
    step, reach = options.offset_step_px * pixel_size, options.offset_range_px * pixel_size
    return SamplingState(
        order=options.healpix_order,
        psi_step=psi_step,
        offset_range=reach,
        offset_step=step,
        oversampling=options.oversampling,
        perturbation=0.0,
        perturbation_factor=options.perturbation_factor,
        is_local=sigma > 0,
        sigma_angle=sigma,
        original_order=options.healpix_order,
        original_psi_step=psi_step,
        original_offset_range=reach,
        original_offset_step=step,
    )
