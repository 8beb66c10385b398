"""The lines of `run.out`: RELION's status lines word for word, and our summary per iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aurefine.refine.state import ControllerState, RefinementState, SamplingState, StageTimes

__all__ = [
    "SearchLevel",
    "accuracy_lines",
    "accuracy_start_line",
    "final_lines",
    "fsc_line",
    "iteration_lines",
    "join_lines",
    "maximisation_line",
    "overview_lines",
    "profile_lines",
    "randomise_line",
    "requirement_line",
    "sampling_lines",
    "seconds_line",
    "subset_lines",
    "summary_line",
]

_BAD_ACCURACY = 10.0  # degrees
_UNKNOWN = 999.0  # RELION's value before the first estimate


@dataclass(frozen=True, slots=True)
class SearchLevel:
    """What one pass of the search visits, per particle; steps in degrees and Å."""

    n_orientations: int
    angular_step: float
    n_translations: int
    offset_step: float


def _number(value: float) -> str:
    """Format as a C++ stream does by default: 6 significant digits, no trailing zeros."""
    return f"{value:g}"


def _resolution(frequency: float) -> float:
    return 1.0 / frequency if frequency > 0 else math.inf


def iteration_lines(controller: ControllerState, *, is_last: bool = False) -> list[str]:
    """Return the lines at the start of an iteration.

    Parameters
    ----------
    controller : ControllerState
        With the number of the iteration that starts, and what the previous one left.
    is_last : bool
        Whether this is the iteration that joins the halves.

    Returns
    -------
    lines : list of str
        Without line ends.
    """
    lines = [
        f" Auto-refine: Iteration= {controller.iteration}",
        f" Auto-refine: Resolution= {_number(_resolution(controller.current_frequency))} "
        f"(no gain for {controller.n_iter_without_resolution_gain} iter) ",
        f" Auto-refine: Changes in angles= {_number(controller.changes_angles)} degrees; "
        f"and in offsets= {_number(controller.changes_offsets)} Angstroms "
        f"(no gain for {controller.n_iter_without_assignment_change} iter) ",
    ]
    if is_last:
        lines += [
            " Auto-refine: Refinement has converged, entering last iteration where two halves "
            "will be combined...",
            " Auto-refine: The last iteration will use data to Nyquist frequency, which may take "
            "more CPU and RAM.",
        ]
    return lines


def accuracy_start_line() -> str:
    """Return the line before the accuracies are estimated."""
    return " Estimating accuracies in the orientational assignment ... "


def accuracy_lines(controller: ControllerState) -> list[str]:
    """Return the estimated accuracies, with RELION's warning if they are poor."""
    lines = [
        f" Auto-refine: Estimated accuracy angles= {_number(controller.accuracy_angles)} degrees; "
        f"offsets= {_number(controller.accuracy_offsets)} Angstroms"
    ]
    if controller.accuracy_angles > _BAD_ACCURACY:
        start = " Auto-refine: WARNING:"
        lines += [
            f"{start} Iter = {controller.iteration} The angular accuracy is worse than "
            f"{_number(_BAD_ACCURACY)} degrees, so basically you cannot align your particles "
            "(yet)!",
            f"{start} This often improves by itself in the next iterations.",
            f"{start} If it does not, the FSC may become too high and the resolution a fiction.",
            f"{start} Check the reference, the mask diameter and the particles, or classify first.",
        ]
    return lines


def sampling_lines(sampling: SamplingState) -> list[str]:
    """Return the oversampled steps and the search range (printed from iteration 2 on)."""
    local = "true" if sampling.is_local else "false"
    return [
        f" Auto-refine: Angular step= {_number(sampling.fine_angular_step)} degrees; "
        f"local searches= {local}",
        f" Auto-refine: Offset search range= {_number(sampling.offset_range)} Angstroms; "
        f"offset step= {_number(sampling.fine_offset_step)} Angstroms",
    ]


def requirement_line(resolution: float, particle_diameter: float) -> str:
    """Return the angular step that a resolution [Å] needs at the edge of the particle [Å]."""
    need = 360.0 / math.ceil(math.pi * particle_diameter / resolution) if resolution > 0 else 0.0
    return (
        f" CurrentResolution= {_number(resolution)} Angstroms, which requires "
        f"orientationSampling of at least {_number(need)} degrees for a particle of diameter "
        f"{_number(particle_diameter)} Angstroms"
    )


def overview_lines(iteration: int, levels: Sequence[SearchLevel]) -> list[str]:
    """Return the extent of the search, one paragraph per oversampling order from 0 on."""
    lines = []
    for order, level in enumerate(levels):
        n_points = level.n_orientations * level.n_translations
        lines += [
            f" Oversampling= {order} NrHiddenVariableSamplingPoints= {n_points}",
            f" OrientationalSampling= {_number(level.angular_step)} "
            f"NrOrientations= {level.n_orientations}",
            f" TranslationalSampling= {_number(level.offset_step)} "
            f"NrTranslations= {level.n_translations}",
            "=============================",
        ]
    lines.append(f" Expectation iteration {iteration}")
    return lines


def subset_lines(n_used: int, n_particles: int) -> list[str]:
    """Return the line that tells that an early iteration takes some of the particles only."""
    if n_used == n_particles:
        return []
    return [f" This early iteration uses {n_used} of {n_particles} particles."]


