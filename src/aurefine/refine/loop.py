"""The refinement loop (spec 5.2)."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurefine.fourier import lowpass_filter, solvent_corrected_fsc
from aurefine.fourier.filters import lowpass_profile
from aurefine.geometry.directions import asymmetric_unit, grid_from_angles
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.sampling import angular_step, next_perturbation
from aurefine.geometry.symmetry import angular_change, point_group
from aurefine.imaging import soft_sphere
from aurefine.parallel.pool import WorkerPool
from aurefine.refine import schedule
from aurefine.refine.accuracy import estimate_accuracy
from aurefine.refine.expectation import HalfResult, expectation
from aurefine.refine.maximisation import (
    MapSpectra,
    average_low_resolution,
    gold_standard_fsc,
    group_scales,
    map_spectra,
    noise_spectra,
    reconstruct,
    symmetrise,
)
from aurefine.refine.observer import RunObserver
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan, make_plan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector, build_projector, padded_size
from aurefine.refine.state import (
    ControllerState,
    HalfModel,
    Poses,
    RefinementState,
    SamplingState,
    StageTimes,
)
from aurefine.refine.sums import HalfSums, add_sums

__all__ = ["RefinementInput", "run_refinement"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RefinementInput:
    """What stays the same from iteration to iteration."""

    particles: ParticleSet
    options: RefineOptions
    solvent_mask: Float32 | None = None  # (n, n, n)
    solvent_mask2: Float32 | None = None


def run_refinement(
    state: RefinementState, data: RefinementInput, pool: WorkerPool, observer: RunObserver
) -> RefinementState:
    """Iterate from a state until convergence or the last allowed iteration.

    Parameters
    ----------
    state : RefinementState
        Iteration 0, or any iteration read from a checkpoint.
    data : RefinementInput
    pool : WorkerPool
    observer : RunObserver
        Is told what happens and stores the iterations.

    Returns
    -------
    RefinementState
        The joined last iteration if the run converged, else the last one made.
    """
    options = data.options
    force = options.force_converge
    while state.controller.iteration < options.auto_iter_max:
        state = _iterate(state, data, pool, observer, force=force)
        if state.controller.has_converged:
            observer.converged(state)
            break
        state = observer.checkpoint(state, options)
        resolution = 1 / state.controller.current_frequency
        if options.abort_at_resolution > 0 and resolution <= options.abort_at_resolution:
            break
    return state


def _iterate(
    state: RefinementState,
    data: RefinementInput,
    pool: WorkerPool,
    observer: RunObserver,
    *,
    force: bool,
) -> RefinementState:
    """One iteration, in the order of spec 5.2."""
    options, particles = data.options, data.particles
    stopwatch = Stopwatch()
    has_converged = force or schedule.is_converged(state.controller, options)
    controller = replace(
        state.controller, iteration=state.controller.iteration + 1, has_converged=has_converged
    )
    observer.iteration_started(controller)
    controller = schedule.update_image_size(
        controller, state.box_size, state.pixel_size, state.models[0].average_pmax
    )
    uses_correlation = options.always_cc or (options.firstiter_cc and controller.iteration == 1)
    with stopwatch("projectors"):
        projectors = tuple(
            _projector(model.map, state.pixel_size, controller, options, pool)
            for model in state.models
        )
    orders = tuple(_processing_order(state, particles, half) for half in (1, 2))
    coarse_step = angular_step(state.sampling.order)
    orientability = state.models[0].orientability
    if not (options.firstiter_cc and controller.iteration == 1):
        observer.accuracy_started()
        with stopwatch("accuracy"):
            accuracy = estimate_accuracy(
                orders[0],
                particles,
                state.poses,
                state.models[0],
                projectors[0],
                _plan(state, state.sampling, controller, coarse_step, data, uses_correlation),
                state.random_seed,
                pool,
            )
        orientability = accuracy.orientability
        controller = replace(
            controller, accuracy_angles=accuracy.angles, accuracy_offsets=accuracy.offsets
        )
        observer.accuracy_estimated(controller)
    sampling = state.sampling
    if controller.iteration > 1:
        controller, sampling = schedule.update_sampling(
            controller, sampling, state.options_particle_diameter, options
        )
        observer.sampling_updated(sampling)
    state = _with_sampling(state, sampling, controller, options)
    plan = _plan(state, state.sampling, controller, coarse_step, data, uses_correlation)
    controller = replace(controller, coarse_size=_coarse_size(plan))
    observer.expectation_started(controller, plan, particles.n_particles)
    results = tuple(
        expectation(
            half,
            order,
            particles,
            state.poses,
            model,
            projector,
            plan,
            state.random_seed,
            pool,
            stopwatch,
            observer.particles_done,
        )
        for half, order, model, projector in zip(
            (1, 2), orders, state.models, projectors, strict=True
        )
    )
    del projectors
    poses = _new_poses(state.poses, results)
    with stopwatch("symmetrising"):
        for result in results:
            symmetrise(result.sums, plan.group, pool)
    return _maximise(
        state, controller, plan, results, poses, orientability, data, pool, observer, stopwatch
    )


def _maximise(
    state: RefinementState,
    controller: ControllerState,
    plan: IterationPlan,
    results: tuple[HalfResult, ...],
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
            fsc, shell = solvent_corrected_fsc(
                maps[0], maps[1], data.solvent_mask, rng, controller.current_size
            )
        if shell:
            observer.phases_randomised(box * pixel_size / shell)
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
                model, sums, new_map, fsc, spectra, orientability, options, uses_correlation, controller.has_converged, state
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


def _peak_memory() -> float:
    """Peak resident memory of this process [GiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


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


def _projector(
    reference: Float32,
    pixel_size: float,
    controller: ControllerState,
    options: RefineOptions,
    pool: WorkerPool,
) -> Projector:
    extent = len(reference) * pixel_size
    limit = options.strict_lowres_exp
    lowest = int(np.floor(extent / limit + 0.5)) if limit > 0 else -1
    return build_projector(
        reference, controller.current_size // 2, options.padding, pool, lowest_shell=lowest
    )


def _processing_order(state: RefinementState, particles: ParticleSet, half: int) -> IntArray:
    """Rows of a half: shuffled once per run, then stably sorted by optics group (spec 2.2)."""
    rows = np.flatnonzero(state.poses.half == half)
    if state.random_seed != 0:
        rng = np.random.Generator(np.random.Philox(key=[state.random_seed, half]))
        rows = rng.permutation(rows)
    return rows[np.argsort(particles.optics[rows], kind="stable")]


def _plan(
    state: RefinementState,
    sampling: SamplingState,
    controller: ControllerState,
    coarse_step: float,
    data: RefinementInput,
    uses_correlation: bool,
) -> IterationPlan:
    options = data.options
    return make_plan(
        box=state.box_size,
        pixel_size=state.pixel_size,
        current_size=controller.current_size,
        coarse_step=coarse_step,
        group=point_group(options.symmetry),
        grid=grid_from_angles(sampling.order, state.direction_rot, state.direction_tilt),
        sampling=sampling,
        optics_groups=data.particles.optics_groups,
        padding=padded_size(state.box_size, options.padding) / state.box_size,
        options=options,
        particle_diameter=state.options_particle_diameter,
        use_correlation=uses_correlation,
        reference_has_ctf=options.ctf
        and not (options.ctf_uncorrected_ref and controller.iteration == 1),
    )


def _coarse_size(plan: IterationPlan) -> int:
    first = plan.geometries[0]
    return 2 * int(first.pixels.shell[first.n_coarse - 1])


def _with_sampling(
    state: RefinementState,
    sampling: SamplingState,
    controller: ControllerState,
    options: RefineOptions,
) -> RefinementState:
    """Draw the perturbation of this iteration, and reset the direction prior of a finer grid."""
    delta = 0.0
    for iteration in range(controller.iteration + 1):
        rng = np.random.Generator(np.random.Philox(key=[state.random_seed, 1 << 40 | iteration]))
        delta = next_perturbation(delta, sampling.perturbation_factor, rng)
    new = replace(sampling, perturbation=delta)
    if sampling.order == state.sampling.order:
        return replace(state, sampling=new)
    group = point_group(options.symmetry)
    grid = asymmetric_unit(sampling.order, group, tilt_limit=options.limit_tilt)
    n = len(grid.rot)
    models = tuple(replace(m, direction_prior=np.full(n, 1 / n)) for m in state.models)
    return replace(
        state,
        sampling=new,
        direction_rot=grid.rot,
        direction_tilt=grid.tilt,
        models=models,
    )


def _new_poses(poses: Poses, results: tuple[HalfResult, ...]) -> Poses:
    """Put the results of both halves in the order of the table."""
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.copy(getattr(poses, name))
        for name in (
            "rot",
            "tilt",
            "psi",
            "offset_x",
            "offset_y",
            "norm_correction",
            "log_likelihood",
            "pmax",
            "n_significant",
        )
    }
    for result in results:
        for name, values in columns.items():
            values[result.rows] = getattr(result, name)
    return replace(poses, class_number=np.ones_like(poses.class_number), **columns)


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
