"""Bringing the states of jobs up to date: markers, dead processes, extra output files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from aurefine.errors import StarError
from aurefine.io.star_cells import read_cells
from aurefine.project.aliases import link_alias
from aurefine.project.pipeline import Pipeline, Process
from aurefine.project.project import Project, renamed
from aurefine.project.status import ABORT_WISH, MARKERS, is_alive, marked_status, read_run_record
from aurefine.project.types import Status, node_from_number, node_number

__all__ = ["found_status", "refresh", "touch_node"]

_EXTRA_NODES = "RELION_OUTPUT_NODES.star"
_DIED = "aurefine: error: the process of this job ended without a result; it was killed.\n"


def found_status(project: Project, process: Process) -> Status:
    """Return the state of a job as its folder shows it.

    A running job without a marker, whose process on this computer no longer exists, has failed.
    """
    if process.status != "Running":
        return process.status
    folder = project.path / process.name
    marked = marked_status(folder)
    if marked:
        return marked
    record = read_run_record(folder)
    if record is None or is_alive(record) is not False:
        return "Running"
    ending: Status = "Aborted" if (folder / ABORT_WISH).exists() else "Failed"
    return marked_status(folder) or ending  # it may just have ended


def refresh(project: Project, *, timeout: float = 60.0) -> list[str]:
    """Bring the states of running jobs up to date in the pipeline file.

    The project is only locked if something has changed.

    Parameters
    ----------
    project : Project
    timeout : float
        How long to wait for the lock [s].

    Returns
    -------
    names : list of str
        Jobs whose state has changed.

    Raises
    ------
    OutputError
        If the lock is not to be had.
    """
    processes = project.pipeline().processes.values()
    for process in processes:
        if process.alias and not os.path.lexists(project.path / process.alias.rstrip("/")):
            with contextlib.suppress(OSError):  # a link that was lost, e.g. by a copy
                if (project.path / process.name).is_dir():
                    link_alias(project.path, process.name, process.alias)
    if all(found_status(project, process) == process.status for process in processes):
        return []
    changed = []
    with project.edit("updating the states of jobs", timeout=timeout) as pipeline:
        for name, process in list(pipeline.processes.items()):
            status = found_status(project, process)
            if status == process.status:
                continue
            pipeline.processes[name] = renamed(process, status=status)
            changed.append(name)
            if status in ("Failed", "Aborted"):
                _mark_dead(project.path / name, status)
            if status == "Succeeded":
                _add_extra_nodes(project.path, pipeline, name)
        for producer, node in pipeline.outputs:
            if producer in changed and (project.path / node).exists():
                touch_node(project.path, pipeline, node)
    return changed


def touch_node(folder: Path, pipeline: Pipeline, node: str) -> None:
    """Tell RELION's file browser of a file: an empty twin of it in ``.Nodes``."""
    label = pipeline.nodes.get(node, "")
    number = node_number(label)
    kind = str(number) if pipeline.dialect == "3.1" else label.partition(".")[0]
    if not label or (pipeline.dialect == "3.1" and number is None):
        return
    if node.startswith("/") or ".." in node.split("/"):
        return
    twin = folder / ".Nodes" / kind / pipeline.with_alias(node)
    with contextlib.suppress(OSError):  # a convenience for RELION only
        twin.parent.mkdir(parents=True, exist_ok=True)
        twin.touch()


def _mark_dead(folder: Path, status: Status) -> None:
    """Leave the marker that a process that no longer exists could not leave."""
    if marked_status(folder) is None:
        marker = next(name for name, ending in MARKERS.items() if ending == status)
        with contextlib.suppress(OSError):
            if status == "Failed":
                with open(folder / "run.err", "a", encoding="utf-8") as stream:
                    stream.write(_DIED)
            (folder / marker).touch()


def _add_extra_nodes(folder: Path, pipeline: Pipeline, process: str) -> None:
    """Add the output files that a program lists itself."""
    path = folder / process / _EXTRA_NODES
    if not path.exists():
        return
    with contextlib.suppress(StarError, KeyError, ValueError):
        table = read_cells(path).table("output_nodes")
        names = table.column("rlnPipeLineNodeName")
        if "rlnPipeLineNodeTypeLabel" in table.labels:
            labels = table.column("rlnPipeLineNodeTypeLabel")
        else:
            labels = [node_from_number(int(n)) for n in table.column("rlnPipeLineNodeType")]
        for name, label in zip(names, labels, strict=True):
            pipeline.add_output(process, name, label)
