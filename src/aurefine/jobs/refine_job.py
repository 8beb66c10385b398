"""What a refinement writes while it runs: log lines, progress, checkpoints."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from aurefine.errors import OutputError
from aurefine.io import ParticleTable
from aurefine.jobs import run_lines
from aurefine.jobs.job_control import AbortRequestedError, check_abort
from aurefine.jobs.refine_files import FileNames, quantise, write_final, write_iteration
from aurefine.jobs.refine_history import History
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.refine_partial import PartialFiles
from aurefine.jobs.run_log import RunLog
from aurefine.jobs.stopping import raise_if_asked, raise_if_lost, stop_is_asked, stop_waits
from aurefine.refine.options import RefineOptions
from aurefine.refine.partial import PartialIteration
from aurefine.refine.plan import IterationPlan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.state import ControllerState, RefinementState, SamplingState

__all__ = ["RefineJob"]


class RefineJob:
    """Writes the files and the log of a run (a `RunObserver`)."""

    def __init__(
        self,
        table: ParticleTable,
        options: RefineOptions,
        settings: RunSettings,
        log: RunLog,
        may_wait: Callable[[], bool] | None = None,
    ) -> None:
        """Start with nothing written; a signal waits for batches unless `may_wait` says no."""
        self.history = History()
        self._may_wait = may_wait
        if settings.continue_from:
            self.history.restore(settings.continue_from)
        self.last_optimiser = settings.continue_from  # of the last complete iteration
        self._table = table
        self._options = options
        self._settings = settings
        self._log = log
        self._command = " ".join(shlex.quote(word) for word in sys.argv[1:])
        self._progress = contextlib.ExitStack()
        self._advance: Callable[[int], None] = _ignore
        self._partial = PartialFiles(settings.output_root, settings.partial_minutes)
        self._is_abort_asked = False

    def iteration_started(self, controller: ControllerState) -> None:
        """Print the status lines."""
        raise_if_lost()
        self._log.write(run_lines.iteration_lines(controller, is_last=controller.has_converged))

    def accuracy_started(self) -> None:
        """Print that accuracies are being estimated."""
        self._log.write(run_lines.accuracy_start_line())

    def accuracy_estimated(self, controller: ControllerState) -> None:
        """Print the accuracies."""
        self._log.write(run_lines.accuracy_lines(controller))

    def sampling_updated(self, sampling: SamplingState) -> None:
        """Print the sampling."""
        self._log.write(run_lines.sampling_lines(sampling))

    def expectation_started(
        self, controller: ControllerState, plan: IterationPlan, n_particles: int
    ) -> None:
        """Print the overview of the search and start the progress bar."""
        self._log.write(
            run_lines.requirement_line(1 / controller.current_frequency, plan.particle_diameter)
        )
        self._log.write(run_lines.subset_lines(n_particles, len(self._table.particles)))
        self._log.write(run_lines.overview_lines(controller.iteration, _search_levels(plan)))
        self._partial.iteration = controller.iteration
        self._advance = self._progress.enter_context(
            self._log.progress(f"Expectation iteration {controller.iteration}", n_particles)
        )

    def particles_done(self, n: int) -> None:
        """Move the progress bar, and stop if the user asks for it."""
        self._advance(n)
        raise_if_lost()
        try:
            check_abort(self._settings.pipeline_control)
        except AbortRequestedError:
            if not self._partial.is_worth_while:
                raise
            self._is_abort_asked = True  # after this batch

    def unfinished(self, key: Callable[[], str]) -> PartialIteration | None:
        """Return what was stored of this iteration when the run was stopped in it."""
        self._partial.begin()
        self._progress.enter_context(
            stop_waits(
                lambda: (
                    self._partial.is_worth_while and (self._may_wait is None or self._may_wait())
                )
            )
        )
        self._progress.callback(self._partial.end)
        root = self._settings.continue_from.rpartition("_it")[0]
        return self._partial.read(key, root, self._log.warn)

    def taken_up(self, n: int) -> None:
        """Print how much of the iteration is there."""
        self._log.write(f" {n} particles of this iteration are done already")

    def wants_to_store(self) -> bool:
        """Whether the iteration takes long, or the run is to stop after the batches at hand."""
        return self._is_abort_asked or stop_is_asked() or self._partial.is_due

    def store(self, so_far: Callable[[], PartialIteration]) -> None:
        """Store the iteration, and stop here if that was asked for."""
        try:
            self._partial.write(so_far())
            self._log.write(f" The unfinished iteration is stored in {self._partial.path}")
        except OutputError as error:
            self._log.warn(f"the unfinished iteration is not stored: {error}")
            self._partial.begin()  # try again when the interval is over
        if self._is_abort_asked:
            check_abort(self._settings.pipeline_control)
        raise_if_asked()

    def halves_joined(self, resolution: float) -> None:
        """Print the joining of the halves."""
        self.close()
        self._log.write(run_lines.join_lines(resolution))

    def fsc_started(self, is_solvent_corrected: bool) -> None:
        """Print the kind of FSC."""
        self.close()
        self._log.write(run_lines.fsc_line(is_solvent_corrected=is_solvent_corrected))

    def phases_randomised(self, resolution: float) -> None:
        """Print the resolution of phase randomisation."""
        self._log.write(run_lines.randomise_line(resolution))

    def maximisation_started(self) -> None:
        """Print the start of the reconstruction."""
        self._log.write(run_lines.maximisation_line())

    def warn(self, message: str) -> None:
        """Write a warning."""
        self._log.warn(message)

    def checkpoint(self, state: RefinementState, options: RefineOptions) -> RefinementState:
        """Write all files of the iteration and go on from what they hold."""
        stopwatch = Stopwatch()
        with stopwatch("writing"):
            state = self._write(quantise(state), options)
        state = _with_times(state, stopwatch)
        if state.controller.iteration > 0:
            self._remember(state)
        return state

    def _write(self, state: RefinementState, options: RefineOptions) -> RefinementState:
        names = FileNames(self._settings.output_root, state.controller.iteration)
        with _complete_or_nothing(names):
            write_iteration(
                state,
                self._table,
                self._settings.output_root,
                options,
                self._command,
                self._settings,
            )
        self.last_optimiser = names.optimiser
        self._partial.remove()
        return state

    def converged(self, state: RefinementState) -> None:
        """Write the final files and print the closing lines."""
        stopwatch = Stopwatch()
        with stopwatch("writing"), _complete_or_nothing(FileNames(self._settings.output_root)):
            write_final(
                state,
                self._table,
                self._settings.output_root,
                self._options,
                self._command,
                self._settings,
            )
        self._remember(_with_times(state, stopwatch))
        self._log.write(
            run_lines.final_lines(
                self._settings.output_root,
                state.controller,
                is_solvent_corrected=self._options.solvent_correct_fsc
                and bool(self._settings.solvent_mask),
                tau2_fudge=self._options.tau2_fudge,
            )
        )

    def write_profile(self) -> None:
        """Print the time of each stage of the whole run."""
        self._log.write(run_lines.profile_lines(self.history.stages()))

    def close(self) -> None:
        """End the progress bar, if there is one."""
        self._progress.close()
        self._advance = _ignore

    def _remember(self, state: RefinementState) -> None:
        self.history.add(state)
        self._log.write(run_lines.summary_line(state))
        self._log.write(run_lines.seconds_line(state.times))
        if state.times.sent:
            amounts = ", ".join(f"{name} {n / 1e6:.3f}" for name, n in state.times.sent.items())
            self._log.write(f" MB between processes: {amounts}")


@contextlib.contextmanager
def _complete_or_nothing(names: FileNames) -> Iterator[None]:
    """Remove the files of an iteration that could not be written to its end."""
    try:
        yield
    except BaseException:
        for path in (names.optimiser, *names.results(has_unfiltered=True)):
            with contextlib.suppress(OSError):  # e.g. a folder that has become read-only
                Path(path).unlink(missing_ok=True)
        raise


def _with_times(state: RefinementState, stopwatch: Stopwatch) -> RefinementState:
    """Add stages to the times of an iteration."""
    times = state.times
    return replace(
        state,
        times=replace(
            times,
            seconds=times.seconds | stopwatch.seconds,
            cpu_seconds=times.cpu_seconds | stopwatch.cpu_seconds,
        ),
    )


def _ignore(n: int) -> None:
    """Drop progress outside the expectation step."""


def _search_levels(plan: IterationPlan) -> list[run_lines.SearchLevel]:
    """Extent of both passes per particle; with local searches the usual neighbourhood."""
    sampling = plan.sampling
    step = 360 / (6 * 2**sampling.order)
    n_psi = len(plan.psi)
    if sampling.is_local:
        reach = 3 * sampling.sigma_angle
        share = (1 - np.cos(np.deg2rad(reach))) / 2
        n_directions = max(1, round(12 * 4**sampling.order * share))
        n_orientations = n_directions * max(1, round(n_psi * min(1.0, 2 * reach / 360)))
    else:
        n_orientations = len(plan.grid.rot) * n_psi
    n_offsets = len(plan.coarse_offsets)
    return [
        run_lines.SearchLevel(
            n_orientations=n_orientations * 8**level,
            angular_step=step / 2**level,
            n_translations=n_offsets * 4**level,
            offset_step=sampling.offset_step / 2**level,
        )
        for level in range(sampling.oversampling + 1)
    ]
