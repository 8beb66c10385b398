"""Writing the files of a refinement; reading them back is in `refine_checkpoint`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine import __version__
from aurefine.errors import OutputError
from aurefine.io import ParticleTable, write_map, write_particles, write_star, write_text_atomic
from aurefine.jobs.refine_bild import orientation_scene
from aurefine.jobs.refine_blocks import model_blocks, sampling_blocks
from aurefine.jobs.refine_checkpoint import read_checkpoint
from aurefine.jobs.refine_checksums import file_checksums, text_checksum
from aurefine.jobs.refine_names import FileNames
from aurefine.jobs.refine_optimiser import (
    END_LABEL,
    EXACT_BLOCK,
    OUR_MARK,
    WRITTEN_LABEL,
    exact_values,
    optimiser_general,
)
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.refine_rounding import quantise, quantise_table
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState

__all__ = [
    "FileNames",
    "particle_columns",
    "quantise",
    "quantise_table",
    "read_checkpoint",
    "write_final",
    "write_iteration",
]


# RELION 3.1 needs a noise spectrum per group to continue a run; beyond this number the model
# files would take too long to write
_MOST_GROUPS = 1000


def write_iteration(
    state: RefinementState,
    table: ParticleTable,
    root: str,
    options: RefineOptions,
    command_line: str,
    settings: RunSettings,
) -> None:
    """Write all files of an ordinary iteration; the optimiser file comes last.

    Each file appears under its name when it is complete, and an optimiser file of the same
    number is removed first, so that its presence means a complete iteration.

    Parameters
    ----------
    state : RefinementState
        With the models of both halves.
    table : ParticleTable
        Sorted particles with the columns of the input; poses are taken from `state`.
    root : str
        Output root name.
    options : RefineOptions
    command_line : str
        Kept in the optimiser file for the record.
    settings : RunSettings
        Names of masks and inputs, for a continuation.

    Raises
    ------
    OutputError
        If a file can not be written.
    """
    names = FileNames(root, state.controller.iteration)
    _write(state, table, names, options, command_line, settings, halves=(1, 2))


def write_final(
    state: RefinementState,
    table: ParticleTable,
    root: str,
    options: RefineOptions,
    command_line: str,
    settings: RunSettings,
) -> None:
    """Write the files of a converged run: names without a number, one joined model.

    Parameters are those of `write_iteration`, with the state of the joined iteration.

    Raises
    ------
    OutputError
        If a file can not be written.
    """
    _write(state, table, FileNames(root), options, command_line, settings, halves=(None,))


def particle_columns(state: RefinementState, table: ParticleTable) -> pd.DataFrame:
    """Return the rows of a data file: input columns in their order, then the missing ones.

    Parameters
    ----------
    state : RefinementState
        Poses in the order of the rows of `table`.
    table : ParticleTable

    Returns
    -------
    particles : DataFrame
        The columns of iteration 0 lack the results that only an expectation step gives.
    """
    poses, particles = state.poses, table.particles
    columns: dict[str, npt.NDArray[Any]] = {}
    if "rlnGroupNumber" not in particles:
        columns["rlnGroupNumber"] = _group_numbers(particles, state.group_names)
    columns |= {
        "rlnAngleRot": poses.rot,
        "rlnAngleTilt": poses.tilt,
        "rlnAnglePsi": poses.psi,
        "rlnOriginXAngst": poses.offset_x,
        "rlnOriginYAngst": poses.offset_y,
        "rlnClassNumber": poses.class_number,
        "rlnNormCorrection": poses.norm_correction,
        "rlnRandomSubset": poses.half,
    }
    results: dict[str, npt.NDArray[Any]] = {
        "rlnLogLikeliContribution": poses.log_likelihood,
        "rlnMaxValueProbDistribution": poses.pmax,
        "rlnNrOfSignificantSamples": poses.n_significant,
    }
    if state.controller.iteration == 0:
        return particles.drop(columns=list(results), errors="ignore").assign(**columns)
    return particles.assign(**columns, **results)


def _write(
    state: RefinementState,
    table: ParticleTable,
    names: FileNames,
    options: RefineOptions,
    command_line: str,
    settings: RunSettings,
    *,
    halves: tuple[int | None, ...],
) -> None:
    _remove(names.optimiser)
    models = list(zip(halves, state.models, strict=True))
    maps = [(names.map(half), model.map) for half, model in models]
    maps += [(names.unfiltered_map(n), own) for n, own in enumerate(state.unfiltered_maps, 1)]
    with ThreadPoolExecutor(1) as beside:
        written = [beside.submit(write_map, name, own, state.pixel_size) for name, own in maps]
        rows = particle_columns(state, table)
        write_particles(names.data, ParticleTable(table.optics, rows, names.data))
        optics = () if state.is_joined else _group_optics(rows, len(state.group_names))
        for half, model in models:
            blocks = model_blocks(state, model, options, names.map(half), group_optics=optics)
            write_star(names.model(half), blocks)
            scene = orientation_scene(
                state.direction_rot,
                state.direction_tilt,
                model.direction_prior,
                box_size=state.box_size,
                pixel_size=state.pixel_size,
                order=state.sampling.order,
            )
            write_text_atomic(names.orientations(half), scene)
        write_star(names.sampling, sampling_blocks(state, options))
        for one in written:
            one.result()
    _write_optimiser(state, names, options, command_line, settings)


def _write_optimiser(
    state: RefinementState,
    names: FileNames,
    options: RefineOptions,
    command_line: str,
    settings: RunSettings,
) -> None:
    exact = {
        "aurefine_version": __version__,
        "aurefine_pixel_size": repr(float(state.pixel_size)),
        "aurefine_particle_diameter": repr(float(state.options_particle_diameter)),
        **exact_values("controller", state.controller),
        **exact_values("sampling", state.sampling),
        **exact_values("options", options),
        **exact_values("settings", settings),
        WRITTEN_LABEL: repr(time.time()),
        **file_checksums(names.results(has_unfiltered=bool(state.unfiltered_maps))),
    }
    exact[END_LABEL] = text_checksum(exact)
    write_star(
        names.optimiser,
        {
            "optimiser_general": optimiser_general(state, options, settings, names),
            EXACT_BLOCK: exact,
        },
        header=(
            f"# RELION optimiser; version 5.0 {OUR_MARK} {__version__}",
            "# " + " ".join(command_line.split()),
        ),
    )


def _remove(path: str) -> None:
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: can not be replaced: {error.strerror}. Check who owns the directory."
        ) from None


def _group_optics(particles: pd.DataFrame, n_groups: int) -> list[int]:
    """Return the optics group (from 1) of each intensity group, or nothing if there are many."""
    if n_groups > _MOST_GROUPS:
        return []
    number, first = np.unique(particles["rlnGroupNumber"].to_numpy(np.int64), return_index=True)
    optics = np.ones(n_groups + 1, np.int64)
    is_listed = (number >= 0) & (number <= n_groups)
    optics[number[is_listed]] = particles["rlnOpticsGroup"].to_numpy(np.int64)[first[is_listed]]
    found: list[int] = optics[1:].tolist()
    return found


def _group_numbers(particles: pd.DataFrame, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the number (from 1) of each particle's intensity group."""
    label = "rlnGroupName" if "rlnGroupName" in particles else "rlnMicrographName"
    numbers = pd.Index(names).get_indexer(pd.Index(particles[label]))
    if (numbers >= 0).all():
        return np.asarray(numbers) + 1
    return np.asarray(pd.factorize(particles[label])[0]) + 1
