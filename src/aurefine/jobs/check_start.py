"""The checks at the start of a refinement, and what they have in common with *Check*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError
from aurefine.geometry.symmetry import point_group
from aurefine.jobs.check_findings import Finding
from aurefine.jobs.check_particles import check_copies, check_ctf
from aurefine.jobs.check_reference import ReferenceReport, check_axes, check_reference
from aurefine.jobs.particle_copies import COPY_DISTANCE, confirm_copies, find_copies
from aurefine.jobs.refine_input import Inputs
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.run_log import RunLog
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState

__all__ = ["check_start", "compare_with_reference", "report_lines"]

Float32 = npt.NDArray[np.float32]

_N_COMPARED = 100  # particles at first; they tell within a second or so
_UNNOTICED = 0.07  # difference of the size; users are told if larger ones are not noticed either
_AXES_RESOLUTION = 20.0  # Å, without an initial low-pass filter


def check_start(
    inputs: Inputs,
    reference: Float32,
    state: RefinementState,
    options: RefineOptions,
    settings: RunSettings,
    pool: WorkerPool,
    log: RunLog,
) -> RefineOptions:
    """Warn of what a refinement should not start with, and decide on ``--firstiter_cc auto``.

    Parameters
    ----------
    reference : ndarray, shape (n, n, n), float32
        Before its low-pass filter.
    state : RefinementState
        Of iteration 0.

    Returns
    -------
    RefineOptions
        Those given, with `firstiter_cc` decided.

    Raises
    ------
    AurefineError
        If the refinement would be useless.
    """
    if settings.skips_checks and not settings.decides_firstiter_cc:
        return options
    findings: list[Finding] = []
    if not settings.skips_checks:
        findings += _check_table(inputs, options, settings.particles)
    more, reports = compare_with_reference(
        inputs,
        reference,
        state,
        options,
        settings.reference,
        n_compared=_N_COMPARED,
        pool=pool,
        wants_absolute=not (options.firstiter_cc or settings.decides_firstiter_cc),
    )
    log.write(report_lines(reports))
    if settings.decides_firstiter_cc:
        options = replace(options, firstiter_cc=_needs_correlation(reports, log))
    if settings.skips_checks:
        return options
    findings += more
    for finding in findings:
        if finding.level == "warning":
            log.warn(finding.text)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise AurefineError(f"{errors[0].text} (--skip_checks starts nevertheless.)")
    return options


def _check_table(inputs: Inputs, options: RefineOptions, path: str) -> list[Finding]:
    """Check the particle table, with rows as in the file."""
    particles, row = inputs.particles, np.argsort(inputs.order)
    frame = inputs.table.particles.iloc[row].reset_index(drop=True)
    optics = inputs.table.optics
    boxes = np.array([group.box_size for group in particles.optics_groups])[particles.optics]
    copies = confirm_copies(
        find_copies(frame, optics),
        frame["rlnImageName"].to_numpy(object),
        boxes[row],
        lambda rows: particles.images.read(row[rows]),
    )
    found = check_ctf(frame, optics, path) if options.ctf else []
    return found + check_copies(frame, copies, path, COPY_DISTANCE)


def compare_with_reference(
    inputs: Inputs,
    reference: Float32,
    state: RefinementState,
    options: RefineOptions,
    name: str,
    *,
    n_compared: int,
    pool: WorkerPool,
    wants_absolute: bool,
) -> tuple[list[Finding], list[ReferenceReport]]:
    """Check the axes of a reference, and compare it with some particles.

    Parameters
    ----------
    name : str
        File of the reference, for messages.
    n_compared : int
        Particles of each image geometry.
    wants_absolute : bool
        Whether a reference off the greyscale of the particles is a finding.
    """
    group = point_group(options.symmetry)
    resolution = options.initial_lowpass if options.initial_lowpass > 0 else _AXES_RESOLUTION
    findings = check_axes(reference, name, state.pixel_size, group, resolution)
    if n_compared == 0:
        return findings, []
    reports = check_reference(
        reference,
        name,
        state.pixel_size,
        inputs.particles,
        inputs.poses,
        state.models[0],
        group,
        options,
        diameter=state.options_particle_diameter,
        n_particles=n_compared,
        seed=state.random_seed,
        pool=pool,
    )
    findings += [finding for report in reports for finding in report.findings]
    slope = _mean_slope(reports)
    if wants_absolute and slope > 0 and not all(r.is_absolute for r in reports if r.slope > 0):
        findings.append(
            Finding(
                level="warning", topic="greyscale", numbers={"slope": slope},
                found=f"{name} is not on the greyscale of the particles: it must be multiplied by "
                f"{slope:.2g}.",
                meaning="The first iteration would weigh the images wrongly.",
                remedy="Give --firstiter_cc (or --firstiter_cc auto, which decides by itself).",
            )
        )  # fmt: skip
    return findings, reports


def report_lines(reports: Sequence[ReferenceReport]) -> list[str]:
    """Say what the comparison with the reference gave."""
    lines = []
    for report in reports:
        text = f" Compared {report.n_particles} particles with the reference to "
        text += f"{report.resolution:.0f} Å: contrast "
        text += "right" if report.evidence > 0 else "inverted"
        text += f" (evidence {report.evidence:.0f})"
        if report.slope > 0:
            text += f", greyscale factor {report.slope:.2g}"
        if report.size > 0:
            text += f", size {report.size:.3f} ± {report.size_error:.3f}"
        if report.slope > 0 and report.size == 0:
            text += "; the reference has too little detail to measure the size"
        elif not report.findings and _UNNOTICED < report.size_tolerance < np.inf:
            text += f"; a pixel size wrong by less than {report.size_tolerance * 100:.0f} % would "
            text += "not be noticed with this reference and number of particles"
        lines.append(text)
    return lines


def _mean_slope(reports: Sequence[ReferenceReport]) -> float:
    slopes = [report.slope for report in reports if report.slope > 0]
    return float(np.mean(slopes)) if slopes else 0.0


def _needs_correlation(reports: Sequence[ReferenceReport], log: RunLog) -> bool:
    """Decide whether iteration 1 uses cross-correlation, and say why."""
    slope = _mean_slope(reports)
    is_absolute = slope > 0 and all(report.is_absolute for report in reports if report.slope > 0)
    if slope == 0:
        why = "the greyscale of the reference could not be measured"
    elif is_absolute:
        why = f"the reference is on the absolute greyscale (factor {slope:.2g})"
    else:
        why = f"the reference is not on the absolute greyscale (factor {slope:.2g})"
    log.write(f" --firstiter_cc auto: {'off' if is_absolute else 'on'}, because {why}")
    return not is_absolute
