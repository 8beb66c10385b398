"""Jobs of the project: lists, forms, actions."""

from __future__ import annotations

import getpass
from typing import Any

from starlette.routing import Route

from aurefine.cli.main import program_version
from aurefine.errors import AurefineError, OptionError
from aurefine.gui.answers import Answer, Question, get, post
from aurefine.gui.workspace import Workspace
from aurefine.jobs.actions import (
    abort_job,
    continue_job,
    create_job,
    job_settings,
    mark_job,
    missing_inputs,
    run_job,
    set_alias,
)
from aurefine.jobs.form import FormField, Problem
from aurefine.jobs.job_checks import check_form, complete
from aurefine.jobs.job_command import build_command
from aurefine.jobs.job_entry import last_optimiser
from aurefine.jobs.job_types import JOB_TYPES, JobType, find_job_type, job_type_of
from aurefine.jobs.schedule import schedule_jobs, waits_for
from aurefine.project import Job, Status
from aurefine.project.refresh import refresh
from aurefine.project.trash import delete_jobs

__all__ = ["job_routes"]

_EXPERT_NOTE = (
    "Options that RELION does not have. Their defaults are right for nearly every job; a value "
    "that is left alone is not written into the command."
)
_CONTINUABLE = ("refine3d", "extract")


def job_routes(space: Workspace) -> list[Route]:
    """Return the routes of the project and its jobs."""
    project = space.project

    def about(_: Question) -> Answer:
        return {
            "name": space.folder.root.name or "/",
            "path": str(space.folder.root),
            "user": getpass.getuser(),
            "version": program_version(),
            "dialect": project.pipeline().dialect,
            "titles": {job_type.folder: job_type.title for job_type in JOB_TYPES.values()},
        }

    def types(_: Question) -> Answer:
        dialect = project.pipeline().dialect
        return {"types": [_type_as_json(kind, dialect) for kind in JOB_TYPES.values()]}

    def jobs(_: Question) -> Answer:
        refresh(project)
        edges = [[edge.source, edge.target] for edge in project.edges() if edge.source]
        users: dict[str, list[str]] = {}
        for source, target in edges:
            if target not in users.setdefault(source, []):
                users[source].append(target)
        rows = [_job_as_json(job, users.get(job.name, [])) for job in project.jobs()]
        return {"jobs": rows, "edges": edges}

    def nodes(question: Question) -> Answer:
        kinds = [kind for kind in question.text("kinds", "").split(",") if kind]
        found = project.nodes(*kinds)
        return {
            "nodes": [
                {"path": n.path, "shown": n.shown, "kind": n.kind, "exists": n.exists}
                for n in found
            ]
        }

    def form(question: Question) -> Answer:
        job_type = find_job_type(question.text("type"))
        values = job_type.defaults(project.pipeline().dialect)
        name = question.text("from", "")
        if name:
            settings = job_settings(project, name)
            if settings.job_type is not job_type:
                raise OptionError(f"{name} is not a job of the type {job_type.title}.")
            values |= settings.values
        if "fn_cont" in values:
            values["fn_cont"] = ""
            if question.flag("continue"):
                job = project.job(name)
                last = last_optimiser(job.folder)
                values["fn_cont"] = job.name + last if last else ""
        return {"values": values}

    def check(question: Question) -> Answer:
        job_type = find_job_type(question.text("type"))
        is_continue = question.flag("continue")
        dialect = project.pipeline().dialect
        values = complete(job_type, question.texts("values"), dialect)
        problems = check_form(job_type, values, is_continue=is_continue)
        command = ""
        if not any(problem.is_error for problem in problems):
            pipeline = project.pipeline()
            name = question.text("job", "") or f"{job_type.folder}/job{pipeline.counter:03d}/"
            built = build_command(job_type, values, name, is_continue=is_continue, dialect=dialect)
            command = built.text
            for sentence in missing_inputs(project, job_type, values, is_continue=is_continue):
                problems.append(Problem(_key_of(job_type, sentence), sentence, is_error=False))
        return {"problems": [_problem_as_json(p, values) for p in problems], "command": command}

    def create(question: Question) -> Answer:
        job_type = find_job_type(question.text("type"))
        alias = question.text("alias", "")
        job = create_job(project, job_type, question.texts("values"), alias=alias)
        if question.text("action", "schedule") == "schedule":
            reason = waits_for(project, job.name)
            if reason:  # a job whose input is there stays set up until it is run
                schedule_jobs(project, [job.name])
                return {"job": job.name, "note": f"Starts by itself after {reason}."}
            return {"job": job.name}
        try:
            run_job(project, job.name)
        except AurefineError as error:
            # the job is there, with all that was typed: it can be run again
            return {"job": job.name, "warning": f"Set up, but not started. {error}"}
        return {"job": job.name}

    def go_on(question: Question) -> Answer:
        return {"job": continue_job(project, question.text("job"), question.texts("values")).name}

    def run(question: Question) -> Answer:
        return {"job": run_job(project, question.text("job")).name}

    def abort(question: Question) -> Answer:
        return {"job": abort_job(project, question.text("job")).name}

    def mark(question: Question) -> Answer:
        status: Status = "Succeeded" if question.text("status") == "Succeeded" else "Failed"
        return {"job": mark_job(project, question.text("job"), status).name}

    def alias(question: Question) -> Answer:
        return {"job": set_alias(project, question.text("job"), question.text("alias")).name}

    def delete(question: Question) -> Answer:
        return {"deleted": delete_jobs(project, [question.text("job")])}

    def settings(question: Question) -> Answer:
        job = project.job(question.text("job"))
        pipeline = project.pipeline()
        values: dict[str, str] = {}
        fields: tuple[FormField, ...] = ()
        problem = ""
        try:
            space.folder.file(f"{job.name}job.star")
            found = job_settings(project, job.name)
            values = found.values
            fields = found.job_type.fields if found.job_type else ()
        except AurefineError as error:  # the rest can be shown without it
            problem = str(error)
        return {
            "values": values,
            "problem": problem,
            "labels": {field.key: field.label for field in fields if not field.is_hidden},
            "commands": _commands(space.text(f"{job.name}note.txt")),
            "inputs": _files(space, [node for node, user in pipeline.inputs if user == job.name]),
            "outputs": _files(space, [n for maker, n in pipeline.outputs if maker == job.name]),
        }

    def report(question: Question) -> Answer:
        from aurefine.jobs.job_report import write_report  # figures take a while to import

        path = write_report(project, question.text("job"))
        return {"path": str(path.relative_to(space.folder.root))}

    return [
        get("/api/project", about),
        get("/api/types", types),
        get("/api/jobs", jobs),
        get("/api/nodes", nodes),
        get("/api/form", form),
        get("/api/job/settings", settings),
        post("/api/check", check),
        post("/api/jobs", create),
        post("/api/continue", go_on),
        post("/api/job/run", run),
        post("/api/job/abort", abort),
        post("/api/job/alias", alias),
        post("/api/job/mark", mark),
        post("/api/job/delete", delete),
        post("/api/job/report", report),
    ]


