"""The job *Particle extraction*: from two STAR files to stacks and a particles STAR file."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aurefine.errors import ImageError, MrcError, OutputError
from aurefine.io.particles import MicrographTable, read_micrographs, read_particles
from aurefine.io.star import read_star, write_star
from aurefine.jobs.extract_coordinates import read_coordinates
from aurefine.jobs.extract_micrograph import (
    STAR_VERSIONS,
    MicrographResult,
    extract_star_name,
    is_finished,
)
from aurefine.jobs.extract_options import ExtractSettings, to_extract_settings
from aurefine.jobs.extract_rows import (
    DROP_REASON,
    ExtractPlan,
    MicrographTask,
    dropped_rows,
    plan_extraction,
)
from aurefine.jobs.extract_share import deal_out, dismiss, extract_together, follow, stop_file
from aurefine.jobs.job_control import run_controlled
from aurefine.parallel.comm import SERIAL, Communicator

__all__ = ["DROPPED_NAME", "run_extraction", "run_job"]

DROPPED_NAME = "dropped.star"
_SKIPPED_REASON = "micrograph was skipped"
_OUTSIDE_REASON = "window is outside the micrograph"
_FEW_PARTICLES = 10


def run_job(given: Mapping[str, Any], communicator: Communicator = SERIAL) -> int:
    """Run an extraction from the values of its options, and mark its end in the job directory.

    Parameters
    ----------
    given : mapping
        Values by option name.
    communicator : Communicator
        The processes that share the work; all of them call this function.

    Returns
    -------
    exit_code : int
        0 success, 2 abort asked for by the user; failures raise, on the leader.
    """
    if communicator.rank > 0:
        follow(communicator)
        return 0
    control = str(given.get("pipeline_control") or "")
    return run_controlled(control, lambda: _lead(given, communicator))


def run_extraction(settings: ExtractSettings, communicator: Communicator = SERIAL) -> None:
    """Extract the particles and write all files, as the leader of a group of processes.

    Parameters
    ----------
    settings : ExtractSettings
    communicator : Communicator

    Raises
    ------
    StarError, MrcError, ImageError, OutputError
        With one message that names the file and the remedy.
    """
    try:
        plan, finished = _prepare(settings)
    except BaseException:
        dismiss(communicator)
        raise
    results = _extract_all(plan, finished, settings, communicator)
    _write_dropped(plan, results, finished, settings)
    _join(plan, results, finished, settings)
    _say(" Done preprocessing!")


def _lead(given: Mapping[str, Any], communicator: Communicator) -> None:
    try:
        settings = to_extract_settings(given)
    except BaseException:
        dismiss(communicator)
        raise
    run_extraction(settings, communicator)


def _prepare(settings: ExtractSettings) -> tuple[ExtractPlan, frozenset[int]]:
    """Find out what there is to do: the plan, and the numbers of the finished micrographs."""
    for note in settings.notes:
        _warn(note)
    plan = _plan(settings)
    finished = _finished_tasks(plan, settings)
    _check_micrographs_exist(plan, finished, settings)
    _make_part_dir(settings)
    _say(f" Extracting particles from {len(plan.tasks)} micrographs ...")
    if finished:
        _say(f" {len(finished)} of them have been finished before.")
    return plan, finished


def _plan(settings: ExtractSettings) -> ExtractPlan:
    micrographs = _read_micrographs(settings)
    particle_optics: pd.DataFrame | None = None
    if settings.refined_particles:
        _say(
            " + Re-extracting particles based on coordinates from input _data.star file \n"
            f" + {settings.refined_particles}"
        )
        table = read_particles(settings.refined_particles)
        particles, particle_optics = table.particles, table.optics
    else:
        particles, missing = read_coordinates(settings, micrographs.micrographs)
        for path in missing:
            _warn(f"coordinate file {path} does not exist.")
    plan = plan_extraction(
        settings,
        micrograph_optics=micrographs.optics,
        micrographs=micrographs.micrographs,
        particle_optics=particle_optics,
        particles=particles,
    )
    if plan.n_empty_micrographs:
        _warn(f"no particles on {plan.n_empty_micrographs} of the micrographs; they are left out.")
    n_few = sum(task.rows.stop - task.rows.start < _FEW_PARTICLES for task in plan.tasks)
    if n_few:
        _warn(
            f"{n_few} micrographs have fewer than {_FEW_PARTICLES} particles. Consider joining "
            "several micrographs into one group."
        )
    return plan


def _read_micrographs(settings: ExtractSettings) -> MicrographTable:
    table = read_micrographs(settings.micrographs)
    if settings.micrograph_pixel_size is None:
        return table
    optics = table.optics.drop(columns="rlnImagePixelSize", errors="ignore")
    optics = optics.assign(rlnMicrographPixelSize=settings.micrograph_pixel_size)
    return dataclasses.replace(table, optics=optics)


def _finished_tasks(plan: ExtractPlan, settings: ExtractSettings) -> frozenset[int]:
    """Return the numbers of the micrographs that an earlier run has finished."""
    if not settings.only_unfinished:
        return frozenset()
    return frozenset(t.number for t in plan.tasks if is_finished(t))


def _check_micrographs_exist(
    plan: ExtractPlan, finished: frozenset[int], settings: ExtractSettings
) -> None:
    if settings.skip_bad_micrographs:
        return
    missing = [
        task.name
        for task in plan.tasks
        if task.number not in finished and not os.path.exists(task.name)
    ]
    if missing:
        raise MrcError(
            f"{missing[0]}: the micrograph does not exist ({len(missing)} missing of "
            f"{len(plan.tasks)}). Paths count from the project directory, here {os.getcwd()}. "
            "Restore the files, or go on without them with --skip_bad_micrographs."
        )


def _make_part_dir(settings: ExtractSettings) -> None:
    try:
        Path(settings.part_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{settings.part_dir}: can not make the folder (--part_dir): {error.strerror}."
        ) from error


def _extract_all(
    plan: ExtractPlan,
    finished: frozenset[int],
    settings: ExtractSettings,
    communicator: Communicator,
) -> dict[int, MicrographResult]:
    """Work on all micrographs that are not finished; results by micrograph number."""
    todo = [task for task in plan.tasks if task.number not in finished]
    started = time.monotonic()
    stop_file(settings).unlink(missing_ok=True)
    results = extract_together(deal_out(plan, todo, communicator.size), settings, communicator)
    _say(f" {len(todo)} micrographs took {time.monotonic() - started:.1f} s")
    for text, name in (
        ("particles reach over the edge of their micrograph", "n_over_edge"),
        ("particles have a constant background, which was not scaled", "n_constant"),
        ("dust pixels were replaced", "n_dust_pixels"),
    ):
        number = sum(getattr(result, name) for result in results)
        if number:
            _say(f" {number} {text}")
    outside = {task.name: result.n_outside for task, result in zip(todo, results, strict=True)}
    _warn_of_outside({name: number for name, number in outside.items() if number})
    return {task.number: result for task, result in zip(todo, results, strict=True)}


def _warn_of_outside(outside: Mapping[str, int]) -> None:
    if outside:
        _warn(
            f"{sum(outside.values())} particles on {len(outside)} micrographs, the first "
            f"{next(iter(outside))}, lie completely outside their micrograph and are left out. If "
            "they are many, check that coordinates and pixel sizes belong to these micrographs."
        )


def _write_dropped(
    plan: ExtractPlan,
    results: Mapping[int, MicrographResult],
    finished: frozenset[int],
    settings: ExtractSettings,
) -> None:
    """List the particles and micrographs that were left out, and why."""
    path = settings.part_dir + DROPPED_NAME
    particles = [plan.dropped]
    skipped = []
    for task in plan.tasks:
        result = results.get(task.number)
        if result is None or result.is_kept.all():
            continue
        reason = _SKIPPED_REASON if result.problem else _OUTSIDE_REASON
        reasons = np.where(result.is_kept, "", reason)
        rows = plan.rows.iloc[task.rows].drop(columns="rlnImageName")
        particles.append(dropped_rows(rows, reasons))
        if result.problem:
            skipped.append((task.name, result.problem))
    if finished and os.path.exists(path):
        names = {task.name for task in plan.tasks if task.number in finished}
        earlier = read_star(path).blocks.get("dropped_particles")
        if isinstance(earlier, pd.DataFrame):
            particles.append(earlier[earlier["rlnMicrographName"].isin(list(names))])
    dropped = pd.concat([table for table in particles if len(table)] or particles[:1])
    if "rlnImageName" in dropped:
        dropped["rlnImageName"] = dropped["rlnImageName"].fillna("")
    if len(dropped) == 0:
        Path(path).unlink(missing_ok=True)
        return
    skipped_table = pd.DataFrame(skipped, columns=["rlnMicrographName", DROP_REASON], dtype=object)
    write_star(
        path,
        {"dropped_particles": dropped, "skipped_micrographs": skipped_table},
        version=STAR_VERSIONS[settings.dialect],
    )
    for cause, number in dropped[DROP_REASON].value_counts().items():
        _say(f" {number} particles were left out: {cause}")
    _say(f" They are listed in {path}")


def _join(
    plan: ExtractPlan,
    results: Mapping[int, MicrographResult],
    finished: frozenset[int],
    settings: ExtractSettings,
) -> None:
    """Write the joined STAR files."""
    used = [t for t in plan.tasks if t.number in finished or results[t.number].image_names]
    if not used:
        raise ImageError(
            f"{settings.micrographs}: no particle was extracted from any micrograph; see the "
            f"reasons in {settings.part_dir}{DROPPED_NAME}."
        )
    version = STAR_VERSIONS[settings.dialect]
    if settings.part_star:
        _say(f" Joining metadata of all particles from {len(used)} micrographs in one STAR file...")
        rows = _joined_rows(plan, used, results)
        _make_parent(settings.part_star)
        write_star(settings.part_star, {"optics": plan.optics, "particles": rows}, version=version)
        for group, size in zip(
            plan.optics["rlnOpticsGroup"], plan.optics["rlnImagePixelSize"], strict=True
        ):
            _say(
                f" The pixel size of the extracted particles in optics group {group} is {size:g} "
                "Angstrom/pixel."
            )
        _say(f" Written out STAR file with {len(rows)} particles in {settings.part_star}")
    if settings.pick_star:
        table = pd.DataFrame(
            {
                "rlnMicrographName": [task.name for task in used],
                "rlnMicrographCoordinates": [extract_star_name(task) for task in used],
            },
            dtype=object,
        )
        _make_parent(settings.pick_star)
        write_star(settings.pick_star, {"coordinate_files": table}, version=version)


def _joined_rows(
    plan: ExtractPlan, used: Sequence[MicrographTask], results: Mapping[int, MicrographResult]
) -> pd.DataFrame:
    """Return the rows of all extracted particles, in the order of the micrographs."""
    new = [task for task in used if task.number in results]
    is_kept = np.zeros(len(plan.rows), dtype=np.bool_)
    names: list[str] = []
    for task in new:
        result = results[task.number]
        is_kept[task.rows] = result.is_kept
        names.extend(result.image_names)
    rows = plan.rows[is_kept].assign(rlnImageName=names)
    if len(new) == len(used):
        return rows
    tables = []
    start = 0
    for task in used:
        if task.number in results:
            n_rows = len(results[task.number].image_names)
            tables.append(rows.iloc[start : start + n_rows])
            start += n_rows
        else:
            tables.append(read_star(extract_star_name(task)).table("images"))
    return pd.concat(tables)


def _make_parent(path: str) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: can not make its folder: {error.strerror}.") from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(f"WARNING: {text}\n")
    sys.stderr.flush()
