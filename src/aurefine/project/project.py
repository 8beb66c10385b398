"""A project folder: its jobs, their files, and changes that many processes may make at once."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from aurefine.errors import OptionError, OutputError
from aurefine.project.lock import project_lock
from aurefine.project.pipeline import Pipeline, Process, read_pipeline, write_pipeline
from aurefine.project.status import MARKERS, read_run_record
from aurefine.project.types import Dialect, Status, node_kind

__all__ = ["PIPELINE_FILE", "Edge", "Job", "Node", "Project", "init_project", "open_project"]

PIPELINE_FILE = "default_pipeline.star"
_CHANGED = ".pipeline_has_changed"
_NUMBER = re.compile(r"[A-Za-z0-9_.-]+/job(\d{3,})/")


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a project.

    Attributes
    ----------
    name : str
        ``Refine3D/job012/``.
    number : int
    kind : str
        Folder of its type, e.g. ``Refine3D``.
    alias : str
        ``first3dref``, or "".
    type : str
        RELION 5's label, e.g. ``relion.refine3d``.
    status : str
        Running, Scheduled, Succeeded, Failed or Aborted.
    folder : Path
        Absolute.
    created : float or None
        When its settings were last written [s since 1970].
    started, finished : float or None
        When it started and ended [s since 1970]; None if unknown or not yet.
    """

    name: str
    number: int
    kind: str
    alias: str
    type: str
    status: Status
    folder: Path
    created: float | None
    started: float | None
    finished: float | None

    @property
    def title(self) -> str:
        """The alias if there is one, else the number as RELION shows it (``job012``)."""
        return self.alias or self.name.split("/")[1]


