"""The refinement loop (spec 5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import asymmetric_unit, grid_from_angles
from aurefine.geometry.sampling import angular_step, next_perturbation
from aurefine.geometry.symmetry import point_group
from aurefine.parallel.pool import WorkerPool
from aurefine.refine import schedule
from aurefine.refine.accuracy import estimate_accuracy
from aurefine.refine.expectation import HalfResult, expectation
from aurefine.refine.maximisation import symmetrise
from aurefine.refine.observer import RunObserver
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan, make_plan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector, build_projector, padded_size
from aurefine.refine.state import ControllerState, Poses, RefinementState, SamplingState
from aurefine.refine.update import RefinementInput, maximise

__all__ = ["RefinementInput", "run_refinement"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


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
        projector = _projector(state.models[0].map, state.pixel_size, controller, options, pool)
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
                projector,
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
    results: list[HalfResult] = []
    for half, order, model in zip((1, 2), orders, state.models, strict=True):
        if half == 2:  # the padded references are never in memory together
            del projector
            with stopwatch("projectors"):
                projector = _projector(model.map, state.pixel_size, controller, options, pool)
        result = expectation(
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
        results.append(result)
    del projector
    poses = _new_poses(state.poses, results)
    with stopwatch("symmetrising"):
        for result in results:
            symmetrise(result.sums, plan.group, pool)
    return maximise(
        state,
        controller,
        plan,
        results,
        poses,
        orientability,
        data,
        pool,
        observer,
        stopwatch,
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
        mtf_curves=data.particles.mtf_curves,
        padding=padded_size(state.box_size, options.padding) / state.box_size,
        options=options,
        particle_diameter=state.options_particle_diameter,
        use_correlation=uses_correlation,
        reference_has_ctf=not (options.ctf_uncorrected_ref and controller.iteration == 1),
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


def _new_poses(poses: Poses, results: list[HalfResult]) -> Poses:
    """Put the results of both halves in the order of the table."""
    columns: dict[str, Any] = {name: np.copy(getattr(poses, name)) for name in _POSE_COLUMNS}
    for result in results:
        for name, values in columns.items():
            values[result.rows] = getattr(result, name)
    return replace(poses, class_number=np.ones_like(poses.class_number), **columns)


_POSE_COLUMNS = (
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