def join_lines(resolution: float) -> list[str]:
    """Return the lines that say up to which resolution [Å] the halves were joined."""
    return [
        f" Averaging half-reconstructions up to {_number(resolution)} Angstrom resolution to "
        "prevent diverging orientations ...",
        " Note that only for higher resolutions the FSC-values are according to the gold-standard!",
    ]


def fsc_line(*, is_solvent_corrected: bool) -> str:
    """Return the line before the FSC."""
    kind = "solvent-corrected gold-standard" if is_solvent_corrected else "gold-standard"
    return f" Calculating {kind} FSC ..."


def randomise_line(resolution: float) -> str:
    """Return the resolution [Å] beyond which phases were randomised."""
    return f"{'  + randomize phases beyond:':<35}{_number(resolution)} Angstroms"


def maximisation_line() -> str:
    """Return the line before the maximisation step."""
    return " Maximization..."


def final_lines(
    root: str,
    controller: ControllerState,
    *,
    is_solvent_corrected: bool,
    tau2_fudge: float = 1.0,
) -> list[str]:
    """Return the lines at the end of a converged run.

    Parameters
    ----------
    root : str
        Output root name.
    controller : ControllerState
        Of the joined iteration.
    is_solvent_corrected : bool
        Whether the FSC took the solvent mask into account.
    tau2_fudge : float
        Regularisation factor.

    Returns
    -------
    lines : list of str
    """
    start = " Auto-refine: +"
    resolution = _number(_resolution(controller.current_frequency))
    lines = [
        " Auto-refine: Refinement has converged, stopping now... ",
        f"{start} Final reconstruction from all particles is saved as: {root}_class001.mrc",
        f"{start} Final model parameters are stored in: {root}_model.star",
        f"{start} Final data parameters are stored in: {root}_data.star",
    ]
    if tau2_fudge > 1:
        lines += [
            f"{start} SEVERE WARNING: --tau2_fudge {_number(tau2_fudge)} weakens the "
            "regularisation, so the resolution is overestimated.",
            f"{start} SEVERE WARNING: repeat the run with --tau2_fudge 1 before you report a "
            "resolution.",
        ]
    elif is_solvent_corrected:
        lines.append(f"{start} Final resolution (already with masking) is: {resolution}")
    else:
        lines += [
            f"{start} Final resolution (without masking) is: {resolution}",
            f"{start} But you may want to run relion_postprocess to mask the unfil.mrc maps and "
            "calculate a higher resolution FSC",
        ]
    if controller.accuracy_angles > _BAD_ACCURACY:
        lines += [
            f"{start} WARNING: the angular accuracy is worse than {_number(_BAD_ACCURACY)} "
            "degrees: the particles could not be aligned well.",
            f"{start} WARNING: the FSC may be too high and the resolution a fiction.",
            f"{start} WARNING: look at the map: are there features that fit the resolution?",
            f"{start} WARNING: another reference, mask diameter or selection of particles may "
            "help.",
        ]
    return lines


def summary_line(state: RefinementState) -> str:
    """Return one line that tells the result of an iteration.

    Parameters
    ----------
    state : RefinementState
        At the end of the iteration.

    Returns
    -------
    line : str
        Resolution, changes, accuracy, Pmax, sampling, image size, time and memory.
    """
    controller, sampling, times = state.controller, state.sampling, state.times
    search = "local" if sampling.is_local else "global"
    accuracy = f"accuracy {controller.accuracy_angles:.2f} deg, {controller.accuracy_offsets:.2f} A"
    if controller.accuracy_angles >= _UNKNOWN:
        accuracy = "accuracy not estimated yet"
    parts = [
        f" Summary: iteration {controller.iteration}: "
        f"resolution {_resolution(controller.current_frequency):.2f} A",
        f"changes {controller.changes_angles:.2f} deg, {controller.changes_offsets:.2f} A",
        accuracy,
        f"Pmax {state.models[0].average_pmax:.3f}",
        f"{search} steps {sampling.fine_angular_step:.3g} deg, {sampling.fine_offset_step:.3g} A",
        f"size {controller.current_size} of {state.box_size} px",
    ]
    if times.seconds:
        parts.append(f"{sum(times.seconds.values()):.1f} s")
    if times.peak_memory:
        parts.append(f"{times.peak_memory:.2f} GiB")
    return "; ".join(parts)


def seconds_line(times: StageTimes) -> str:
    """Return the wall and CPU seconds of the stages of an iteration, longest first."""
    stages = sorted(times.seconds.items(), key=lambda item: -item[1])
    shares = (
        f"{name} {wall:.2f}/{times.cpu_seconds.get(name, 0.0):.2f}"
        for name, wall in stages
        if wall >= 0.005
    )
    return f" Seconds (wall/CPU): {', '.join(shares)}"


def profile_lines(stages: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return a table of the stages of a whole run, longest first.

    Parameters
    ----------
    stages : mapping of str to (float, float)
        Wall and CPU seconds.
    """
    wall, cpu = (sum(values[k] for values in stages.values()) for k in (0, 1))
    if wall <= 0:
        return []
    rows = sorted(stages.items(), key=lambda item: -item[1][0])
    return [
        " Time of the stages of all iterations:",
        f" {'stage':<18}{'wall [s]':>10}{'CPU [s]':>10}{'share':>8}",
        *(
            f" {name:<18}{seconds:>10.2f}{cpu_seconds:>10.2f}{100 * seconds / wall:>6.1f} %"
            for name, (seconds, cpu_seconds) in rows
        ),
        f" {'total':<18}{wall:>10.2f}{cpu:>10.2f}{100:>6.1f} %",
    ]
