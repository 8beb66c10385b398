"""What a job leaves when it is set up or started: settings, entry in the pipeline, note."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from pathlib import Path

from aurefine.jobs.job_command import Command, job_inputs
from aurefine.jobs.job_star import write_job_star
from aurefine.jobs.job_types import JobType
from aurefine.project import Pipeline, Process, Project, Status

__all__ = [
    "append_note",
    "last_optimiser",
    "register_job",
    "use_last_iteration",
    "write_settings",
]

_ITERATION = re.compile(r"run(?:_ct\d+)?_it(\d+)_optimiser\.star")


def last_optimiser(folder: Path) -> str:
    """Return the name of the newest optimiser file of a refinement, "" if there is none."""
    numbered = [
        (path.stat().st_mtime, int(found[1]), path.name)
        for path in folder.glob("run*_it*_optimiser.star")
        if (found := _ITERATION.fullmatch(path.name))
    ]
    return max(numbered)[2] if numbered else ""


def write_settings(
    project: Project,
    name: str,
    job_type: JobType,
    values: Mapping[str, str],
    pipeline: Pipeline,
    *,
    is_continue: bool,
) -> None:
    """Write the settings of a job into its folder, and as the last ones of its type."""
    for path in (project.path / name / "job.star", project.path / job_type.settings_file):
        write_job_star(path, job_type, values, is_continue=is_continue, dialect=pipeline.dialect)


def register_job(
    pipeline: Pipeline,
    name: str,
    job_type: JobType,
    values: Mapping[str, str],
    status: Status,
    *,
    is_continue: bool,
) -> None:
    """Enter a job with its files, or only its new state if it is there already."""
    label = job_type.label + job_type.sublabel(values)
    old = pipeline.processes.get(name)
    if old is not None and not is_continue:
        pipeline.inputs = [edge for edge in pipeline.inputs if edge[1] != name]
    pipeline.processes[name] = Process(name, old.alias if old else "", label, status)
    for item in job_inputs(job_type, values, is_continue=is_continue):
        pipeline.add_input(item.path, item.type, name)
    for file, node_label in job_type.outputs(values, pipeline.dialect):
        pipeline.add_output(name, name + file, node_label)


def use_last_iteration(folder: Path, pipeline: Pipeline, name: str, optimiser: str) -> None:
    """Let the files of the last iteration stand for the results that do not exist."""
    absent = [n for p, n in pipeline.outputs if p == name and not (folder / n).exists()]
    pipeline.drop_outputs(name, absent)
    root = optimiser.removesuffix("_optimiser.star")
    for ending, label in (
        ("_data.star", "ParticleGroupMetadata.star.relion.refine3d"),
        ("_optimiser.star", "OptimiserData.star.relion.refine3d"),
        ("_half1_class001.mrc", "DensityMap.mrc.relion.halfmap.refine3d"),
    ):
        if absent and (folder / name / f"{root}{ending}").exists():
            pipeline.add_output(name, f"{name}{root}{ending}", label)


def append_note(folder: Path, command: Command, *, is_continue: bool) -> None:
    """Note in the folder of a job when it was started, and by which command."""
    what = "Continuing job" if is_continue else "Executing new job"
    text = (
        f"\n ++++ {what} on {time.ctime()}\n ++++ with the following command(s): \n"
        f"{command.text}\n ++++ \n"
    )
    with contextlib.suppress(OSError), open(folder / "note.txt", "a", encoding="utf-8") as stream:
        stream.write(text)
