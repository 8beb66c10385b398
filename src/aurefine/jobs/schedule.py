"""Jobs that start by themselves, one after the other, as soon as their inputs are ready."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aurefine.errors import AurefineError, OptionError
from aurefine.io.atomic import write_text_atomic
from aurefine.jobs.actions import mark_job, missing_inputs, run_job
from aurefine.jobs.job_star import read_job_star
from aurefine.jobs.launch import start_detached
from aurefine.project import Job, Pipeline, Project, open_project
from aurefine.project.project import find_process
from aurefine.project.refresh import refresh
from aurefine.project.status import read_run_record

__all__ = [
    "can_get_ready",
    "ensure_scheduler",
    "is_queued",
    "schedule_jobs",
    "unschedule_jobs",
    "waits_for",
]

_MARK = ".aurefine_scheduled"  # in the folder of a job: its place in the line
_LOCK = ".aurefine_scheduler"
_POLL = 1.0


def schedule_jobs(project: Project, jobs: Sequence[str]) -> list[Job]:
    """Let jobs start by themselves, in this order, as soon as their inputs are ready.

    A process of its own looks after them, one at a time; it survives the program that calls this.

    Parameters
    ----------
    project : Project
    jobs : sequence of str
        Names, numbers or aliases of jobs that are Scheduled.

    Returns
    -------
    jobs : list of Job

    Raises
    ------
    OptionError
        If a job has run already, or only RELION can run it.
    """
    pipeline = project.pipeline()
    processes = [find_process(pipeline, text) for text in jobs]
    for process in processes:
        if process.status != "Scheduled":
            raise OptionError(
                f"{process.name} is {process.status.lower()}: only a job that has not run can be "
                "scheduled. Clone it to run it again."
            )
        if read_job_star(project.path / process.name / "job.star").job_type is None:
            raise OptionError(f"{process.name}: only RELION can run a job of this type.")
    start = time.time()
    for index, process in enumerate(processes):
        write_text_atomic(project.path / process.name / _MARK, f"{start + index * 1e-3:.6f}\n")
    ensure_scheduler(project)
    return [project.job(process.name) for process in processes]


def unschedule_jobs(project: Project, jobs: Sequence[str]) -> None:
    """Take jobs out of the line; they stay set up."""
    pipeline = project.pipeline()
    for text in jobs:
        (project.path / find_process(pipeline, text).name / _MARK).unlink(missing_ok=True)


def is_queued(job: Job) -> bool:
    """Whether a job is in the line of those that start by themselves."""
    return job.status == "Scheduled" and (job.folder / _MARK).exists()


def ensure_scheduler(project: Project) -> None:
    """Start the process that looks after scheduled jobs, if there are any; one is enough."""
    if not _line(project, project.pipeline()):
        return
    words = [sys.executable, "-m", "aurefine.jobs.schedule", str(project.path)]
    with open(project.path / _LOCK, "ab") as log:
        start_detached(words, project.path, log, log)


def waits_for(project: Project, job: str) -> str:
    """Return what a job is waiting for, in words; "" if it could start.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias.
    """
    pipeline = project.pipeline()
    return _cause(project, pipeline, find_process(pipeline, job).name)[0]


def can_get_ready(project: Project, job: str) -> bool:
    """Whether a job in the line can start by itself, now or later.

    It can not if it needs the result of a job that has failed, or that nobody has started.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias.
    """
    pipeline = project.pipeline()
    line = set(_line(project, pipeline))
    name = find_process(pipeline, job).name
    seen: set[str] = set()
    while name in line and name not in seen:
        seen.add(name)
        cause, source = _cause(project, pipeline, name)
        if not cause or not source:  # it is ready, or a file from outside may still come
            return True
        if pipeline.processes[source].status == "Running":
            return True
        name = source
    return False


def _cause(project: Project, pipeline: Pipeline, name: str) -> tuple[str, str]:
    """Return what a job is waiting for in words, and the job that has to make it."""
    producer = {node: process for process, node in pipeline.outputs}
    for node, target in pipeline.inputs:
        source = producer.get(node, "")
        if target != name or not source:
            continue
        status = pipeline.processes[source].status
        if status != "Succeeded":
            return f"{source} ({status.lower()})", source
        if not (project.path / node).exists():
            return f"{node}, which {source} has not made", source
    settings = read_job_star(project.path / name / "job.star")
    if settings.job_type is not None:
        absent = missing_inputs(project, settings.job_type, settings.values)
        if absent:
            return absent[0], ""
    return "", ""


def _line(project: Project, pipeline: Pipeline) -> list[str]:
    """Return the jobs in the line, first come first."""
    found = []
    for name, process in pipeline.processes.items():
        if process.status == "Scheduled":
            with contextlib.suppress(OSError, ValueError):
                found.append((float((project.path / name / _MARK).read_text()), name))
    return [name for _, name in sorted(found)]


def _is_busy(project: Project) -> bool:
    """Whether a job of the line runs on this computer; tidies up after those that have ended."""
    busy = False
    for name, process in project.pipeline().processes.items():
        mark = project.path / name / _MARK
        if process.status == "Scheduled" or not mark.exists():
            continue
        record = read_run_record(project.path / name)
        if process.status == "Running" and not (record and record.queue_id):
            busy = True
        else:
            mark.unlink(missing_ok=True)
    return busy


def _start_next(project: Project) -> bool:
    """Start the first job of the line that is ready; return whether any is left in the line."""
    line = _line(project, project.pipeline())
    for name in line:
        if waits_for(project, name):
            continue
        try:
            run_job(project, name)
        except AurefineError as error:
            (project.path / name / _MARK).unlink(missing_ok=True)
            with contextlib.suppress(OSError), open(project.path / name / "run.err", "a") as stream:
                stream.write(f"aurefine: error: {error}\n")
            if project.job(name).status == "Scheduled":
                mark_job(project, name, "Failed")
        return True
    return bool(line)


def run_scheduler(path: Path) -> None:
    """Look after the scheduled jobs of a project until none can get ready any more."""
    project = open_project(path)
    while project.pipeline_path.exists() and _line(project, project.pipeline()):
        with open(project.path / _LOCK, "a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another one does it
            while project.pipeline_path.exists():  # the folder may be removed
                with contextlib.suppress(AurefineError):  # e.g. a lock that is held for long
                    refresh(project)
                    if not _is_busy(project) and not _start_next(project):
                        break
                    line = _line(project, project.pipeline())
                    if not _is_busy(project) and not any(
                        can_get_ready(project, name) for name in line
                    ):
                        return
                time.sleep(_POLL)
        # a job may have come into the line while the lock was being given back


if __name__ == "__main__":
    os.umask(0o022)
    run_scheduler(Path(sys.argv[1]))
