"""The job *3D auto-refine*: from option values to files, and the Python API."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aurefine import __version__
from aurefine.errors import OutputError
from aurefine.io.file_array import array_in_file
from aurefine.jobs.check_start import check_start
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import notes_of
from aurefine.jobs.processes import MINIMUM, too_few_processes
from aurefine.jobs.refine_dry_run import dry_run
from aurefine.jobs.refine_estimate import (
    forecast,
    forecast_lines,
    refuse_if_too_large,
    run_size,
)
from aurefine.jobs.refine_figures import write_figures
from aurefine.jobs.refine_images import particles_at_hand
from aurefine.jobs.refine_input import (
    Inputs,
    check_diameter,
    check_normalisation,
    image_root,
    inputs_from_table,
    load_inputs,
)
from aurefine.jobs.refine_job import RefineJob
from aurefine.jobs.refine_newest import Start, find_start, remove_leftovers
from aurefine.jobs.refine_options import (
    REFINE_OPTIONS,
    RunSettings,
    continued_options,
    continued_settings,
    ignored_when_continuing,
    to_refine_options,
    to_run_settings,
)
from aurefine.jobs.refine_partial import StoredSums
from aurefine.jobs.refine_processes import Team
from aurefine.jobs.refine_reference import load_mask, load_references
from aurefine.jobs.refine_result import RefinementResult, finished_result, result_of
from aurefine.jobs.run_log import RunLog
from aurefine.jobs.stopping import unwrapped_stop
from aurefine.kernels.beforehand import compiled_beside
from aurefine.parallel.launcher import launcher_ends_soon
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.half_sets import HalfSets
from aurefine.refine.initialise import initial_state
from aurefine.refine.iteration import RefinementInput
from aurefine.refine.loop import run_refinement
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState, selected

__all__ = ["RefinementResult", "refine", "run_job"]


def run_job(values: Mapping[str, Any], team: Team | None = None) -> int:
    """Run *3D auto-refine* with option values by name and return the exit code.

    Parameters
    ----------
    values : mapping
    team : Team, optional
        The processes that this one leads; by default it works alone.

    Raises
    ------
    AurefineError
        If the job can not be done.
    """

    if values.get("dry_run"):
        return dry_run(values)

    def work() -> None:
        if team is not None and len(team.places) < MINIMUM:
            raise too_few_processes(len(team.places))
        _run(values, team)

    output = str(values.get("output") or values.get("continue_from") or "")
    return run_controlled(
        str(values.get("pipeline_control") or ""),
        work,
        folder=str(Path(output).parent) if output else "",
        is_hasty=team is not None and launcher_ends_soon(),
    )


def refine(
    particles: str | os.PathLike[str] = "",
    reference: str | os.PathLike[str] = "",
    output: str | os.PathLike[str] = "",
    **options: Any,
) -> RefinementResult:
    """Refine a map against particles until it converges.

    Parameters
    ----------
    particles : path-like
        Particle STAR file.
    reference : path-like
        Starting map (MRC).
    output : path-like
        Root name of the output files, e.g. ``Refine3D/job012/run``.
    **options
        Options of `aurefine refine` by name, e.g. ``symmetry="D2"``, ``ctf=True``,
        ``initial_lowpass=50``, ``particle_diameter=190``, ``n_threads=2``.

    Returns
    -------
    RefinementResult

    Raises
    ------
    AurefineError
        With one message that says what is wrong with the input.
    """
    values: dict[str, Any] = {"verbosity": 0, "progress": False, **options}
    for name, value in (("particles", particles), ("reference", reference), ("output", output)):
        if value:
            values[name] = value
    for name, value in values.items():
        if isinstance(value, os.PathLike):
            values[name] = os.fspath(value)
    return _run(values)


def _run(values: Mapping[str, Any], team: Team | None = None) -> RefinementResult:
    start = time.perf_counter()
    found = find_start(values)
    values, stored = found.values, found.checkpoint
    if found.is_finished:
        _log_finished(found)
        return finished_result(str(values["output"]))
    if stored is not None:
        options = continued_options(stored.options, values, is_ours=stored.is_ours)
        settings = continued_settings(stored.settings, values)
    else:
        options = to_refine_options(values)
        settings = to_run_settings(values)
    _prepare_directory(settings.output_root)
    directory = Path(settings.output_root).parent
    log = RunLog(directory, verbosity=settings.verbosity, show_progress=settings.show_progress)
    with log, _watched(team), unwrapped_stop():
        log.write(f" aurefine version: {__version__}")
        notes = notes_of(REFINE_OPTIONS, values)
        if stored is not None:
            notes += ignored_when_continuing(
                values, stored.options, stored.settings, is_ours=stored.is_ours
            )
        log.write(f" Note: {note}" for note in (*notes, *found.notes))
        for warning in found.warnings:
            log.warn(warning)
        remove_leftovers(settings.output_root)
        with WorkerPool(options.n_threads) as pool, contextlib.ExitStack() as stack:
            if team is None and options.n_threads > 1:
                stack.enter_context(compiled_beside())
            if stored is None:
                seed = options.random_seed if options.random_seed >= 0 else int(time.time())
                inputs = load_inputs(
                    settings.particles,
                    options,
                    seed,
                    log.warn,
                    bad_ones=pool if settings.excludes_bad else None,
                )
            else:
                table, seed = stored.table, stored.state.random_seed
                root = image_root(table, settings.particles, log.warn)
                inputs = inputs_from_table(table, root, options, seed, log.warn)
            size = run_size(inputs, options, settings)
            if team is not None:
                size = replace(size, halves_here=1)
            n_here = 1 if team is None else team.n_here
            expected = forecast(size, settings.output_root, n_here)
            log.write(forecast_lines(expected))
            refuse_if_too_large(
                expected,
                log.warn,
                ignore=settings.ignore_memory_check,
                is_continued=stored is not None,
            )
            if team is None:  # else the followers do so
                at_hand = particles_at_hand(inputs.particles, settings, log.write)
                inputs = replace(inputs, particles=stack.enter_context(at_hand))
            mask, second_mask = (
                load_mask(name, inputs.box_size, inputs.pixel_size, log.warn)
                for name in (settings.solvent_mask, settings.solvent_mask2)
            )
            if stored is None:
                state, options = _first_state(inputs, options, settings, seed, pool, log)
            else:
                state = replace(stored.state, poses=selected(stored.state.poses, inputs.order))
            if state.controller.iteration >= options.auto_iter_max:
                log.warn(
                    f"iteration {state.controller.iteration} is the last one that --auto_iter_max "
                    f"{options.auto_iter_max} allows: there is nothing to do. Give a larger number"
                )
            may_wait = None if team is None else team.is_whole
            job = RefineJob(inputs.table, options, settings, log, may_wait)
            data = RefinementInput(
                inputs.particles,
                options,
                mask,
                second_mask,
                keep_in_file=partial(array_in_file, folder=directory),
                sums_files=StoredSums(settings.output_root),
            )
            with _advice_to_continue(job, settings, log):
                begin = [job.checkpoint(state, options) if stored is None else state]
                del state  # whose maps would stay in memory for the whole run
                crew = team.lead(data, settings, log) if team else HalfSets(data, pool)
                final = run_refinement(begin.pop(), data, crew, job)
                job.write_profile()
        n_processes = options.n_threads if team is None else 1
        write_figures(final, job.history, options, settings.output_root, log, n_processes)
        log.write(f" Time: {time.perf_counter() - start:.1f} s")
    return result_of(final, inputs.table, job.history, settings.output_root)


def _watched(team: Team | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if team is None else team.watched()


def _log_finished(found: Start) -> None:
    """Say that there is nothing to do."""
    directory = Path(str(found.values["output"])).parent
    with RunLog(directory, verbosity=int(found.values.get("verbosity", 1))) as log:
        log.write(f" Note: {note}: there is nothing to do" for note in found.notes)


@contextlib.contextmanager
def _advice_to_continue(job: RefineJob, settings: RunSettings, log: RunLog) -> Iterator[None]:
    """Say how to go on from the last complete iteration if the run does not reach its end."""
    try:
        yield
    except BaseException:
        job.close()
        if job.last_optimiser:
            names = [shlex.quote(name) for name in (job.last_optimiser, settings.output_root)]
            with contextlib.suppress(OutputError):  # e.g. a full disk
                log.write(
                    f" The last complete iteration can be continued: aurefine refine "
                    f"--continue {names[0]} --o {names[1]}"
                )
        raise


def _prepare_directory(root: str) -> None:
    """Make the output folder and see that it can be written to."""
    directory = Path(root).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputError(
            f"option --o: the folder {directory} can not be made: a file is in its place"
        ) from None
    except OSError as error:
        raise OutputError(
            f"option --o: the folder {directory} can not be made: {error.strerror}"
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(f"option --o: the folder {directory} can not be written to")


def _first_state(
    inputs: Inputs,
    options: RefineOptions,
    settings: RunSettings,
    seed: int,
    pool: WorkerPool,
    log: RunLog,
) -> tuple[RefinementState, RefineOptions]:
    """Iteration 0, and the options with what was left to be decided."""
    box, pixel_size = inputs.box_size, inputs.pixel_size
    check_diameter(options, box, pixel_size)
    references = load_references(settings, box, pixel_size, log.warn, log.write)
    log.write(" Estimating initial noise spectra")
    state = initial_state(
        references,
        pixel_size,
        inputs.particles,
        inputs.poses,
        inputs.group_names,
        len(inputs.particles.optics_groups),
        options,
        seed,
        pool,
    )
    if options.check_normalisation:
        check_normalisation(inputs, state.options_particle_diameter, log.warn)
    return state, check_start(inputs, references[0], state, options, settings, pool, log)
