"""Maximisation step of one iteration: from the sums of both halves to the next state (spec 5.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import angular_change
from aurefine.refine import schedule
from aurefine.refine.crew import Crew
from aurefine.refine.economy import is_subset, rows_in_use
from aurefine.refine.iteration import IterationSettings
from aurefine.refine.observer import RunObserver
from aurefine.refine.options import RefineOptions
from aurefine.refine.plan import IterationPlan
from aurefine.refine.state import ControllerState, Poses, RefinementState, selected

__all__ = ["maximise"]

Float = npt.NDArray[np.float64]


def maximise(
    state: RefinementState,
    settings: IterationSettings,
    plan: IterationPlan,
    poses: Poses,
    orientability: Float,
    options: RefineOptions,
    crew: Crew,
    observer: RunObserver,
    *,
    uses_mask: bool,
) -> RefinementState:
    """Join the halves where they may be joined, reconstruct, and update all parameters.

    Parameters
    ----------
    state : RefinementState
        Before the iteration, with its sampling.
    poses : Poses
        New poses of all particles.
    orientability : ndarray, shape (n_box // 2 + 1,)
    crew : Crew
        Has aligned the particles.
    uses_mask : bool
        Whether the FSC is corrected for the solvent mask.
    """
    controller = settings.controller
    box, pixel_size = state.box_size, state.pixel_size
    crew.complete_sums()
    if options.low_resol_join_halves > 0:
        resolution = max(options.low_resol_join_halves, 1 / controller.current_frequency)
        shell = min(int(np.ceil(box * pixel_size / resolution - 1e-9)), settings.r_max)
        observer.halves_joined(box * pixel_size / shell)
        crew.join_halves(shell)
    observer.fsc_started(uses_mask)
    measured = crew.measure_fsc()
    assert measured is not None
    if measured.random_shell:
        observer.phases_randomised(box * pixel_size / measured.random_shell)
    elif measured.random_shell == 0:
        observer.warn("the unmasked FSC never falls below 0.8; it is used uncorrected")
    controller = schedule.widen_from_fsc(controller, measured.fsc)
    observer.maximisation_started()
    n_particles = sum(
        (model.group_n_particles for model in state.models),
        np.zeros_like(state.models[0].group_n_particles),
    )
    new = crew.reconstruct(measured.fsc, orientability, n_particles)
    first = new.models[1]
    models = tuple(
        replace(
            new.models[half], data_vs_prior=first.data_vs_prior, average_pmax=first.average_pmax
        )
        for half in sorted(new.models)
    )
    controller = _changes(state, controller, poses, plan, options)
    controller, crosses = schedule.update_resolution(
        controller, first.data_vs_prior, box, pixel_size, options
    )
    if any(
        is_subset(controller, options, int(np.count_nonzero(poses.half == half))) for half in (1, 2)
    ):
        controller = schedule.end_subset(controller)
    if crosses:
        observer.warn(
            "the FSC crosses 0.5 more than once; the highest crossing is taken as the resolution. "
            "Check the FSC curve for artefacts"
        )
    return replace(
        state,
        controller=controller,
        models=models,
        poses=poses,
        unfiltered_maps=tuple(new.unfiltered[half] for half in sorted(new.unfiltered)),
    )


def _changes(
    state: RefinementState,
    controller: ControllerState,
    poses: Poses,
    plan: IterationPlan,
    options: RefineOptions,
) -> ControllerState:
    """Compare the poses of the particles that had one before this iteration."""
    used = [rows_in_use(state, half, state.controller, options) for half in (1, 2)]
    rows = np.sort(np.concatenate(used))
    old, new = selected(state.poses, rows), selected(poses, rows)
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
