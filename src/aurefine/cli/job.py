"""`aurefine job`: set up, run and follow the jobs of a project."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from aurefine.cli.job_lines import job_lines, option_lines, show_lines
from aurefine.cli.parser import OptionParser
from aurefine.errors import OptionError, OutputError
from aurefine.jobs.actions import (
    abort_job,
    clone_job,
    continue_job,
    create_job,
    mark_job,
    run_job,
    set_alias,
)
from aurefine.jobs.clean import clean_job
from aurefine.jobs.job_star import read_job_star
from aurefine.jobs.job_types import JOB_TYPES, JobType, find_job_type
from aurefine.jobs.schedule import can_get_ready, schedule_jobs, unschedule_jobs, waits_for
from aurefine.project import Job, Project, open_project
from aurefine.project.refresh import refresh
from aurefine.project.trash import delete_jobs, undelete_job

__all__ = ["run"]

_POLL = 0.2
_PATIENCE = 2.0  # seconds for a lock, when states are only shown
_EXAMPLES = """examples:
  aurefine job new import --set do_raw=No do_other=Yes fn_in_other=ref.mrc \\
      node_type='3D reference (.mrc)' --run
  aurefine job options refine3d         all options of a job type: keys, defaults, help
  aurefine job new refine3d --set fn_img=Extract/big/particles.star fn_ref=ref.mrc \\
      sym_name=D2 ini_high=50 --alias first3dref --run --wait
  aurefine job new maskcreate --set fn_in=Refine3D/first3dref/run_class001.mrc
  aurefine job schedule 12 13           start 12, then 13, when their inputs are ready
  aurefine job list
  aurefine job show first3dref
  aurefine job continue first3dref --set particle_diameter=180
  aurefine job abort 12
  aurefine job clone 12 --set sym_name=C1
  aurefine job delete 12 --children     to Trash/; 'aurefine job undelete' brings it back

