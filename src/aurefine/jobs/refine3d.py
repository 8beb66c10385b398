"""The job *3D auto-refine*: from option values to files, and the Python API."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine import __version__
from aurefine.errors import OutputError
from aurefine.geometry.symmetry import point_group
from aurefine.io import ParticleTable
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import notes_of
from aurefine.jobs.refine_files import particle_columns, read_checkpoint
from aurefine.jobs.refine_history import History
from aurefine.jobs.refine_input import (
    Inputs,
    check_diameter,
    check_normalisation,
    image_root,
    inputs_from_table,
    load_inputs,
)
from aurefine.jobs.refine_job import RefineJob
from aurefine.jobs.refine_options import (
    REFINE_OPTIONS,
    RunSettings,
    continued_options,
    continued_settings,
    ignored_when_continuing,
    to_refine_options,
    to_run_settings,
)
from aurefine.jobs.refine_reference import load_mask, load_references, symmetry_correlation
from aurefine.jobs.run_log import RunLog
from aurefine.jobs.stopping import unwrapped_stop
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.initialise import initial_state
from aurefine.refine.loop import RefinementInput, run_refinement
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import Poses, RefinementState

__all__ = ["RefinementResult", "refine", "run_job"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_SYMMETRY_WARNING = 0.7  # correlation below which a reference does not look symmetric


@dataclass(frozen=True, slots=True)
class RefinementResult:
    """What a refinement found.

    Attributes
    ----------
    map : ndarray, shape (n, n, n), float32
        Final map of all particles; of half 1 if the run ended before it converged.
    half_maps : tuple of ndarray, shape (n, n, n), float32
        Unfiltered half maps; empty if the run ended before it converged.
    pixel_size : float
        Å.
    fsc : ndarray, shape (n // 2 + 1,)
        Gold-standard FSC; shell k is at n * pixel_size / k Å.
    resolution : float
        Å; where the gold-standard FSC falls below 0.143 if the run converged, else below 0.5.
    particles : DataFrame
        The particle table with the final poses, RELION's labels as columns.
    history : DataFrame
        One row per iteration: resolution, accuracy, changes, sampling, Pmax, seconds, memory.
        A continued run takes the earlier rows from their files, without seconds and memory.
    fsc_history : ndarray, shape (n_iterations, n // 2 + 1)
    has_converged : bool
    output_root : str
        Root name of the files, e.g. ``Refine3D/job012/run``.
    """

    map: Float32
    half_maps: tuple[Float32, ...]
    pixel_size: float
    fsc: Float
    resolution: float
    particles: pd.DataFrame
    history: pd.DataFrame
    fsc_history: Float
    has_converged: bool
    output_root: str


def run_job(values: Mapping[str, Any]) -> int:
    """Run *3D auto-refine* with option values by name and return the exit code.

    Raises
    ------
    AurefineError
        If the job can not be done.
    """

    def work() -> None:
        _run(values)

    output = str(values.get("output") or values.get("continue_from") or "")
    return run_controlled(
        str(values.get("pipeline_control") or ""),
        work,
        folder=str(Path(output).parent) if output else "",
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


def _run(values: Mapping[str, Any]) -> RefinementResult:
    start = time.perf_counter()
    is_continued = bool(values.get("continue_from"))
    stored: tuple[RefinementState, RefineOptions, RunSettings, ParticleTable] | None = None
    if is_continued:
        stored = read_checkpoint(str(values["continue_from"]))
        options = continued_options(stored[1], values)
        settings = continued_settings(stored[2], values)
    else:
        options = to_refine_options(values)
        settings = to_run_settings(values)
    _prepare_directory(settings.output_root)
    directory = Path(settings.output_root).parent
    log = RunLog(directory, verbosity=settings.verbosity, show_progress=settings.show_progress)
    with log, unwrapped_stop():
        log.write(f" aurefine version: {__version__}")
        notes = notes_of(REFINE_OPTIONS, values)
        notes += ignored_when_continuing(values) if is_continued else []
        log.write(f" Note: {note}" for note in notes)
        with WorkerPool(options.n_threads) as pool:
            if stored is None:
                seed = options.random_seed if options.random_seed >= 0 else int(time.time())
                inputs = load_inputs(settings.particles, options, seed, log.warn)
            else:
                table, seed = stored[3], stored[0].random_seed
                root = image_root(table, settings.particles, log.warn)
                inputs = inputs_from_table(table, root, options, seed, log.warn)
            mask = load_mask(settings.solvent_mask, inputs.box_size, inputs.pixel_size, log.warn)
            if stored is None:
                state = _first_state(inputs, options, settings, seed, pool, log)
            else:
                state = replace(stored[0], poses=_reordered(stored[0].poses, inputs.order))
            if state.controller.iteration >= options.auto_iter_max:
                log.warn(
                    f"iteration {state.controller.iteration} is the last one that --auto_iter_max "
                    f"{options.auto_iter_max} allows: there is nothing to do. Give a larger number"
                )
            job = RefineJob(inputs.table, options, settings, log)
            data = RefinementInput(inputs.particles, options, mask)
            with _advice_to_continue(job, settings, log):
                if stored is None:
                    state = job.checkpoint(state, options)
                final = run_refinement(state, data, pool, job)
        _write_plots(final, job.history, options, settings, log)
        log.write(f" Time: {time.perf_counter() - start:.1f} s")
    model = final.models[0]
    return RefinementResult(
        map=model.map,
        half_maps=final.unfiltered_maps,
        pixel_size=final.pixel_size,
        fsc=model.fsc,
        resolution=1 / final.controller.current_frequency,
        particles=particle_columns(final, inputs.table),
        history=job.history.frame(),
        fsc_history=job.history.fsc(),
        has_converged=final.controller.has_converged,
        output_root=settings.output_root,
    )


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


def _reordered(poses: Poses, order: npt.NDArray[np.int64]) -> Poses:
    """Put poses in the order in which the particles are processed."""
    return replace(poses, **{f.name: getattr(poses, f.name)[order] for f in fields(poses)})


def _first_state(
    inputs: Inputs,
    options: RefineOptions,
    settings: RunSettings,
    seed: int,
    pool: WorkerPool,
    log: RunLog,
) -> RefinementState:
    box, pixel_size = inputs.box_size, inputs.pixel_size
    check_diameter(options, box, pixel_size)
    references = load_references(settings, box, pixel_size, log.warn, log.write)
    group = point_group(options.symmetry)
    if len(group.matrices) > 1:
        resolution = options.initial_lowpass if options.initial_lowpass > 0 else 20.0
        correlation = symmetry_correlation(references[0], pixel_size, group.matrices, resolution)
        if correlation < _SYMMETRY_WARNING:
            log.warn(
                f"{settings.reference}: correlation with its own {group.name} symmetry mates is "
                f"only {correlation:.2f} (1 for a map with that symmetry on RELION's axes). "
                "Check --sym and the orientation of the map"
            )
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
    return state


def _write_plots(
    state: RefinementState,
    history: History,
    options: RefineOptions,
    settings: RunSettings,
    log: RunLog,
) -> None:
    """Draw the figures of the run beside its files."""
    if not len(history):
        return
    from aurefine.report.plots import (
        plot_fsc,
        plot_map_slices,
        plot_orientations,
        plot_progress,
    )

    root, table, fsc = settings.output_root, history.frame(), history.fsc()
    numbers = table["iteration"].tolist()
    is_final = state.is_joined
    matrices = point_group(options.symmetry).matrices
    try:
        paths = [
            *plot_fsc(
                fsc[:-1] if is_final else fsc,
                state.pixel_size,
                f"{root}_fsc",
                iterations=numbers[:-1] if is_final else numbers,
                final=fsc[-1] if is_final else None,
                joined=max(options.low_resol_join_halves, 0.0),
            ),
            *plot_progress(table, f"{root}_progress"),
            *plot_orientations(
                state.poses.rot, state.poses.tilt, f"{root}_orientations", symmetry=matrices
            ),
            *plot_map_slices(state.models[0].map, state.pixel_size, f"{root}_map"),
        ]
    except OutputError as error:  # the results themselves are complete
        log.warn(f"the plots are missing: {error}")
        return
    log.write(f" Plots: {', '.join(str(path) for path in paths if path.suffix == '.png')}")
