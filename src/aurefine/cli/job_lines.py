"""What `aurefine job` prints: lists of jobs, one job, the options of a type."""

from __future__ import annotations

import shlex
import textwrap
import time
from collections.abc import Iterator, Sequence

from aurefine.errors import AurefineError
from aurefine.jobs.job_command import build_command, summary_of
from aurefine.jobs.job_star import read_job_star
from aurefine.jobs.job_types import JobType, job_type_of
from aurefine.jobs.schedule import is_queued, waits_for
from aurefine.project import Job, Project

__all__ = ["job_lines", "option_lines", "show_lines"]


def job_lines(project: Project, jobs: Sequence[Job]) -> Iterator[str]:
    """Yield one line for each job."""
    if not jobs:
        yield "no jobs"
        return
    rows = [("job", "alias", "state", "started", "time")]
    for job in jobs:
        status: str = job.status
        if is_queued(job):
            cause = waits_for(project, job.name)
            status += f", waits for {cause}" if cause else ", next"
        rows.append((job.name.rstrip("/"), job.alias, status, _day(job.started), _duration(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def show_lines(project: Project, job: Job) -> Iterator[str]:
    """Yield what is known about one job."""
    settings = read_job_star(job.folder / "job.star")
    job_type = settings.job_type or job_type_of(job.type)
    yield f"{job.name}  {job_type.title if job_type else job.type}"
    if job.alias:
        yield f"  alias     {job.alias}"
    yield f"  state     {job.status}"
    if is_queued(job):
        yield f"  waits for {waits_for(project, job.name) or 'its turn'}"
    if job.started:
        yield f"  started   {_day(job.started)}"
    if _duration(job):
        yield f"  time      {_duration(job)}"
    pipeline = project.pipeline()
    for title, paths in (
        ("inputs", [node for node, name in pipeline.inputs if name == job.name]),
        ("outputs", [node for name, node in pipeline.outputs if name == job.name]),
    ):
        if paths:
            yield f"  {title}"
        for path in paths:
            missing = "" if (project.path / path).exists() else "  (does not exist)"
            yield f"    {path}{missing}"
    yield "  options"
    if settings.job_type is None:
        for key, value in settings.values.items():
            yield f"    {key} = {value}"
        return
    keys = {field.label: field.key for field in settings.job_type.fields}
    for label, value in summary_of(settings.job_type, settings.values):
        yield f"    {keys[label]:<22} {value or '(empty)':<30} {label}"
    try:
        command = build_command(
            settings.job_type,
            settings.values,
            job.name,
            is_continue=settings.is_continue,
            dialect=pipeline.dialect,
        )
    except AurefineError as error:
        yield f"  problem   {error}"
    else:
        yield "  command"
        yield f"    {command.text}"
    for name in ("run.err", "run.out"):
        file = job.folder / name
        if file.exists() and file.stat().st_size:
            yield f"  end of {shlex.quote(str(file.relative_to(project.path)))}"
            with open(file, "rb") as stream:
                stream.seek(max(file.stat().st_size - 2000, 0))
                text = stream.read().decode("utf-8", "replace").replace("\r", "\n")
            yield from (f"    {line}" for line in text.splitlines()[-5:])


def option_lines(job_type: JobType) -> Iterator[str]:
    """Yield the options of a job type, tab by tab."""
    yield f"{job_type.title}: {job_type.summary}"
    for tab in job_type.tabs:
        fields = job_type.fields_of(tab)
        if fields:
            yield f"\n{tab}"
        for field in fields:
            value = field.default or ("required" if field.is_required else "empty")
            yield f"  {field.key}  [{value}]"
            text = f"{field.label.rstrip(':')}. {field.help or field.note}"
            if field.choices:
                text += f" One of: {', '.join(field.choices)}."
            yield textwrap.fill(text, 96, initial_indent="      ", subsequent_indent="      ")


def _day(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else ""


def _duration(job: Job) -> str:
    if job.started is None or job.status == "Scheduled":
        return ""
    end = time.time() if job.finished is None else job.finished
    if job.finished is None and job.status != "Running":
        return ""
    seconds = max(int(end - job.started), 0)
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
