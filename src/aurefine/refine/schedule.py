"""All of the automation, as pure functions on small records (spec 5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.refine.options import RefineOptions
from aurefine.refine.state import ControllerState, SamplingState

__all__ = [
    "assignment_changes",
    "end_subset",
    "is_converged",
    "required_angular_step",
    "update_assignments",
    "update_image_size",
    "update_resolution",
    "update_sampling",
    "uses_subset",
    "widen_from_fsc",
]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_NO_GAIN = 1
_MAX_NO_CHANGE = 1


def _round(x: float) -> int:
    return int(np.floor(x + 0.5))


def is_converged(controller: ControllerState, options: RefineOptions) -> bool:
    """Whether the coming iteration is the last one (spec 5.3)."""
    return bool(
        controller.is_fine_enough
        and controller.n_iter_without_resolution_gain >= _MAX_NO_GAIN
        and (
            options.auto_ignore_angles
            or controller.n_iter_without_assignment_change >= _MAX_NO_CHANGE
        )
    )


def uses_subset(controller: ControllerState, options: RefineOptions) -> bool:
    """Whether an iteration makes do with the first particles of each half."""
    return bool(
        options.early_particles > 0
        and not controller.uses_all_particles
        and not controller.has_converged
    )


def end_subset(controller: ControllerState) -> ControllerState:
    """Go on with all particles once a subset limits the resolution.

    The counters begin anew, because they judged another set of particles.
    """
    if controller.iteration < 2 or controller.n_iter_without_resolution_gain < _MAX_NO_GAIN:
        return controller
    return _count_anew(replace(controller, uses_all_particles=True))


def update_image_size(
    controller: ControllerState, box: int, pixel_size: float, average_pmax: float
) -> ControllerState:
    """Set the current image size [px] from the current resolution (spec 3.1)."""
    if controller.has_converged:
        return replace(controller, current_size=box)
    shell = _round(controller.current_frequency * box * pixel_size)
    if average_pmax > 0.1 and controller.has_high_fsc_at_limit:
        shell += _round(0.25 * box / 2)
    else:
        shell += controller.incr_size
    return replace(controller, current_size=min(2 * shell, box))


def widen_from_fsc(controller: ControllerState, fsc: Float) -> ControllerState:
    """Let the FSC widen the margin beyond the current resolution (spec 3.1)."""
    half = _first_below(fsc, 0.5)
    seventh = _first_below(fsc, 0.143)
    limit = controller.current_size // 2 - 1
    return replace(
        controller,
        incr_size=max(controller.incr_size, seventh - half + 5),
        has_high_fsc_at_limit=controller.has_high_fsc_at_limit or bool(fsc[limit] > 0.2),
    )


def _first_below(curve: Float, threshold: float) -> int:
    below = np.flatnonzero(curve < threshold)
    return int(below[0]) if len(below) else -1


def update_resolution(
    controller: ControllerState,
    data_vs_prior: Float,
    box: int,
    pixel_size: float,
    options: RefineOptions,
) -> tuple[ControllerState, bool]:
    """Resolution from the signal-to-noise spectrum, and iterations without gain (spec 5.4).

    Returns
    -------
    controller : ControllerState
    crosses_twice : bool
        Whether the FSC crosses 0.5 more than once and the higher resolution was taken.
    """
    crosses_twice = False
    first = controller.iteration == 0 or (controller.iteration == 1 and options.firstiter_cc)
    if options.initial_lowpass > 0 and first:
        shell = _round(box * pixel_size / options.initial_lowpass)
    else:
        inside = data_vs_prior[1 : box // 2]
        below = np.flatnonzero(inside < 1)
        shell = int(below[0]) if len(below) else box // 2 - 1
        above = np.flatnonzero(inside > 1)
        highest = int(above[-1]) + 1 if len(above) else 0
        if highest > shell + 3:
            shell = highest
            crosses_twice = True
        shell = max(shell, options.minres_map)
    frequency = shell / (box * pixel_size)
    no_gain = frequency <= controller.current_frequency + 0.0001
    return (
        replace(
            controller,
            current_frequency=frequency,
            best_frequency=max(controller.best_frequency, frequency),
            n_iter_without_resolution_gain=(
                controller.n_iter_without_resolution_gain + 1 if no_gain else 0
            ),
        ),
        crosses_twice,
    )


def required_angular_step(controller: ControllerState, particle_diameter: float) -> float:
    """Angular step [degrees] that the current resolution needs at the particle's edge."""
    resolution = 1 / controller.current_frequency
    return float(360 / np.ceil(np.pi * particle_diameter / resolution))


