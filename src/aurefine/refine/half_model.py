"""New parameters of a half from its sums and the FSC (spec 4.6-4.8)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.fourier import lowpass_filter
from aurefine.fourier.filters import lowpass_profile
from aurefine.imaging import background_profile
from aurefine.kernels.maps import blend_by_radius
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.economy import is_subset
from aurefine.refine.half_volume import over_planes
from aurefine.refine.iteration import IterationSettings, RefinementInput
from aurefine.refine.maximisation import (
    MapSpectra,
    group_scales,
    map_spectra,
    noise_spectra,
    reconstruct,
)
from aurefine.refine.profile import Stopwatch
from aurefine.refine.state import HalfModel
from aurefine.refine.sums import HalfSums

__all__ = ["updated_model"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def updated_model(
    model: HalfModel,
    sums: HalfSums,
    fsc: Float,
    orientability: Float,
    n_particles: IntArray,
    settings: IterationSettings,
    data: RefinementInput,
    pool: WorkerPool,
    stopwatch: Stopwatch,
) -> HalfModel:
    """Reconstruct the map and update all other parameters.

    Parameters
    ----------
    model : HalfModel
        Of the previous iteration.
    sums : HalfSums
        Symmetrised; of both halves together in the joined last iteration.
    fsc, orientability : ndarray, shape (n_box // 2 + 1,)
    n_particles : ndarray, shape (n_groups,)
        That the sums were made from, in each intensity-scale group.
    """
    options, controller = data.options, settings.controller
    box, pixel_size = settings.box_size, settings.pixel_size
    is_joined = controller.has_converged
    with stopwatch("reconstruction"):
        spectra = map_spectra(sums, fsc, options, pool, is_joined=is_joined)
        new_map = reconstruct(sums, box, settings.r_max, spectra.inverse_prior, options, pool)
    if settings.uses_correlation and controller.iteration == 1 and options.initial_lowpass > 0:
        new_map = lowpass_filter(
            new_map, pixel_size, options.initial_lowpass, workers=pool.n_threads
        )
        spectra = _filtered_spectra(spectra, box, pixel_size, options.initial_lowpass)
    if options.flatten_solvent and not is_joined:
        new_map = _flatten(new_map, settings, data, pool)
    weight = sums.weight
    if weight <= 0:
        return replace(model, map=new_map)
    keeps_noise = options.fix_sigma_noise or settings.uses_correlation
    keeps_scale = settings.uses_correlation or not options.scale or len(model.group_scale) == 1
    # a direction that none of a few particles has is not empty
    leaves_out = is_subset(controller, options, int(model.group_n_particles.sum()))
    variance = max(sums.offset2 / (2 * weight), options.min_sigma2_offset)
    return replace(
        model,
        map=new_map,
        sigma2_noise=model.sigma2_noise if keeps_noise else noise_spectra(sums, model.sigma2_noise),
        group_scale=model.group_scale if keeps_scale else group_scales(sums, n_particles),
        direction_prior=model.direction_prior if leaves_out else sums.direction / weight,
        norm_average=sums.norm / weight if options.norm else 1.0,
        sigma_offset=model.sigma_offset if options.fix_sigma_offset else float(np.sqrt(variance)),
        tau2=spectra.tau2,
        sigma2_map=spectra.sigma2_map,
        data_vs_prior=spectra.data_vs_prior,
        fsc=fsc,
        fourier_coverage=spectra.fourier_coverage,
        orientability=orientability,
        log_likelihood=sums.log_likelihood / (weight if settings.uses_correlation else 1.0),
        average_pmax=sums.pmax / weight,
    )


def _flatten(
    new_map: Float32, settings: IterationSettings, data: RefinementInput, pool: WorkerPool
) -> Float32:
    """Mask the solvent away, in place (spec 4.7)."""
    mask, second = data.solvent_mask, data.solvent_mask2
    box, edge = settings.box_size, data.options.mask_edge_px
    radius = settings.particle_diameter / (2 * settings.pixel_size)
    outside = background_profile(box, 3, radius, edge)
    mean = 0.0
    if second is not None:
        mean = float((new_map * second).sum() / max(float(second.sum()), 1e-30))

    one, zero = np.float32(1), np.float32(0)
    ones = np.ones_like(outside)

    def flatten(first: int, last: int) -> None:
        planes = slice(first, last)
        if mask is None:
            blend_by_radius(new_map, one, outside, zero, ones, first, last, new_map, 0)
        else:
            new_map[planes] *= mask[planes]
        if second is not None:
            new_map[planes] *= 1 - second[planes]
            new_map[planes] += mean * second[planes]

    over_planes(pool, box, flatten)
    return new_map


def _filtered_spectra(
    spectra: MapSpectra, box: int, pixel_size: float, resolution: float
) -> MapSpectra:
    """Signal spectra after the initial low-pass filter (spec 2.6)."""
    factor = lowpass_profile(box, pixel_size, resolution)(np.arange(box // 2 + 1.0)) ** 2
    return replace(
        spectra, tau2=spectra.tau2 * factor, data_vs_prior=spectra.data_vs_prior * factor
    )
