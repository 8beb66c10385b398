"""What can be done with the jobs of a project: make, run, continue, alias, abort, clone, mark."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping

from aurefine.errors import AurefineError, OptionError, OutputError
from aurefine.jobs.job_command import build_command, job_inputs
from aurefine.jobs.job_entry import (
    append_note,
    last_optimiser,
    register_job,
    use_last_iteration,
    write_settings,
)
from aurefine.jobs.job_star import JobSettings, read_job_star
from aurefine.jobs.job_types import JobType
from aurefine.jobs.launch import start_here
from aurefine.jobs.running_table import mpi_limit
from aurefine.jobs.submit_job import hand_to_queue, leave_queue
from aurefine.project import Job, Project, Status, write_pipeline
from aurefine.project.aliases import checked_alias, link_alias, unlink_alias
from aurefine.project.project import find_process, renamed
from aurefine.project.refresh import touch_node
from aurefine.project.status import (
    ABORT_WISH,
    MARKERS,
    clear_markers,
    is_alive,
    living_processes,
    read_run_record,
    write_run_record,
)

__all__ = [
    "abort_job",
    "clone_job",
    "continue_job",
    "create_job",
    "job_settings",
    "mark_job",
    "missing_inputs",
    "run_job",
    "set_alias",
]


def create_job(
    project: Project,
    job_type: JobType,
    values: Mapping[str, str] | None = None,
    *,
    alias: str = "",
) -> Job:
    """Add a job to a project, set up but not started (status Scheduled).

    Parameters
    ----------
    project : Project
    job_type : JobType
    values : mapping of str to str
        By key of the form; what is missing has its default.
    alias : str
        E.g. ``first3dref``.

    Returns
    -------
    job : Job

    Raises
    ------
    OptionError
        If a value is missing or makes no sense, or the alias is not allowed; nothing is written.
    OutputError
        If the project is locked or not writable.
    """
    dialect = project.pipeline().dialect
    full = {**job_type.defaults(dialect), **(values or {})}
    build_command(job_type, full, f"{job_type.folder}/job000/", dialect=dialect)
    with project.edit(f"adding a job: {job_type.title}") as pipeline:
        name = f"{job_type.folder}/job{pipeline.counter:03d}/"
        checked = checked_alias(pipeline, project.path, name, alias)
        folder = project.path / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: can not be made: {error.strerror}.") from None
        clear_markers(folder)
        write_settings(project, name, job_type, full, pipeline, is_continue=False)
        register_job(pipeline, name, job_type, full, "Scheduled", is_continue=False)
        pipeline.counter += 1
        if checked:
            link_alias(project.path, name, checked)
            pipeline.processes[name] = renamed(pipeline.processes[name], alias=checked)
        for process, node in pipeline.outputs:
            if process == name:
                touch_node(project.path, pipeline, node)
    return project.job(name)


def run_job(
    project: Project,
    job: str,
    values: Mapping[str, str] | None = None,
    *,
    is_continue: bool | None = None,
) -> Job:
    """Start a job that was set up before, on this computer or through a queue.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias.
    values : mapping of str to str
        Changes of its settings.
    is_continue : bool, optional
        Whether it goes on from what is there; by default as its settings say.

    Returns
    -------
    job : Job
        Running.

    Raises
    ------
    OptionError
        If it is running, a setting makes no sense, or an input file is missing.
    OutputError
        If it can not be started.
    """
    name = find_process(project.pipeline(), job).name
    settings, job_type = _own_settings(project, name)
    continues = settings.is_continue if is_continue is None else is_continue
    full = {**settings.values, **(values or {})}
    dialect = project.pipeline().dialect
    command = build_command(
        job_type, full, name, is_continue=continues, dialect=dialect, changed=values or ()
    )
    if not full["do_queue"] == "Yes" and command.n_processes > mpi_limit():
        raise OptionError(
            f"{command.n_processes} MPI processes on this computer are more than "
            f"{mpi_limit()}: submit the job to a queue."
        )
    missing = missing_inputs(project, job_type, full, is_continue=continues)
    if missing:
        raise OptionError(f"{name}: {missing[0]}")
    with project.edit(f"starting {name}") as pipeline:
        process = pipeline.processes.get(name)
        if process is None:
            raise OptionError(f"{name} was deleted meanwhile.")
        if process.status == "Running":
            raise OptionError(f"{name} is running already.")
        write_run_record(project.path / name, os.getpid())  # until the job has its own process
        clear_markers(project.path / name)
        write_settings(project, name, job_type, full, pipeline, is_continue=continues)
        register_job(pipeline, name, job_type, full, "Running", is_continue=continues)
        write_pipeline(project.path / name / "job_pipeline.star", pipeline.part([name]))
    append_note(project.path / name, command, is_continue=continues)
    try:
        if full["do_queue"] == "Yes":
            hand_to_queue(project.path, name, command, full)
        else:
            start_here(project.path, name, command)
    except AurefineError as error:
        with contextlib.suppress(OSError), open(project.path / name / "run.err", "a") as stream:
            stream.write(f"aurefine: error: {error}\n")
        mark_job(project, name, "Failed")
        raise
    with contextlib.suppress(OSError):  # a backup, as RELION leaves it
        text = project.pipeline_path.read_bytes()
        (project.path / name / "default_pipeline.star").write_bytes(text)
    return project.job(name)


def continue_job(project: Project, job: str, values: Mapping[str, str] | None = None) -> Job:
    """Go on with a job that has ended.

    A refinement goes on from its last complete iteration, unless `values` name another one
    (``fn_cont``); an extraction works on what is not done yet.

    Parameters
    ----------
    project : Project
    job : str
    values : mapping of str to str
        Changes of its settings.

    Returns
    -------
    job : Job

    Raises
    ------
    OptionError
        If it is running, was never started, or has no complete iteration.
    """
    process = find_process(project.pipeline(), job)
    if process.status == "Scheduled":
        raise OptionError(f"{process.name} has not run yet: run it instead.")
    _, job_type = _own_settings(project, process.name)
    changes = dict(values or {})
    if job_type.name == "refine3d" and not changes.get("fn_cont"):
        optimiser = last_optimiser(project.path / process.name)
        if not optimiser:
            raise OptionError(
                f"{process.name} has no complete iteration to go on from: run it again."
            )
        changes["fn_cont"] = process.name + optimiser
    return run_job(project, process.name, changes, is_continue=True)


def clone_job(
    project: Project, job: str, changes: Mapping[str, str] | None = None, *, alias: str = ""
) -> Job:
    """Add a new job with the settings of another one.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias of the old one.
    changes : mapping of str to str
    alias : str
        Of the new one.

    Returns
    -------
    job : Job
        Scheduled.
    """
    name = find_process(project.pipeline(), job).name
    settings, job_type = _own_settings(project, name)
    values = {**settings.values, **(changes or {})}
    if "fn_cont" in values and not (changes and "fn_cont" in changes):
        values["fn_cont"] = ""
    return create_job(project, job_type, values, alias=alias)


def set_alias(project: Project, job: str, alias: str) -> Job:
    """Give a job another alias; "" removes it.

    Raises
    ------
    OptionError
        If the alias is not allowed.
    """
    with project.edit("changing an alias") as pipeline:
        process = find_process(pipeline, job)
        checked = checked_alias(pipeline, project.path, process.name, alias)
        if checked != process.alias:
            if checked:
                link_alias(project.path, process.name, checked)
            unlink_alias(project.path, process.alias)
        pipeline.processes[process.name] = renamed(process, alias=checked)
    return project.job(process.name)


def abort_job(project: Project, job: str) -> Job:
    """Ask a running job to stop: by its marker file, and its process by SIGTERM.

    The job is marked as aborted as soon as it has stopped.

    Raises
    ------
    OptionError
        If it is not running.
    """
    process = find_process(project.pipeline(), job)
    folder = project.path / process.name
    if process.status != "Running":
        raise OptionError(f"{process.name} is not running (it is {process.status.lower()}).")
    try:
        (folder / ABORT_WISH).touch()
    except OSError as error:
        raise OutputError(f"{folder / ABORT_WISH}: can not be made: {error.strerror}.") from None
    record = read_run_record(folder)
    for pid in living_processes(record)[:1] if record else ():
        if pid != os.getpid():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
    if record and record.queue_id and leave_queue(project.path, record.queue_id):
        mark_job(project, process.name, "Aborted")  # it will never start
    return project.job(process.name)


def mark_job(project: Project, job: str, status: Status) -> Job:
    """Set the state of a job by hand, e.g. of one whose computer has crashed.

    Parameters
    ----------
    project : Project
    job : str
    status : str
        Succeeded, Failed or Aborted.

    Raises
    ------
    OptionError
        If its process is still alive, or a refinement without an iteration is marked as finished.
    """
    process = find_process(project.pipeline(), job)
    folder = project.path / process.name
    markers = {state: marker for marker, state in MARKERS.items()}
    if status not in markers:
        raise OptionError(f"a job can be marked as {', '.join(markers)}, not as {status}.")
    record = read_run_record(folder)
    is_busy = record is not None and record.pid != os.getpid() and is_alive(record)
    if process.status == "Running" and is_busy:
        raise OptionError(f"{process.name} is running; abort it instead.")
    last = last_optimiser(folder)
    is_refinement = process.name.startswith("Refine3D/")
    if status == "Succeeded" and is_refinement and not last:
        raise OptionError(
            f"{process.name} has no complete iteration: it can not count as finished."
        )
    clear_markers(folder)
    with contextlib.suppress(OSError):
        (folder / markers[status]).touch()
    with project.edit(f"marking {process.name}") as pipeline:
        current = pipeline.processes[process.name]
        pipeline.processes[process.name] = renamed(current, status=status)
        if status == "Succeeded" and is_refinement:
            use_last_iteration(project.path, pipeline, process.name, last)
    return project.job(process.name)


def job_settings(project: Project, job: str) -> JobSettings:
    """Return the settings of a job, also of types that only RELION can run.

    Raises
    ------
    StarError
        If its ``job.star`` is missing or damaged.
    """
    return read_job_star(project.job(job).folder / "job.star")


def missing_inputs(
    project: Project, job_type: JobType, values: Mapping[str, str], *, is_continue: bool = False
) -> list[str]:
    """Return one sentence for each input file that does not exist."""
    found = []
    for item in job_inputs(job_type, values, is_continue=is_continue):
        if not (project.path / item.path).exists():
            label = job_type.field_by_key[item.key].label.rstrip(":")
            found.append(f"{label}: there is no file '{item.path}'.")
    if is_continue and job_type.name == "refine3d":
        name = values["fn_cont"].strip()
        if not (project.path / name).exists():
            found.append(f"Continue from here: there is no file '{name}'.")
    return found


def _own_settings(project: Project, name: str) -> tuple[JobSettings, JobType]:
    settings = read_job_star(project.path / name / "job.star")
    if settings.job_type is None:
        raise OptionError(
            f"{name} is a job of the type {settings.type}, which only RELION can run."
        )
    return settings, settings.job_type
