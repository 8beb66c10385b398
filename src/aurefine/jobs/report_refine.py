"""The report of a refinement: curves of all iterations, orientations, the map, a methods text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aurefine.errors import AurefineError
from aurefine.io import read_map, read_star
from aurefine.jobs.refine_history import History
from aurefine.jobs.refine_names import FileNames
from aurefine.jobs.report_views import direction_section, view_section
from aurefine.report.page import Paragraph, Part, Picture, Section, Table
from aurefine.report.plots import draw_fsc, draw_map_slices, draw_progress
from aurefine.report.saving import figure_png

__all__ = ["RefinementFiles", "find_refinement", "refinement_methods", "refinement_sections"]

_SUMMARY = re.compile(
    r"Summary: iteration (\d+):.*?; ([\d.]+) s(?:; ([\d.]+) GiB)?\s*$", re.MULTILINE
)
_UNKNOWN = 999.0
_COLUMNS = (
    ("iteration", "iteration", "{:.0f}"),
    ("resolution (Å)", "resolution", "{:.2f}"),
    ("FSC 0.143 (Å)", "fsc_resolution", "{:.2f}"),
    ("angular step (°)", "angular_step", "{:.3g}"),
    ("accuracy (°)", "accuracy_angles", "{:.2f}"),
    ("change (°)", "changes_angles", "{:.2f}"),
    ("offset step (Å)", "offset_step", "{:.3g}"),
    ("accuracy (Å)", "accuracy_offsets", "{:.2f}"),
    ("change (Å)", "changes_offsets", "{:.2f}"),
    ("Pmax", "pmax", "{:.3f}"),
    ("size (px)", "current_size", "{:.0f}"),
)


@dataclass(frozen=True, slots=True)
class RefinementFiles:
    """What was found of a refinement.

    Attributes
    ----------
    history : History
        Iterations, the joined last one included if the run has converged.
    final : FileNames or None
        Files of the converged end.
    last : FileNames or None
        Files of the newest complete iteration, the end included.
    optimiser : dict
        Settings and state in the newest optimiser file with them.
    header : str
        First lines of that file: program, version, command-line arguments.
    log : str
        Text of ``run.out``.
    has_final_row : bool
        Whether the last row of the history is the joined iteration.
    """

    history: History
    final: FileNames | None
    last: FileNames | None
    optimiser: Mapping[str, Any]
    header: str
    log: str

    has_final_row: bool

    @property
    def has_converged(self) -> bool:
        """Whether the files of the end exist."""
        return self.final is not None


def find_refinement(folder: Path) -> RefinementFiles:
    """Read what there is of a refinement in the folder of a job: running, failed or finished.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    files : RefinementFiles
        Incomplete iterations are left out.
    """
    numbers: dict[int, FileNames] = {}
    for path in sorted(folder.glob("run*_it*_half1_model.star"), key=lambda p: p.stat().st_mtime):
        found = re.fullmatch(r"(run(?:_ct\d+)?)_it(\d+)_half1_model\.star", path.name)
        if found:
            number = int(found[2])
            # a continued run replaces its later iterations
            numbers = {n: names for n, names in numbers.items() if n < number}
            numbers[number] = FileNames(str(folder / found[1]), number)
    history = History()
    last = None
    for number, names in sorted(numbers.items()):
        if number == 0 or history.restore_one(names):
            last = names if Path(names.optimiser).exists() else last
    final = None
    has_final_row = False
    ends = sorted(folder.glob("run*_model.star"), key=lambda path: path.stat().st_mtime)
    ends = [path for path in ends if re.fullmatch(r"run(_ct\d+)?_model\.star", path.name)]
    if ends:
        final = FileNames(str(ends[-1]).removesuffix("_model.star"))
        has_final_row = history.restore_one(final)
    optimiser, header = _optimiser_of(final, last)
    log = _log_of(folder / "run.out")
    return RefinementFiles(history, final, final or last, optimiser, header, log, has_final_row)


def refinement_sections(files: RefinementFiles) -> list[Section]:
    """Return figures and tables of a refinement."""
    if files.last is None or not len(files.history):
        text = "There is no complete iteration yet."
        return [Section("Progress", [Paragraph(text, is_notice=True)])]
    table, curves = files.history.frame(), files.history.fsc()
    pixel_size = float(table["pixel_size"].iloc[-1])
    numbers = [int(number) for number in table["iteration"]]
    is_final = files.has_final_row
    joined = float(files.optimiser.get("rlnJoinHalvesUntilThisResolution", 0.0))
    fsc = draw_fsc(
        curves[:-1] if is_final else curves,
        pixel_size,
        iterations=numbers[:-1] if is_final else numbers,
        final=curves[-1] if is_final else None,
        joined=max(joined, 0.0),
    )
    parts: list[Part] = [
        Picture(figure_png(draw_progress(table)), "Resolution, angles, offsets and Pmax."),
        Picture(figure_png(fsc), "Gold-standard FSC of all iterations."),
    ]
    sections = [Section("Progress", parts), Section("Iterations", [_iterations(files)])]
    diameter = float(files.optimiser.get("rlnParticleDiameter", 0))
    resolution = float(table["resolution"].iloc[-1])
    sections.append(
        view_section(files.last, _symmetry(files), diameter=diameter, resolution=resolution)
    )
    if files.final is not None:
        sections.append(direction_section(files.final, diameter=diameter))
    return [*sections, Section("Map", [_map_picture(files.last)])]


def refinement_methods(files: RefinementFiles, program: str) -> str:
    """Return a paragraph for a methods section, with the numbers of this run."""
    if files.last is None:
        return ""
    facts = _facts(files)
    if facts is None:
        return ""
    options = _flags(files.header)
    optics = f"{facts['n_groups']} optics groups, " if facts["n_groups"] > 1 else ""
    text = (
        f"{facts['n_particles']:,} particles ({optics}box {facts['box']} px, "
        f"{facts['pixel_size']:.4g} Å/px) were refined with {program} by the gold-standard "
        f"procedure, with two independent halves of the data, in point group {facts['symmetry']}"
    )
    lowpass = _number(options.get("--ini_high"))
    if lowpass and lowpass > 0:
        text += f", starting from a reference that was low-pass filtered at {lowpass:g} Å"
    text += ". "
    diameter = float(files.optimiser.get("rlnParticleDiameter", 0))
    if diameter > 0:
        text += f"The circular mask had a diameter of {diameter:g} Å. "
    if int(files.optimiser.get("rlnDoCorrectCtf", 0)):
        text += "The contrast transfer function was corrected for. "
    if facts["first_step"]:
        text += (
            f"Angular sampling started at {facts['first_step']:.3g}° and became as fine as "
            f"{facts['finest_step']:.3g}°"
        )
        text += ", with local searches. " if facts["is_local"] else ". "
    n_iterations = facts["n_iterations"]
    if files.has_converged:
        mask = str(files.optimiser.get("rlnSolventMaskName", "None"))
        corrected = int(files.optimiser.get("rlnDoSolventFscCorrection", 0)) and mask != "None"
        how = "corrected for the effect of the solvent mask" if corrected else "without a mask"
        text += (
            f"The refinement converged after {n_iterations} iterations at a resolution of "
            f"{facts['resolution']:.2f} Å (FSC = 0.143, {how})."
        )
        if facts["accuracy_angles"]:
            text += (
                f" The estimated accuracy of the poses was {facts['accuracy_angles']:.2f}° and "
                f"{facts['accuracy_offsets']:.2f} Å."
            )
    else:
        text += (
            f"The refinement has not converged; after {n_iterations} iterations the resolution "
            f"is {facts['resolution']:.2f} Å."
        )
    return text


def _facts(files: RefinementFiles) -> dict[str, Any] | None:
    assert files.last is not None
    table = files.history.frame()
    if not len(table):
        return None
    try:
        star = read_star(files.last.data, only=["optics", "particles"])
        n_particles = len(star.table("particles"))
        n_groups = len(star.table("optics")) if "optics" in star else 1
    except AurefineError:
        return None
    last = table.iloc[-1]
    n_shells = files.history.fsc().shape[1]
    steps = table["angular_step"].dropna() if "angular_step" in table else table["iteration"][:0]
    accuracy = table["accuracy_angles"][table["accuracy_angles"] < _UNKNOWN]
    offsets = table["accuracy_offsets"][table["accuracy_offsets"] < _UNKNOWN]
    return {
        "n_particles": n_particles,
        "n_groups": n_groups,
        "box": 2 * (n_shells - 1),
        "pixel_size": float(last["pixel_size"]),
        "symmetry": _symmetry(files),
        "first_step": float(steps.iloc[0]) if len(steps) else 0.0,
        "finest_step": float(steps.min()) if len(steps) else 0.0,
        "is_local": bool(table["is_local"].fillna(False).any()) if "is_local" in table else False,
        "n_iterations": int(last["iteration"]),
        "resolution": float(last["resolution"]),
        "accuracy_angles": float(accuracy.iloc[-1]) if len(accuracy) else 0.0,
        "accuracy_offsets": float(offsets.iloc[-1]) if len(offsets) else 0.0,
    }


def _iterations(files: RefinementFiles) -> Table:
    times = {int(m[1]): (m[2], m[3] or "") for m in _SUMMARY.finditer(files.log)}
    rows = []
    for row in files.history.frame().to_dict("records"):
        seconds, memory = times.get(int(row["iteration"]), ("", ""))
        cells = [_cell(row.get(name), form) for _, name, form in _COLUMNS]
        rows.append([*cells, seconds, memory])
    return Table(rows, [*(title for title, _, _ in _COLUMNS), "time (s)", "memory (GiB)"])


def _cell(value: Any, form: str) -> str:
    if value is None or not np.isfinite(value) or value >= _UNKNOWN:
        return "–"
    return form.format(value)


def _map_picture(names: FileNames) -> Part:
    path = names.map(None if names.iteration is None else 1)
    what = "Map" if names.iteration is None else f"Map of half 1, iteration {names.iteration}"
    try:
        volume, pixel_size = read_map(path)[:2]
        figure = draw_map_slices(
            np.asarray(volume, np.float32), float(pixel_size or 1.0), title=what
        )
    except AurefineError as error:
        return Paragraph(f"The map can not be shown: {error}", is_notice=True)
    return Picture(figure_png(figure), f"{what}: central slices and projections.")


def _optimiser_of(final: FileNames | None, last: FileNames | None) -> tuple[Mapping[str, Any], str]:
    for names in (final, last):
        if names is None:
            continue
        try:
            values = read_star(names.optimiser).values("optimiser_general")
            with open(names.optimiser, encoding="utf-8", errors="replace") as stream:
                header = "".join(stream.readline() for _ in range(3))
        except (AurefineError, OSError):
            continue  # RELION 3.1 writes none at the end
        return values, header
    return {}, ""


def _symmetry(files: RefinementFiles) -> str:
    assert files.last is not None
    try:
        values = read_star(files.last.sampling, only=["sampling_general"]).values(
            "sampling_general"
        )
        return str(values.get("rlnSymmetryGroup", "C1"))
    except AurefineError:
        return "C1"


def _flags(header: str) -> dict[str, str]:
    words = header.split()
    return {a: b for a, b in zip(words, [*words[1:], ""], strict=True) if a.startswith("--")}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _log_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