@dataclass(frozen=True, slots=True)
class Node:
    """One file that jobs make or take.

    Attributes
    ----------
    path : str
        From the project folder, with the name of the job.
    shown : str
        The same with the alias of the job, if it has one.
    type : str
        RELION 5's label.
    kind : str
        particles, map, halfmap, mask, micrographs, coordinates, postprocessed, optimiser, ...
    job : str
        Name of the job that makes it, "" for a file from outside.
    exists : bool
    """

    path: str
    shown: str
    type: str
    kind: str
    job: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A file that goes from one job into another; `source` is "" for files from outside."""

    source: str
    node: str
    target: str


class Project:
    """A project folder with its pipeline file.

    Reading is cheap: the file is parsed again only after it has changed.  Changes go through
    `edit`, which locks the project.
    """

    def __init__(self, path: Path) -> None:
        """Open a folder that holds a pipeline file."""
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._pipeline = Pipeline()
        self._jobs: dict[Process, tuple[int, Job]] = {}  # with the time of change of the folder

    @property
    def pipeline_path(self) -> Path:
        """The pipeline file."""
        return self.path / PIPELINE_FILE

    def pipeline(self) -> Pipeline:
        """Return the current state of the pipeline file; not to be changed by the caller."""
        try:
            found = self.pipeline_path.stat()
        except FileNotFoundError:
            return read_pipeline(self.pipeline_path)  # says what is missing
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._pipeline = read_pipeline(self.pipeline_path)
            self._stamp = stamp
        return self._pipeline

    @contextlib.contextmanager
    def edit(self, reason: str, *, timeout: float = 60.0) -> Iterator[Pipeline]:
        """Lock the project, give its pipeline to be changed, and write it at the end.

        Nothing is written if the block raises.

        Parameters
        ----------
        reason : str
            For others that find the lock.
        timeout : float
            How long to wait for the lock [s].

        Yields
        ------
        pipeline : Pipeline

        Raises
        ------
        OutputError
            If the lock is not to be had, or the file can not be written.
        """
        with project_lock(self.path, reason, timeout=timeout):
            for rest in self.path.glob(f"{PIPELINE_FILE}.tmp-*"):  # of a process that was killed
                rest.unlink(missing_ok=True)
            pipeline = read_pipeline(self.pipeline_path)
            yield pipeline
            write_pipeline(self.pipeline_path, pipeline)
            (self.path / _CHANGED).touch()

    def jobs(self) -> list[Job]:
        """Return all jobs in the order of the pipeline file."""
        return [self._job(process) for process in self.pipeline().processes.values()]

    def job(self, text: str) -> Job:
        """Return one job by name, number or alias.

        Parameters
        ----------
        text : str
            ``Refine3D/job012/``, ``job012``, ``12``, ``first3dref`` or ``Refine3D/first3dref``.

        Raises
        ------
        OptionError
            If there is no such job, or an alias belongs to several types of jobs.
        """
        return self._job(find_process(self.pipeline(), text))

    def nodes(self, *kinds: str) -> list[Node]:
        """Return files that jobs make or take, newest job first.

        Parameters
        ----------
        *kinds : str
            Only those of these kinds (``particles``, ``map``, ``halfmap``, ``mask``, ...).
        """
        pipeline = self.pipeline()
        producer = {node: process for process, node in pipeline.outputs}
        found = []
        for path, label in pipeline.nodes.items():
            kind = node_kind(label)
            if kinds and kind not in kinds:
                continue
            exists = (self.path / path).exists()
            shown = pipeline.with_alias(path)
            found.append(Node(path, shown, label, kind, producer.get(path, ""), exists))
        return sorted(found, key=lambda node: -job_number(node.job))

    def edges(self) -> list[Edge]:
        """Return what goes from which job into which other one."""
        pipeline = self.pipeline()
        producer = {node: process for process, node in pipeline.outputs}
        return [Edge(producer.get(node, ""), node, target) for node, target in pipeline.inputs]

    def _job(self, process: Process) -> Job:
        folder = self.path / process.name
        try:
            changed = folder.stat().st_mtime_ns  # moves with every file that comes or goes
        except OSError:
            changed = 0
        known = self._jobs.get(process)
        if known is None or known[0] != changed or process.status == "Running":
            known = self._jobs[process] = (changed, self._read_job(process, folder))
        return known[1]

    def _read_job(self, process: Process, folder: Path) -> Job:
        started = finished = None
        record = None
        if process.status != "Scheduled":
            record = read_run_record(folder)
            started = record.started if record else _time_of(folder / "note.txt")
        if process.status not in ("Scheduled", "Running"):
            times = [_time_of(folder / name) for name in MARKERS]
            finished = max((time for time in times if time is not None), default=None)
        alias = process.alias.split("/")[1] if process.alias.count("/") == 2 else ""
        return Job(
            name=process.name,
            number=job_number(process.name),
            kind=process.name.split("/")[0],
            alias=alias,
            type=process.type,
            status=process.status,
            folder=folder,
            created=_time_of(folder / "job.star"),
            started=started,
            finished=finished,
        )


def open_project(path: str | os.PathLike[str] = ".") -> Project:
    """Open a project folder, of RELION or of aurefine.

    Parameters
    ----------
    path : path-like
        The folder with ``default_pipeline.star``.

    Returns
    -------
    project : Project

    Raises
    ------
    StarError
        If the folder is not a project, or its pipeline file is damaged.
    """
    project = Project(Path(path).resolve())
    project.pipeline()
    return project


def init_project(path: str | os.PathLike[str] = ".", *, dialect: Dialect = "3.1") -> Project:
    """Make a folder a project; a folder that is one already stays as it is.

    Parameters
    ----------
    path : path-like
        Made if it is missing.
    dialect : str
        Version of RELION that must be able to open the project: 3.1 (also read by RELION 4 and
        5), or 5.0 (not read by RELION 3.1).

    Returns
    -------
    project : Project

    Raises
    ------
    OutputError
        If the folder can not be made or written to.
    """
    folder = Path(path).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can not make the folder: {error.strerror}.") from None
    with project_lock(folder, "making a project"):
        if not (folder / PIPELINE_FILE).exists():
            write_pipeline(folder / PIPELINE_FILE, Pipeline(dialect=dialect))
    return open_project(folder)


def job_number(name: str) -> int:
    """Return the number in the name of a job, 0 if it has none."""
    found = _NUMBER.fullmatch(name)
    return int(found[1]) if found else 0


def find_process(pipeline: Pipeline, text: str) -> Process:
    """Return a job by name, number or alias; see `Project.job`."""
    wanted = text.strip().strip("/")
    found = [
        process
        for process in pipeline.processes.values()
        if wanted in _names_of(process)
        or (wanted.isdigit() and int(wanted) == job_number(process.name))
    ]
    if not found:
        raise OptionError(
            f"there is no job '{text}' in this project; 'aurefine job list' shows all jobs."
        )
    if len(found) > 1:
        names = ", ".join(process.name for process in found)
        raise OptionError(f"'{text}' is the alias of several jobs ({names}): give the full name.")
    return found[0]


def _names_of(process: Process) -> tuple[str, ...]:
    name, alias = process.name.rstrip("/"), process.alias.rstrip("/")
    return (name, name.partition("/")[2], *((alias, alias.partition("/")[2]) if alias else ()))


def renamed(process: Process, *, alias: str | None = None, status: Status | None = None) -> Process:
    """Return a process with another alias or status."""
    return replace(
        process,
        alias=process.alias if alias is None else alias,
        status=process.status if status is None else status,
    )


def _time_of(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
