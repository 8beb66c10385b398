"""Maximisation step of one iteration: from the sums of both halves to the next state (spec 5.2)."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurefine.fourier import lowpass_filter, solvent_corrected_fsc
from aurefine.fourier.filters import lowpass_profile
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import angular_change
from aurefine.imaging import soft_sphere
from aurefine.parallel.pool import WorkerPool
from aurefine.refine import schedule
from aurefine.refine.expectation import HalfResult
from aurefine.refine.maximisation import (
    MapSpectra,
    average_low_resolution,
    gold_standard_fsc,
    group_scales,
    map_spectra,
    noise_spectra,
    reconstruct,
)
from aurefine.refine.observer import RunObserver
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.state import (
    ControllerState,
    HalfModel,
    Poses,
    RefinementState,
    StageTimes,
)
from aurefine.refine.sums import HalfSums, add_sums

__all__ = ["RefinementInput", "maximise"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RefinementInput:
    """What stays the same from iteration to iteration."""

    particles: ParticleSet
    options: RefineOptions
    solvent_mask: Float32 | None = None  # (n, n, n)
    solvent_mask2: Float32 | None = None


def maximise(
    state: RefinementState,
    controller: ControllerState,
    plan: IterationPlan,
    results: list[HalfResult],
    poses: Poses,
    orientability: Float,
    data: RefinementInput,
    pool: WorkerPool,
    observer: RunObserver,
    stopwatch: Stopwatch,
) -> RefinementState:
    """Join the halves where they may be joined, reconstruct, and update all parameters."""
    options = data.options
    box, pixel_size = state.box_size, state.pixel_size
    r_max = controller.current_size // 2
    n_shells = box // 2 + 1
    nothing = np.zeros(n_shells)
    halves = [result.sums for result in results]
    unfiltered: tuple[Float32, ...] = ()
    if controller.has_converged:
        with stopwatch("reconstruction"):
            unfiltered = tuple(
                reconstruct(sums, box, r_max, nothing, options, pool) for sums in halves
            )
    if options.low_resol_join_halves > 0:
        resolution = max(options.low_resol_join_halves, 1 / controller.current_frequency)
        shell = min(int(np.ceil(box * pixel_size / resolution - 1e-9)), r_max)
        observer.halves_joined(box * pixel_size / shell)
        with stopwatch("fsc"):
            average_low_resolution(halves[0], halves[1], shell)
    use_mask = options.solvent_correct_fsc and data.solvent_mask is not None
    observer.fsc_started(use_mask)
    if use_mask and data.solvent_mask is not None:
        with stopwatch("reconstruction"):
            maps = [reconstruct(sums, box, r_max, nothing, options, pool) for sums in halves]
        if not controller.has_converged:
            unfiltered = tuple(maps)
        with stopwatch("fsc"):
            rng = np.random.Generator(
                np.random.Philox(key=[state.random_seed, controller.iteration])
            )
            fsc, random_shell = solvent_corrected_fsc(
                maps[0], maps[1], data.solvent_mask, rng, controller.current_size
            )
        if random_shell:
            observer.phases_randomised(box * pixel_size / random_shell)
        else:
            observer.warn("the unmasked FSC never falls below 0.8; it is used uncorrected")
    else:
        with stopwatch("fsc"):
            fsc = gold_standard_fsc(halves[0], halves[1], r_max, n_shells)
    controller = schedule.widen_from_fsc(controller, fsc)
    observer.maximisation_started()
    models = state.models
    if controller.has_converged:
        halves = [add_sums(halves[0], halves[1])]
        models = state.models[:1]
    uses_correlation = plan.use_correlation
    updated = []
    for sums, model in zip(halves, models, strict=True):
        with stopwatch("reconstruction"):
            spectra = map_spectra(sums, fsc, options, is_joined=controller.has_converged)
            new_map = reconstruct(sums, box, r_max, spectra.inverse_prior, options, pool)
        if uses_correlation and controller.iteration == 1 and options.initial_lowpass > 0:
            new_map = lowpass_filter(
                new_map, pixel_size, options.initial_lowpass, workers=pool.n_threads
            )
            spectra = _filtered_spectra(spectra, box, pixel_size, options.initial_lowpass)
        if options.flatten_solvent and not controller.has_converged:
            new_map = _flatten(new_map, state, data)
        updated.append(
            _updated_model(
                model,
                sums,
                new_map,
                fsc,
                spectra,
                orientability,
                options,
                uses_correlation,
                controller.has_converged,
                state,
            )
        )
    first = updated[0]
    shared = tuple(
        replace(model, data_vs_prior=first.data_vs_prior, average_pmax=first.average_pmax)
        for model in updated
    )
    controller = _changes(state, controller, poses, plan)
    controller, crosses = schedule.update_resolution(
        controller, first.data_vs_prior, box, pixel_size, options
    )
    if crosses:
        observer.warn(
            "the FSC crosses 0.5 more than once; the highest crossing is taken as the resolution. "
            "Check the FSC curve for artefacts"
        )
    return replace(
        state,
        controller=controller,
        models=shared,
        poses=poses,
        unfiltered_maps=unfiltered,
        times=StageTimes(seconds=dict(stopwatch.seconds), peak_memory=_peak_memory()),
    )


def _updated_model(
    model: HalfModel,
    sums: HalfSums,
    new_map: Float32,
    fsc: Float,
    spectra: MapSpectra,
    orientability: Float,
    options: RefineOptions,
    uses_correlation: bool,
    is_joined: bool,
    state: RefinementState,
) -> HalfModel:
    """New parameters of one half from its sums (spec 4.8)."""
    weight = sums.weight
    if weight <= 0:
        return replace(model, map=new_map)
    keeps_noise = options.fix_sigma_noise or uses_correlation
    n_groups = len(model.group_scale)
    keeps_scale = uses_correlation or not options.scale or n_groups == 1
    n_particles = model.group_n_particles
    if is_joined:
        n_particles = sum((m.group_n_particles for m in state.models), np.zeros_like(n_particles))
    variance = max(sums.offset2 / (2 * weight), options.min_sigma2_offset)
    return replace(
        model,
        map=new_map,
        sigma2_noise=model.sigma2_noise if keeps_noise else noise_spectra(sums, model.sigma2_noise),
        group_scale=model.group_scale if keeps_scale else group_scales(sums, n_particles),
        direction_prior=sums.direction / weight,
        norm_average=sums.norm / weight if options.norm else 1.0,
        sigma_offset=model.sigma_offset if options.fix_sigma_offset else float(np.sqrt(variance)),
        tau2=spectra.tau2,
        sigma2_map=spectra.sigma2_map,
        data_vs_prior=spectra.data_vs_prior,
        fsc=fsc,
        fourier_coverage=spectra.fourier_coverage,
        orientability=orientability,
        log_likelihood=sums.log_likelihood / weight if uses_correlation else sums.log_likelihood,
        average_pmax=sums.pmax / weight,
    )


def _flatten(new_map: Float32, state: RefinementState, data: RefinementInput) -> Float32:
    """Mask the solvent away (spec 4.7)."""
    options = data.options
    mask = data.solvent_mask
    if mask is None:
        radius = state.options_particle_diameter / (2 * state.pixel_size)
        mask = soft_sphere(state.box_size, radius, options.mask_edge_px)
    flattened = new_map * mask
    if data.solvent_mask2 is not None:
        second = data.solvent_mask2
        mean = float((new_map * second).sum() / max(float(second.sum()), 1e-30))
        flattened = flattened * (1 - second) + mean * second
    result: Float32 = flattened.astype(np.float32)
    return result


def _filtered_spectra(
    spectra: MapSpectra, box: int, pixel_size: float, resolution: float
) -> MapSpectra:
    """Signal spectra after the initial low-pass filter (spec 2.6)."""
    factor = lowpass_profile(box, pixel_size, resolution)(np.arange(box // 2 + 1.0)) ** 2
    return replace(
        spectra, tau2=spectra.tau2 * factor, data_vs_prior=spectra.data_vs_prior * factor
    )


def _changes(
    state: RefinementState, controller: ControllerState, poses: Poses, plan: IterationPlan
) -> ControllerState:
    old, new = state.poses, poses
    angles = angular_change(
        matrix_from_euler(old.rot, old.tilt, old.psi),
        matrix_from_euler(new.rot, new.tilt, new.psi),
        plan.group,
    )
    changes = schedule.assignment_changes(
        angles,
        np.stack([old.offset_x, old.offset_y], axis=1),
        np.stack([new.offset_x, new.offset_y], axis=1),
        old.class_number,
        new.class_number,
    )
    return schedule.update_assignments(controller, plan.sampling, *changes)


def _peak_memory() -> float:
    """Peak resident memory of this process [GiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
