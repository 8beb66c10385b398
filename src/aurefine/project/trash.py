"""Deleting jobs to the trash, and bringing them back."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from aurefine.errors import OptionError, OutputError
from aurefine.project.aliases import checked_alias, link_alias, unlink_alias
from aurefine.project.pipeline import Pipeline, read_pipeline, write_pipeline
from aurefine.project.project import Project, find_process, renamed

__all__ = ["TRASH", "children_of", "delete_jobs", "move_to_trash", "undelete_job"]

TRASH = "Trash"
_DELETED = "deleted_pipeline.star"


def children_of(pipeline: Pipeline, names: Sequence[str]) -> list[str]:
    """Return jobs and all jobs that use their results, directly or not, in file order."""
    wanted = set(names)
    while True:
        files = {node for process, node in pipeline.outputs if process in wanted}
        more = {process for node, process in pipeline.inputs if node in files} - wanted
        if not more:
            return [name for name in pipeline.processes if name in wanted]
        wanted |= more


def delete_jobs(project: Project, jobs: Sequence[str], *, with_children: bool = False) -> list[str]:
    """Move jobs to the trash.

    Parameters
    ----------
    project : Project
    jobs : sequence of str
        Names, numbers or aliases.
    with_children : bool
        Also the jobs that use their results.

    Returns
    -------
    names : list of str
        Jobs that were deleted.

    Raises
    ------
    OptionError
        If a job does not exist or is running.
    OutputError
        If a folder can not be moved.
    """
    with project.edit("deleting jobs") as pipeline:
        names = [find_process(pipeline, text).name for text in jobs]
        if with_children:
            names = children_of(pipeline, names)
        running = [name for name in names if pipeline.processes[name].status == "Running"]
        if running:
            raise OptionError(f"{running[0]} is running; abort it before it is deleted.")
        part = pipeline.part(names)
        if names and (project.path / names[0]).is_dir():
            write_pipeline(project.path / names[0] / _DELETED, part)
        for name in names:
            _forget_twins(project.path, pipeline, name)
            pipeline.drop_edges(name)
            unlink_alias(project.path, pipeline.processes.pop(name).alias)
    for name in names:  # now that nothing refers to them
        if (project.path / name).is_dir():
            move_to_trash(project.path, name.rstrip("/"))
    return names


def undelete_job(project: Project, name: str) -> list[str]:
    """Bring a job back from the trash, together with those that were deleted with it.

    Parameters
    ----------
    project : Project
    name : str
        ``Refine3D/job012``; the first one of those that were deleted together.

    Returns
    -------
    names : list of str
        Jobs that are back.

    Raises
    ------
    OptionError
        If it is not in the trash, or its place is taken.
    OutputError
        If a folder can not be moved.
    """
    path = project.path / TRASH / name.strip("/") / _DELETED
    if ".." in name.split("/") or not path.exists():
        raise OptionError(f"{TRASH}/{name.strip('/')}: there is no deleted job of that name.")
    part = read_pipeline(path)
    with project.edit("bringing jobs back") as pipeline:
        for job in part.processes:
            if job in pipeline.processes or (project.path / job).exists():
                raise OptionError(f"{job} exists already; delete it before the old one comes back.")
            if not (project.path / TRASH / job).is_dir():
                raise OptionError(f"{TRASH}/{job} is gone: the job can not be brought back.")
        for job, process in part.processes.items():
            target = project.path / job
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(project.path / TRASH / job, target)
            except OSError as error:
                raise OutputError(f"{target}: can not be brought back: {error.strerror}.") from None
            pipeline.processes[job] = renamed(process, alias="")
            with contextlib.suppress(OptionError, OutputError):  # the alias may be taken by now
                alias = checked_alias(pipeline, project.path, job, process.alias)
                if alias:
                    link_alias(project.path, job, alias)
                    pipeline.processes[job] = renamed(process, alias=alias)
        for node, label in part.nodes.items():
            pipeline.nodes.setdefault(node, label)
        pipeline.outputs += [edge for edge in part.outputs if edge not in pipeline.outputs]
        pipeline.inputs += [
            edge
            for edge in part.inputs
            if edge not in pipeline.inputs and edge[0] in pipeline.nodes
        ]
        (project.path / next(iter(part.processes)) / _DELETED).unlink(missing_ok=True)
    return list(part.processes)


def move_to_trash(folder: Path, name: str) -> Path:
    """Move a file or folder of the project to the same place in the trash.

    Parameters
    ----------
    folder : Path
        The project.
    name : str
        From the project folder; what the trash holds under that name already is replaced.

    Returns
    -------
    path : Path
        Where it is now.

    Raises
    ------
    OutputError
        If it can not be moved.
    """
    target = folder / TRASH / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.rename(folder / name, target)
    except OSError as error:
        raise OutputError(f"{folder / name}: can not be moved: {error.strerror}.") from None
    return target


def _forget_twins(folder: Path, pipeline: Pipeline, process: str) -> None:
    """Remove what RELION's file browser knows of a job."""
    names = {process, pipeline.processes[process].alias} - {""}
    for kind in (folder / ".Nodes").glob("*"):
        for name in names:
            shutil.rmtree(kind / name, ignore_errors=True)
