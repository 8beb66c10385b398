"""The report of a job: one self-contained HTML file with figures, options, versions and a text."""

from __future__ import annotations

import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aurefine import __version__
from aurefine.errors import AurefineError, StarError
from aurefine.io.atomic import write_text_atomic
from aurefine.jobs.job_command import summary_of
from aurefine.jobs.job_star import JobSettings, read_job_star
from aurefine.jobs.report_other import (
    map_sections,
    particle_sections,
    postprocess_methods,
    postprocess_sections,
)
from aurefine.jobs.report_refine import (
    RefinementFiles,
    find_refinement,
    refinement_methods,
    refinement_sections,
)
from aurefine.project import Job, Project
from aurefine.project.status import MARKERS
from aurefine.report.page import (
    Page,
    Paragraph,
    Part,
    Preformatted,
    Section,
    Table,
    render_page,
)

__all__ = ["REPORT_NAME", "report_page", "write_folder_report", "write_report"]

REPORT_NAME = "report.html"
_PACKAGES = ("numpy", "scipy", "numba", "pandas", "matplotlib")
_LOG_BYTES = 4000
_PROGRESS = re.compile(r"^.*~~\(,_,\">.*\n?", re.MULTILINE)  # RELION's, one line for each step
_OPTIMISER_VERSION = re.compile(r"# RELION optimiser; version (\S+)(?: written by aurefine (\S+))?")


def write_report(project: Project, job: str, path: Path | None = None) -> Path:
    """Write the report of a job of a project, whatever its state and whoever ran it.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias.
    path : Path, optional
        File to write; by default ``report.html`` in the folder of the job.

    Returns
    -------
    path : Path

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    record = project.job(job)
    pipeline = project.pipeline()
    inputs = [node for node, name in pipeline.inputs if name == record.name]
    outputs = [node for name, node in pipeline.outputs if name == record.name]
    target = path or record.folder / REPORT_NAME
    page = report_page(record.folder, project.path, record, inputs, outputs)
    write_text_atomic(target, render_page(page))
    return target


def write_folder_report(folder: Path, path: Path | None = None) -> Path:
    """Write the report of a run that belongs to no project.

    Parameters
    ----------
    folder : Path
        With the output files.
    path : Path, optional
        By default ``report.html`` in the folder.

    Returns
    -------
    path : Path

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    target = path or folder / REPORT_NAME
    write_text_atomic(target, render_page(report_page(folder, Path.cwd())))
    return target


def report_page(
    folder: Path,
    project: Path,
    job: Job | None = None,
    inputs: list[str] | None = None,
    outputs: list[str] | None = None,
) -> Page:
    """Gather everything about a job.

    Parameters
    ----------
    folder : Path
        Of the job.
    project : Path
        Folder that the names in its files start from.
    job : Job, optional
    inputs, outputs : list of str, optional
        Files that it takes and makes.

    Returns
    -------
    page : Page
    """
    try:
        settings: JobSettings | None = read_job_star(folder / "job.star")
    except StarError:
        settings = None
    kind = _kind_of(folder, settings)
    files = find_refinement(folder) if kind == "refine3d" else None
    sections: list[Section] = []
    state = _state_of(folder, job)
    program = _program_of(folder, files)
    methods, results = "", []
    try:
        results = _results(folder, project, kind, files, settings)
        if kind == "refine3d" and files is not None:
            methods = refinement_methods(files, program)
        elif kind == "postprocess":
            methods = postprocess_methods(folder, program)
    except (AurefineError, KeyError) as error:
        results.append(Section("Results", [Paragraph(f"Not available: {error}", is_notice=True)]))
    if methods:
        sections.append(Section("For a methods section", [Paragraph(methods)]))
    sections += results
    sections += [_overview(folder, job, state, program, inputs or [], outputs or [])]
    sections += _options_section(settings)
    sections += _text_sections(folder)
    name = job.name.rstrip("/") if job else folder.name
    title = f"{name} {job.alias}" if job and job.alias else name
    what = settings.job_type.title if settings and settings.job_type else ""
    what = what or (settings.type if settings else "") or _TITLES.get(kind, "Job")
    footer = f"Written by aurefine {__version__} on {_moment(time.time())}."
    return Page(title, f"{what}: {state}", sections, footer)


_TITLES = {"refine3d": "3D auto-refine", "postprocess": "Post-processing"}


