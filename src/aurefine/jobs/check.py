"""*Check*: see before a long run whether particles and reference are fit for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine import __version__
from aurefine.errors import AurefineError, OptionError
from aurefine.io import ParticleImages, ParticleTable, read_particles, write_particles
from aurefine.io.atomic import write_text_atomic
from aurefine.jobs.check_findings import Finding
from aurefine.jobs.check_particles import check_copies, check_ctf, check_pixels, find_bad_images
from aurefine.jobs.check_reference import ReferenceReport
from aurefine.jobs.check_start import compare_with_reference, report_lines
from aurefine.jobs.check_table import CHECK_OPTIONS
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import check_values, with_defaults
from aurefine.jobs.particle_copies import confirm_copies, find_copies
from aurefine.jobs.refine_input import (
    check_diameter,
    check_normalisation,
    image_root,
    inputs_from_table,
)
from aurefine.jobs.refine_options import REFINE_OPTIONS, to_refine_options, to_run_settings
from aurefine.jobs.refine_reference import load_references
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.initialise import initial_state

__all__ = ["CHECK_OPTIONS", "run_check"]

IntArray = npt.NDArray[np.int64]


def run_check(given: Mapping[str, Any]) -> int:
    """Check the input of a refinement and return the exit code.

    Raises
    ------
    AurefineError
        If something was found with which a refinement would be useless.
    """
    check_values(CHECK_OPTIONS, given)
    values = with_defaults(CHECK_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _run(values, given))


def _run(values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    root = values["output"]
    if values["exclude_bad"] and not root:
        raise OptionError(
            "option --exclude_bad writes a particle file; name it by --o, e.g. --o checked."
        )
    table = read_particles(values["particles"])
    with WorkerPool(values["n_threads"]) as pool:
        findings = check_ctf(table.particles, table.optics, table.path)
        folder = image_root(table, table.path, _say)
        names = table.particles["rlnImageName"].to_numpy(object)
        images = ParticleImages.open([str(name) for name in names], root=folder)
        copies = confirm_copies(
            find_copies(table.particles, table.optics, values["copy_distance"]),
            names,
            images.box_sizes,
            partial(images.read, must_be_finite=False),
        )
        findings += check_copies(table.particles, copies, table.path, values["copy_distance"])
        not_finite, constant = find_bad_images(images, pool)
        n_bad = len(not_finite) + len(constant)
        _say(f" Pixels of {len(names)} images looked at: {n_bad or 'none'} bad")
        findings += check_pixels(not_finite, constant, table.path)
        bad = np.union1d(not_finite, constant)
        reports: list[ReferenceReport] = []
        is_useless = any(finding.level == "error" and finding.topic != "not_finite"
                         for finding in findings)  # fmt: skip
        if not is_useless:
            keep = np.setdiff1d(np.arange(len(table.particles)), bad)
            good = replace(table, particles=table.particles.iloc[keep].reset_index(drop=True))
            more, reports = _compare(good, folder, values, given, pool)
            findings += more
    for line in report_lines(reports):
        _say(line)
    _show(findings)
    if root:
        _write(root, table, values, findings, reports, copies, bad)
    errors = [finding.topic for finding in findings if finding.level == "error"]
    if errors:
        raise AurefineError(
            f"{len(errors)} of {len(findings)} findings would make a refinement useless: "
            f"{', '.join(errors)}. See above for what to do."
        )


def _compare(
    table: ParticleTable,
    folder: Path,
    values: Mapping[str, Any],
    given: Mapping[str, Any],
    pool: WorkerPool,
) -> tuple[list[Finding], list[ReferenceReport]]:
    """Check the reference, and the particles that a refinement would start with."""
    if values["reference"] in (None, "", "None"):
        _say(" No reference is given (--ref): it is not checked")
        return [], []
    wished = {k: v for k, v in given.items() if k in {option.name for option in REFINE_OPTIONS}}
    has_ctf = "rlnDefocusU" in table.particles
    wished |= {"output": values["output"] or "check", "ctf": has_ctf, "firstiter_cc": False}
    options, settings = to_refine_options(wished), to_run_settings(wished)
    seed = max(options.random_seed, 0)
    inputs = inputs_from_table(table, folder, options, seed, _warn)
    box, pixel_size = inputs.box_size, inputs.pixel_size
    check_diameter(options, box, pixel_size)
    references = load_references(settings, box, pixel_size, _warn, _say)
    state = initial_state(
        references,
        pixel_size,
        inputs.particles,
        inputs.poses,
        inputs.group_names,
        len(inputs.particles.optics_groups),
        options,
        seed,
        pool,
    )
    findings: list[Finding] = []

    def note(message: str) -> None:
        text, _, remedy = message.partition(". ")
        findings.append(
            Finding(
                level="warning", topic="normalisation", found=f"{text}.",
                meaning="Noise and greyscale would be estimated wrongly.", remedy=f"{remedy}.",
            )
        )  # fmt: skip

    check_normalisation(inputs, state.options_particle_diameter, note)
    more, reports = compare_with_reference(
        inputs,
        references[0],
        state,
        options,
        settings.reference,
        n_compared=values["n_compared"],
        pool=pool,
        wants_absolute=not values["firstiter_cc"],
    )
    return findings + more, reports


def _show(findings: Sequence[Finding]) -> None:
    """Print every finding with what it means and what to do."""
    if not findings:
        _say(" Nothing wrong was found")
    for number, finding in enumerate(findings, start=1):
        _say(f"\n {number}. {finding.level.upper()} ({finding.topic}): {finding.found}")
        _say(f"    This means: {finding.meaning}")
        _say(f"    What to do: {finding.remedy}")
    _say("")


def _write(
    root: str,
    table: ParticleTable,
    values: Mapping[str, Any],
    findings: Sequence[Finding],
    reports: Sequence[ReferenceReport],
    copies: IntArray,
    bad: IntArray,
) -> None:
    """Write what was found, and particle files with the rows concerned."""
    Path(root).parent.mkdir(parents=True, exist_ok=True)
    content = {
        "program": f"aurefine {__version__}",
        "particles": table.path,
        "reference": values["reference"] or "",
        "n_particles": len(table.particles),
        "findings": [
            {
                "level": f.level, "topic": f.topic, "found": f.found, "meaning": f.meaning,
                "remedy": f.remedy, "numbers": dict(f.numbers), "rows": (f.rows + 1).tolist(),
            }
            for f in findings
        ],
        "comparisons": [
            {
                "n_particles": r.n_particles, "resolution": r.resolution,
                "contrast_evidence": r.evidence, "greyscale_factor": r.slope,
                "is_absolute_greyscale": r.is_absolute, "size": r.size, "size_error": r.size_error,
            }
            for r in reports
        ],
    }  # fmt: skip
    write_text_atomic(f"{root}.json", json.dumps(content, indent=1) + "\n")
    _say(f" Written: {root}.json")
    n = len(table.particles)
    is_copied = np.bincount(copies, minlength=n)[copies] > 1
    lists = {"bad_particles": bad, "copies": np.flatnonzero(is_copied)}
    for name, rows in lists.items():
        if len(rows):
            _write_rows(f"{root}_{name}.star", table, rows)
    if values["exclude_bad"]:
        _write_rows(f"{root}_particles.star", table, np.setdiff1d(np.arange(n), bad))


def _write_rows(path: str, table: ParticleTable, rows: IntArray) -> None:
    part = table.particles.iloc[rows].reset_index(drop=True)
    write_particles(path, ParticleTable(table.optics, part, path))
    _say(f" Written: {path} ({len(rows)} particles)")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _warn(message: str) -> None:
    sys.stderr.write(f" WARNING: {message}\n")