def _type_as_json(job_type: JobType, dialect: str) -> dict[str, Any]:
    tabs = []
    for title in job_type.tabs:
        fields = job_type.fields_of(title)
        if fields:
            note = _EXPERT_NOTE if title == "Expert" else ""
            rows = [_field_as_json(field, dialect) for field in fields]
            tabs.append({"title": title, "note": note, "fields": rows})
    return {
        "name": job_type.name,
        "title": job_type.title,
        "label": job_type.label,
        "folder": job_type.folder,
        "summary": job_type.summary[:1].upper() + job_type.summary[1:] + ".",
        "tabs": tabs,
    }


def _field_as_json(field: FormField, dialect: str) -> dict[str, Any]:
    is_number = field.kind in ("integer", "number")
    limits = field.range.describe() if is_number else ""
    return {
        "key": field.key,
        "flag": field.flag,
        "label": field.label,
        "help": field.help,
        "unit": field.unit,
        "note": field.note,
        "kind": field.kind,
        "default": field.default_31 if dialect == "3.1" else field.default,
        "choices": list(field.choices),
        "limits": "" if limits == "any number" else limits,
        "slider": list(field.slider) if field.slider else None,
        "nodes": list(field.nodes),
        "pattern": field.pattern,
        "needs": field.needs,
        "continues": field.continues,
    }


def _job_as_json(job: Job, used_by: list[str]) -> dict[str, Any]:
    job_type = job_type_of(job.type)
    return {
        "name": job.name,
        "number": job.number,
        "kind": job.kind,
        "alias": job.alias,
        "status": job.status,
        "base_type": job_type.label if job_type else "",
        "type_title": job_type.title if job_type else job.kind,
        "started": job.started,
        "finished": job.finished,
        "used_by": used_by,
        "actions": _actions(job, job_type),
    }


def _actions(job: Job, job_type: JobType | None) -> list[str]:
    """What can be done with a job in its state."""
    found = ["alias"]
    if job_type is not None:
        found.append("clone")
        if job.status == "Scheduled":
            found.append("run")
        elif job.status == "Running":
            found.append("abort")
        elif job_type.name in _CONTINUABLE:
            found.append("continue")
    elif job.status == "Running":
        found.append("abort")
    if job.status not in ("Scheduled", "Running"):
        found.append("report")
    found.append("mark" if job.status == "Running" else "delete")
    return found


def _problem_as_json(problem: Problem, values: dict[str, str]) -> dict[str, Any]:
    return {
        "key": problem.key,
        "message": problem.message,
        "is_error": problem.is_error,
        "is_missing": not values.get(problem.key, "").strip(),
    }


def _key_of(job_type: JobType, sentence: str) -> str:
    """Return the field that a sentence about a missing file begins with."""
    label = sentence.partition(": there is no file")[0]
    for field in job_type.fields:
        if field.label.rstrip(":") == label:
            return field.key
    return ""


def _commands(note: str) -> list[str]:
    """Return the commands in a `note.txt`."""
    lines = note.splitlines()
    starts = [i for i, line in enumerate(lines) if "with the following command(s)" in line]
    found = []
    for start in starts:
        for line in lines[start + 1 :]:
            if line.strip() in ("++++", ""):
                break
            found.append(line.strip())
    return found


def _files(space: Workspace, names: list[str]) -> list[dict[str, Any]]:
    return [{"path": name, "exists": (space.folder.root / name).exists()} for name in names]
