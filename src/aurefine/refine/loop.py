"""The refinement loop (spec 5.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import asymmetric_unit
from aurefine.geometry.sampling import angular_step, next_perturbation
from aurefine.geometry.symmetry import point_group
from aurefine.refine import economy, schedule
from aurefine.refine.crew import Crew
from aurefine.refine.half_sets import reset_direction_prior
from aurefine.refine.iteration import (
    IterationSettings,
    RefinementInput,
    iteration_plan,
    settings_of,
)
from aurefine.refine.observer import RunObserver
from aurefine.refine.options import RefineOptions
from aurefine.refine.partial import PartialIteration, iteration_key, sums_mark
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan
from aurefine.refine.state import ControllerState, RefinementState, SamplingState
from aurefine.refine.stored_sums import UnusableSumsError
from aurefine.refine.update import maximise
from aurefine.refine.work import WorkList, cut_batches

__all__ = ["run_refinement"]

IntArray = npt.NDArray[np.int64]


def run_refinement(
    state: RefinementState, data: RefinementInput, crew: Crew, observer: RunObserver
) -> RefinementState:
    """Iterate from a state until convergence or the last allowed iteration.

    Parameters
    ----------
    state : RefinementState
        Iteration 0, or any iteration read from a checkpoint.
    data : RefinementInput
    crew : Crew
        Does the work.
    observer : RunObserver
        Is told what happens and stores the iterations.

    Returns
    -------
    RefinementState
        The joined last iteration if the run converged, else the last one made.
    """
    options = data.options
    force = options.force_converge
    if state.controller.current_frequency <= 0:  # RELION 3.1 does not store it at iteration 0
        controller, _ = schedule.update_resolution(
            state.controller,
            state.models[0].data_vs_prior,
            state.box_size,
            state.pixel_size,
            options,
        )
        state = replace(state, controller=controller)
    while state.controller.iteration < options.auto_iter_max:
        state = _iterate(state, data, crew, observer, force=force)
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
    crew: Crew,
    observer: RunObserver,
    *,
    force: bool,
) -> RefinementState:
    """One iteration, in the order of spec 5.2."""
    options, particles = data.options, data.particles
    has_converged = force or schedule.is_converged(state.controller, options)
    controller = replace(
        state.controller, iteration=state.controller.iteration + 1, has_converged=has_converged
    )
    observer.iteration_started(controller)
    controller = schedule.update_image_size(
        controller, state.box_size, state.pixel_size, state.models[0].average_pmax
    )
    uses_correlation = options.always_cc or (options.firstiter_cc and controller.iteration == 1)
    coarse_step = angular_step(state.sampling.order)
    scored_size = controller.current_size
    if not uses_correlation:
        n_per_group = np.bincount(particles.noise_group, None, len(state.models[0].sigma2_noise))
        scored_size = economy.scored_size(
            state.models[0], n_per_group, controller.current_size, options
        )
    settings = settings_of(
        state,
        controller,
        coarse_step,
        uses_correlation=uses_correlation,
        scored_size=scored_size,
    )
    crew.begin(settings, state.poses, dict(enumerate(state.models, start=1)))
    orders = {
        half: _processing_order(state, particles, half, controller, options) for half in (1, 2)
    }
    orientability = state.models[0].orientability
    if not (options.firstiter_cc and controller.iteration == 1):
        observer.accuracy_started()
        accuracy = crew.estimate_accuracy(settings, orders[1])
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
    settings = settings_of(
        state,
        controller,
        coarse_step,
        uses_correlation=uses_correlation,
        scored_size=scored_size,
    )
    plan = iteration_plan(settings, data)
    controller = replace(controller, coarse_size=_coarse_size(plan))
    settings = replace(settings, controller=controller)
    observer.expectation_started(controller, plan, sum(map(len, orders.values())))
    work = WorkList(
        {
            half: cut_batches(half, order, particles, state.poses, plan)
            for half, order in orders.items()
        },
        observer.particles_done,
    )
    _take_up(state, settings, work, options, crew, observer)
    crew.align(settings, work)
    work.end_storing()
    state = maximise(
        state,
        settings,
        plan,
        work.new_poses(state.poses),
        orientability,
        options,
        crew,
        observer,
        uses_mask=options.solvent_correct_fsc and data.solvent_mask is not None,
    )
    return replace(state, times=crew.finish())


def _take_up(
    state: RefinementState,
    settings: IterationSettings,
    work: WorkList,
    options: RefineOptions,
    crew: Crew,
    observer: RunObserver,
) -> None:
    """Go on where an earlier run was stopped, and let the observer store what there is."""

    def key() -> str:
        return iteration_key(settings, state, work, options)

    def so_far() -> PartialIteration:
        own, results = key(), dict(work.results)
        return PartialIteration(own, results, crew.store(sums_mark(own, results)))

    earlier = observer.unfinished(key)
    if earlier is not None:
        try:
            crew.restore(earlier.sums, earlier.mark)
        except UnusableSumsError as error:
            observer.warn(str(error))
        else:
            work.restore(earlier.results)
            observer.taken_up(sum(len(result.rows) for result in earlier.results.values()))
    work.is_due = observer.wants_to_store
    work.store = lambda: observer.store(so_far)


def _processing_order(
    state: RefinementState,
    particles: ParticleSet,
    half: int,
    controller: ControllerState,
    options: RefineOptions,
) -> IntArray:
    """Rows of a half in this iteration, stably sorted by optics group (spec 2.2)."""
    rows = economy.rows_in_use(state, half, controller, options)
    return rows[np.argsort(particles.optics[rows], kind="stable")]


def _coarse_size(plan: IterationPlan) -> int:
    first = plan.geometries[0]
    return first.pixels.leading(first.n_coarse).size


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
    models = tuple(reset_direction_prior(model, len(grid.rot)) for model in state.models)
    return replace(
        state,
        sampling=new,
        direction_rot=grid.rot,
        direction_tilt=grid.tilt,
        models=models,
    )