def _kind_of(folder: Path, settings: JobSettings | None) -> str:
    if settings is not None:
        return settings.job_type.name if settings.job_type else settings.type
    if any(folder.glob("run*_model.star")):
        return "refine3d"
    return "postprocess" if (folder / "postprocess.star").exists() else ""


def _results(
    folder: Path,
    project: Path,
    kind: str,
    files: RefinementFiles | None,
    settings: JobSettings | None,
) -> list[Section]:
    if files is not None:
        return refinement_sections(files)
    if kind == "postprocess":
        return postprocess_sections(folder)
    if kind == "extract":
        return particle_sections(folder / "particles.star", project)
    if kind == "maskcreate":
        return map_sections(folder / "mask.mrc", "Mask")
    if kind == "rescale":
        return map_sections(folder / "rescaled.mrc", "Rescaled map")
    if kind == "import" and settings is not None and settings.job_type is not None:
        return _imported(folder, project, settings)
    return []


def _imported(folder: Path, project: Path, settings: JobSettings) -> list[Section]:
    assert settings.job_type is not None
    sections = []
    for name, label in settings.job_type.outputs(settings.values, "3.1"):
        if label.startswith(("DensityMap", "Mask3D")):
            sections += map_sections(folder / name, name)
        elif label.startswith("ParticleGroup"):
            sections += particle_sections(folder / name, project)
    return sections


def _state_of(folder: Path, job: Job | None) -> str:
    if job is not None:
        return job.status.lower()
    for name, status in MARKERS.items():
        if (folder / name).exists():
            return status.lower()
    return "state unknown"


def _program_of(folder: Path, files: RefinementFiles | None) -> str:
    """Return the program that did the work, with its version as its own files tell it."""
    if files is not None:
        found = _OPTIMISER_VERSION.match(files.header)
        if found:
            return f"aurefine {found[2]}" if found[2] else f"RELION {found[1]}"
    for name, pattern in (
        ("postprocess.star", "version"),
        ("run.out", "version"),
        ("note.txt", ""),
    ):
        try:
            with open(folder / name, encoding="utf-8", errors="replace") as stream:
                head = stream.read(_LOG_BYTES)
        except OSError:
            continue
        first = head.split("\n", 1)[0]
        if pattern and "aurefine" in first:
            return f"aurefine {first.rsplit('aurefine', 1)[1].replace('version:', '').strip()}"
        if name == "postprocess.star" and first.startswith("# RELION"):
            return f"RELION {first.rsplit('version', 1)[-1].strip()}"
        if name == "note.txt":
            return "RELION" if "`which relion" in head else f"aurefine {__version__}"
    return "an unknown program"


def _overview(
    folder: Path, job: Job | None, state: str, program: str, inputs: list[str], outputs: list[str]
) -> Section:
    rows = [("state", state), ("program", program)]
    if job is not None and job.started:
        rows.append(("started", _moment(job.started)))
    if job is not None and job.finished and job.started:
        rows.append(("ended", _moment(job.finished)))
        rows.append(("time", f"{max(job.finished - job.started, 0):.0f} s"))
    rows += [("input", name) for name in inputs]
    rows += [("output", name) for name in outputs]
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    rows.append(
        ("this report", f"aurefine {__version__}, Python {platform.python_version()}, {versions}")
    )
    return Section("Job", [Table(rows)])


def _options_section(settings: JobSettings | None) -> list[Section]:
    if settings is None:
        return []
    if settings.job_type is None:
        rows = [(key, value) for key, value in settings.values.items()]
    else:
        rows = summary_of(settings.job_type, settings.values)
    return [Section("Options", [Table(rows)])] if rows else []


def _text_sections(folder: Path) -> list[Section]:
    sections = []
    for title, name in (
        ("Commands", "note.txt"),
        ("Messages", "run.err"),
        ("End of the log", "run.out"),
    ):
        text = _tail(folder / name)
        if text.strip():
            parts: list[Part] = [Preformatted(text)]
            sections.append(Section(title, parts))
    return sections


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            stream.seek(max(path.stat().st_size - _LOG_BYTES, 0))
            data = stream.read()
    except OSError:
        return ""
    text = _PROGRESS.sub("", data.decode("utf-8", "replace"))
    lines = text.split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in lines).strip("\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