A JOB is a number (12), a name (Refine3D/job012) or an alias (first3dref).
"""


def run(argv: Sequence[str]) -> int:
    """Run one of the actions on jobs and return the exit code."""
    parser = _parser()
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    given = parser.parse_args(argv)
    if given.action is None:
        raise OptionError("aurefine job: name an action; 'aurefine job --help' lists them.")
    action: Callable[[argparse.Namespace], int] = given.function
    return action(given)


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="aurefine job",
        description="Set up, run and follow the jobs of a project.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=OptionParser)

    def add(
        name: str, help_text: str, function: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=help_text, description=f"{help_text.capitalize()}.")
        sub.set_defaults(function=function)
        sub.add_argument("--project", default=".", metavar="DIR", help="project folder [.]")
        return sub

    def changes(sub: argparse.ArgumentParser, *, waits: bool = True) -> None:
        sub.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
            help="options of the job, by RELION's variable, label, or flag",
        )  # fmt: skip
        if waits:
            sub.add_argument("--wait", action="store_true", help="return when the job has ended")

    new = add("new", "set up a new job", _new)
    new.add_argument("type", metavar="TYPE", help=", ".join(JOB_TYPES))
    new.add_argument("--from", dest="star", metavar="FILE", help="take the options of a job.star")
    new.add_argument("--alias", default="", metavar="NAME", help="alias of the job")
    new.add_argument("--run", action="store_true", help="start it at once")
    changes(new)
    for name, text, function in (
        ("run", "start a job that is set up", _run),
        ("continue", "go on with a job that has ended", _continue),
    ):
        sub = add(name, text, function)
        sub.add_argument("job", metavar="JOB")
        changes(sub)
    clone = add("clone", "set up a new job with the options of another one", _clone)
    clone.add_argument("job", metavar="JOB")
    clone.add_argument("--alias", default="", metavar="NAME", help="alias of the new job")
    clone.add_argument("--run", action="store_true", help="start it at once")
    changes(clone)
    line = add("schedule", "start jobs in this order as soon as their inputs are ready", _schedule)
    line.add_argument("jobs", nargs="+", metavar="JOB")
    line.add_argument("--wait", action="store_true", help="return when all have ended")
    line.add_argument("--cancel", action="store_true", help="take the jobs out of the line")
    alias = add("alias", "give a job a name; without a name: take it away", _alias)
    alias.add_argument("job", metavar="JOB")
    alias.add_argument("alias", nargs="?", default="", metavar="NAME")
    listing = add("list", "list all jobs", _list)
    listing.add_argument("--status", default="", help="only those in this state")
    show = add("show", "show a job: state, options, files, command", _show)
    show.add_argument("job", metavar="JOB")
    abort = add("abort", "stop a running job", _abort)
    abort.add_argument("job", metavar="JOB")
    abort.add_argument("--wait", action="store_true", help="return when it has stopped")
    delete = add("delete", "move jobs to the trash", _delete)
    delete.add_argument("jobs", nargs="+", metavar="JOB")
    delete.add_argument("--children", action="store_true", help="and jobs that use their results")
    back = add("undelete", "bring a job back from the trash", _undelete)
    back.add_argument("job", metavar="NAME", help="e.g. Refine3D/job012")
    clean = add("clean", "move files that are not needed any more to the trash", _clean)
    clean.add_argument("job", metavar="JOB")
    clean.add_argument("--harsh", action="store_true", help="also particle stacks of an extraction")
    mark = add("mark", "set the state of a job by hand, e.g. after a crash", _mark)
    mark.add_argument("job", metavar="JOB")
    mark.add_argument("status", choices=("finished", "failed", "aborted"))
    options = add("options", "list the options of a job type", _options)
    options.add_argument("type", metavar="TYPE", help=", ".join(JOB_TYPES))
    return parser


def _open(given: argparse.Namespace) -> Project:
    project = open_project(given.project)
    with contextlib.suppress(OutputError):  # of somebody else, or locked: shown as it is
        refresh(project, timeout=_PATIENCE)
    return project


def _new(given: argparse.Namespace) -> int:
    project = _open(given)
    job_type = find_job_type(given.type)
    values: dict[str, str] = {}
    if given.star:
        settings = read_job_star(given.star)
        if settings.job_type is not job_type:
            raise OptionError(
                f"{given.star}: is of the type {settings.type}, not {job_type.title}."
            )
        values = settings.values
    values |= _changes(job_type, given.set)
    job = create_job(project, job_type, values, alias=given.alias)
    if given.run or given.wait:
        job = run_job(project, job.name)
    return _report(project, job, given.wait)


def _run(given: argparse.Namespace) -> int:
    project = _open(given)
    job = run_job(project, given.job, _changes_of(project, given))
    return _report(project, job, given.wait)


def _continue(given: argparse.Namespace) -> int:
    project = _open(given)
    job = continue_job(project, given.job, _changes_of(project, given))
    return _report(project, job, given.wait)


def _clone(given: argparse.Namespace) -> int:
    project = _open(given)
    job = clone_job(project, given.job, _changes_of(project, given), alias=given.alias)
    if given.run or given.wait:
        job = run_job(project, job.name)
    return _report(project, job, given.wait)


def _schedule(given: argparse.Namespace) -> int:
    project = _open(given)
    if given.cancel:
        unschedule_jobs(project, given.jobs)
        return 0
    jobs = schedule_jobs(project, given.jobs)
    codes = [_report(project, job, given.wait) for job in jobs]
    return max(codes)


def _alias(given: argparse.Namespace) -> int:
    job = set_alias(_open(given), given.job, given.alias)
    sys.stdout.write(f"{job.name} {job.alias or 'has no alias'}\n")
    return 0


def _list(given: argparse.Namespace) -> int:
    project = _open(given)
    wanted = given.status.lower()
    jobs = [job for job in project.jobs() if job.status.lower().startswith(wanted)]
    _write(job_lines(project, jobs))
    return 0


def _show(given: argparse.Namespace) -> int:
    project = _open(given)
    _write(show_lines(project, project.job(given.job)))
    return 0


def _abort(given: argparse.Namespace) -> int:
    project = _open(given)
    job = abort_job(project, given.job)
    if given.wait:
        job = _wait(project, job)
    sys.stdout.write(f"{job.name} {job.status if given.wait else 'is asked to stop'}\n")
    return 0


def _delete(given: argparse.Namespace) -> int:
    names = delete_jobs(_open(given), given.jobs, with_children=given.children)
    _write(f"{name} is in Trash/" for name in names)
    return 0


def _undelete(given: argparse.Namespace) -> int:
    _write(f"{name} is back" for name in undelete_job(_open(given), given.job))
    return 0


def _clean(given: argparse.Namespace) -> int:
    names = clean_job(_open(given), given.job, harsh=given.harsh)
    sys.stdout.write(f"{len(names)} files and folders are in Trash/\n")
    return 0


def _mark(given: argparse.Namespace) -> int:
    status = {"finished": "Succeeded", "failed": "Failed", "aborted": "Aborted"}[given.status]
    job = mark_job(_open(given), given.job, status)  # type: ignore[arg-type]
    sys.stdout.write(f"{job.name} {job.status}\n")
    return 0


def _options(given: argparse.Namespace) -> int:
    _write(option_lines(find_job_type(given.type)))
    return 0


def _changes_of(project: Project, given: argparse.Namespace) -> dict[str, str]:
    settings = read_job_star(project.job(given.job).folder / "job.star")
    if settings.job_type is None:
        raise OptionError(f"{given.job}: only RELION can run a job of the type {settings.type}.")
    return _changes(settings.job_type, given.set)


def _changes(job_type: JobType, words: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark:
            raise OptionError(f"option --set: found '{word}', expected KEY=VALUE.")
        field = job_type.find_field(name)
        if field.kind == "bool" and value.lower() in ("yes", "no", "true", "false", "1", "0"):
            value = "Yes" if value.lower() in ("yes", "true", "1") else "No"
        found[field.key] = value
    return found


def _report(project: Project, job: Job, waits: bool) -> int:
    if waits:
        job = _wait(project, job)
    sys.stdout.write(f"{job.name} {job.status}\n")
    return 0 if not waits or job.status == "Succeeded" else 1


def _wait(project: Project, job: Job) -> Job:
    while job.status in ("Running", "Scheduled"):
        if job.status == "Scheduled" and not can_get_ready(project, job.name):
            job = project.job(job.name)  # it may just have started
            if job.status == "Scheduled":
                cause = waits_for(project, job.name) or "somebody to run it"
                raise OptionError(f"{job.name} waits for {cause}, which will not come by itself.")
        time.sleep(_POLL)
        with contextlib.suppress(OutputError):  # locked for long: try again
            refresh(project)
        job = project.job(job.name)
    return job


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