def update_sampling(
    controller: ControllerState,
    sampling: SamplingState,
    particle_diameter: float,
    options: RefineOptions,
) -> tuple[ControllerState, SamplingState]:
    """Refine the angular and translational sampling when it is time (spec 5.6)."""
    step = sampling.fine_angular_step
    needed = required_angular_step(controller, particle_diameter)
    by_resolution = (
        options.auto_resol_angles
        and needed < step
        and sampling.order + 1 != options.auto_local_healpix_order
    ) or controller.n_iter_without_resolution_gain >= _MAX_NO_GAIN
    by_changes = (
        options.auto_ignore_angles or controller.n_iter_without_assignment_change >= _MAX_NO_CHANGE
    )
    if not (by_resolution and by_changes):
        return controller, sampling
    if options.skip_align:  # nothing is sampled
        return replace(controller, is_fine_enough=True), sampling
    reached_maximum = options.maximum_angular_sampling > 0 and (
        step < options.maximum_angular_sampling
    )
    wants_minimum = options.minimum_angular_sampling > 0 and (
        step > options.minimum_angular_sampling
    )
    if reached_maximum or (step < 0.75 * controller.accuracy_angles and not wants_minimum):
        return replace(controller, is_fine_enough=True), sampling
    finer = _finer(controller, sampling, options)
    return replace(_count_anew(controller), is_fine_enough=False), finer


def _count_anew(controller: ControllerState) -> ControllerState:
    return replace(
        controller,
        n_iter_without_resolution_gain=0,
        n_iter_without_assignment_change=0,
        smallest_classes=9999999,
        smallest_offsets=999.0,
        smallest_angles=999.0,
    )


def _finer(
    controller: ControllerState, sampling: SamplingState, options: RefineOptions
) -> SamplingState:
    step = min(1.5, 0.75 * controller.accuracy_offsets) * 2**sampling.oversampling
    reach = min(5 * controller.changes_offsets, 1.3 * sampling.offset_range)
    reach = max(reach, 1.5 * step)
    if reach > 4 * step:
        reach /= 2
        if reach > 4 * step:
            step = reach / 4
    if step > sampling.offset_step:
        step, reach = sampling.offset_step, sampling.offset_range
    order = sampling.order + 1
    if options.jump_sampling:
        order = _permitted_order(controller, sampling)
    finer = replace(
        sampling,
        order=order,
        psi_step=360 / (6 * 2**order),
        offset_step=step,
        offset_range=reach,
    )
    if order >= options.auto_local_healpix_order:
        finer = replace(finer, is_local=True, sigma_angle=2 * finer.fine_angular_step)
    return finer


def _permitted_order(controller: ControllerState, sampling: SamplingState) -> int:
    """Order whose step the estimated accuracy calls for, one or two above the present one.

    Local searches around poses from a grid that is four times coarser still reach 1.5 of its
    steps; a longer jump would lose poses.
    """
    order, step = sampling.order + 1, sampling.fine_angular_step / 2
    if step >= 0.75 * controller.accuracy_angles:
        order += 1
    return order


def update_assignments(
    controller: ControllerState,
    sampling: SamplingState,
    changes_angles: float,
    changes_offsets: float,
    changes_classes: float,
) -> ControllerState:
    """Count iterations without large changes in the poses (spec 5.7).

    Small changes are small compared with the steps that the run started with: this is what
    RELION does in every run that was examined (docs/validation.md), although 5.7 of the spec
    names the steps of the current iteration.
    """
    angular_step = 360.0 / (6 * 2 ** (sampling.original_order + sampling.oversampling))
    offset_step = sampling.original_offset_step / 2**sampling.oversampling
    settled = (
        1.03 * changes_classes >= controller.smallest_classes
        and (
            changes_offsets / offset_step < 0.40
            or 1.03 * changes_offsets >= controller.smallest_offsets
        )
        and (
            changes_angles / angular_step < 0.40
            or 1.03 * changes_angles >= controller.smallest_angles
        )
    )
    return replace(
        controller,
        changes_angles=changes_angles,
        changes_offsets=changes_offsets,
        changes_classes=changes_classes,
        n_iter_without_assignment_change=(
            controller.n_iter_without_assignment_change + 1 if settled else 0
        ),
        smallest_classes=min(controller.smallest_classes, _round(changes_classes)),
        smallest_offsets=min(controller.smallest_offsets, changes_offsets),
        smallest_angles=min(controller.smallest_angles, changes_angles),
    )


def assignment_changes(
    angles: Float, old_offsets: Float, new_offsets: Float, old_class: IntArray, new_class: IntArray
) -> tuple[float, float, float]:
    """Mean changes of angles [degrees], offsets [Å] and classes (spec 5.7).

    Parameters
    ----------
    angles : ndarray, shape (n,)
        Angular change of each particle [degrees].
    old_offsets, new_offsets : ndarray, shape (n, 2)
        Å.
    old_class, new_class : ndarray, shape (n,)
    """
    n = len(angles)
    squared = ((new_offsets - old_offsets) ** 2).sum()
    return (
        float(angles.mean()),
        float(np.sqrt(squared / (2 * n))),
        float((np.asarray(old_class) != np.asarray(new_class)).mean()),
    )
