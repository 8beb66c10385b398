"""Checks of a particle file: CTF columns, copies, half sets, pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.io import ParticleImages, ParticleTable
from aurefine.jobs.check_findings import Finding, some_rows
from aurefine.parallel.pool import WorkerPool

__all__ = ["check_copies", "check_ctf", "check_pixels", "find_bad_images", "without_bad_images"]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

_CHUNK = 64  # images read together
_MICROMETRES = 100.0  # below this all defocus values are in the wrong unit
_DEFOCUS = (0.0, 100_000.0)  # Å
_ASTIGMATISM = (5000.0, 0.25)  # Å and fraction of the defocus, both exceeded
_PHASE_SHIFT = (-10.0, 190.0)  # degrees
_BFACTOR = 1000.0  # Å²
_ESTIMATE = "Repeat the CTF estimation of these micrographs, or remove the particles."


def check_ctf(particles: pd.DataFrame, optics: pd.DataFrame, path: str) -> list[Finding]:
    """Find CTF parameters that can not be right.

    Parameters
    ----------
    particles, optics : DataFrame
        Tables of a particle file.
    path : str
        Its name, for messages.
    """
    found = [finding for row in optics.itertuples() for finding in _check_optics_row(row, path)]
    if "rlnDefocusU" not in particles:
        return found
    u = particles["rlnDefocusU"].to_numpy(float)
    v = particles["rlnDefocusV"].to_numpy(float) if "rlnDefocusV" in particles else u
    phase = _column(particles, "rlnPhaseShift", 0.0)
    both = np.stack([u, v])
    largest = float(np.abs(both).max(initial=0.0))
    if 0 < largest < _MICROMETRES:
        found.append(
            Finding(
                level="error", topic="defocus_unit", numbers={"largest": largest},
                found=f"{path}: the largest rlnDefocusU or rlnDefocusV is {largest:g}.",
                meaning="These columns are in Å; the values look like µm, and the CTF would be "
                "almost that of focus.",
                remedy="Multiply both columns by 10000.",
            )
        )  # fmt: skip
        return found
    outside = ((both < _DEFOCUS[0]) | (both > _DEFOCUS[1])).any(axis=0)
    outside |= (u == 0) & (v == 0) & (phase == 0)
    elongated = (np.abs(u - v) > _ASTIGMATISM[0]) & (
        np.abs(u - v) > _ASTIGMATISM[1] * np.abs(u + v) / 2
    )
    for topic, bad, text in (
        ("defocus", outside, f"a defocus outside {_DEFOCUS[0]:g} to {_DEFOCUS[1]:g} Å, or of 0"),
        (
            "astigmatism", elongated & ~outside,
            f"an astigmatism of more than {_ASTIGMATISM[0]:g} Å and "
            f"{100 * _ASTIGMATISM[1]:g} % of the defocus",
        ),
    ):  # fmt: skip
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            example = f"rlnDefocusU {u[row]:g}, rlnDefocusV {v[row]:g}"
            found.append(
                _of_rows(topic, bad, path, text, example, "Their CTF is probably wrong.", _ESTIMATE)
            )
    scale = _column(particles, "rlnCtfScalefactor", 1.0)
    bfactor = _column(particles, "rlnCtfBfactor", 0.0)
    radians = (phase != 0).mean() > 0.5 and 0.3 < np.abs(phase).max() < 3.2
    for topic, bad, text, values, label, meaning, remedy in (
        (
            "phase_shift", (phase < _PHASE_SHIFT[0]) | (phase > _PHASE_SHIFT[1]),
            f"a phase shift outside {_PHASE_SHIFT[0]:g} to {_PHASE_SHIFT[1]:g} degrees",
            phase, "rlnPhaseShift", "Their CTF is probably wrong.", _ESTIMATE,
        ),
        (
            "phase_shift_unit", np.full(len(u), radians), "a phase shift below 3.2 degrees",
            phase, "rlnPhaseShift", "The values look like radians.",
            "Multiply the column by 57.2958 if they are.",
        ),
        (
            "ctf_scale", scale <= 0, "a CTF scale factor of 0 or less", scale,
            "rlnCtfScalefactor", "They would count for nothing, or with inverted contrast.",
            "Remove the column or the particles.",
        ),
        (
            "ctf_bfactor", np.abs(bfactor) > _BFACTOR, f"a CTF B-factor beyond {_BFACTOR:g} Å²",
            bfactor, "rlnCtfBfactor", "They would only count at low resolution, or blow up.",
            "Remove the column or the particles.",
        ),
    ):  # fmt: skip
        if bad.any():
            example = f"{label} {values[np.flatnonzero(bad)[0]]:g}"
            found.append(_of_rows(topic, bad, path, text, example, meaning, remedy))
    return found


def _column(particles: pd.DataFrame, label: str, default: float) -> Float:
    if label in particles:
        return particles[label].to_numpy(float)
    return np.full(len(particles), default)


def _of_rows(
    topic: str, bad: Bool, path: str, text: str, example: str, meaning: str, remedy: str
) -> Finding:
    rows = np.flatnonzero(bad)
    return Finding(
        level="warning", topic=topic, numbers={"n_particles": float(len(rows))}, rows=rows,
        found=f"{path}: {len(rows)} of {len(bad)} particles have {text} ({some_rows(rows)}; the "
        f"first: {example}).",
        meaning=meaning, remedy=remedy,
    )  # fmt: skip


def _check_optics_row(row: object, path: str) -> list[Finding]:
    """Find microscope constants that can not be right."""
    place = f"{path}: data_optics, group {getattr(row, 'rlnOpticsGroup', 1)}"
    wrong = "The CTF of all its particles would be wrong."
    found = []
    for label, low, high, hard_low, hard_high, unit, hint in (
        ("rlnVoltage", 60.0, 400.0, 1.0, 2000.0, "kV", "in kV, not V"),
        ("rlnSphericalAberration", 0.0, 10.0, 0.0, 100.0, "mm", "in mm"),
        ("rlnAmplitudeContrast", 0.0, 0.4, 0.0, 1.0, "", "a fraction, usually 0.07 to 0.1"),
    ):
        value = getattr(row, label, None)
        if value is None or low <= float(value) <= high:
            continue
        is_useless = not hard_low <= float(value) <= hard_high
        level: Literal["error", "warning"] = "error" if is_useless else "warning"
        found.append(
            Finding(
                level=level, topic=label.removeprefix("rln").lower(),
                numbers={label: float(value)},
                found=f"{place}: {label} is {float(value):g}, expected {low:g} to {high:g} {unit}"
                .rstrip() + ".",
                meaning=wrong,
                remedy=f"Correct the column; it is {hint}.",
            )
        )  # fmt: skip
    return found


def check_copies(
    particles: pd.DataFrame, copies: IntArray, path: str, distance: float
) -> list[Finding]:
    """Report particles that appear more than once, and those in both halves.

    Parameters
    ----------
    particles : DataFrame
    copies : ndarray, shape (n_particles,)
        Row in which each particle appears first, from `find_copies`.
    path : str
    distance : float
        That copies were searched with [Å].
    """
    is_copied = np.bincount(copies, minlength=len(copies))[copies] > 1
    if not is_copied.any():
        return []
    n_extra = len(copies) - len(np.unique(copies))
    rows = np.flatnonzero(is_copied)
    within = f"the same image, or centres within {distance:g} Å in one micrograph"
    half = particles["rlnRandomSubset"].to_numpy(int) if "rlnRandomSubset" in particles else None
    if half is not None and np.any(half):
        lowest, highest = half.copy(), half.copy()
        np.minimum.at(lowest, copies, half)
        np.maximum.at(highest, copies, half)
        is_split = (lowest != highest)[copies]
        if is_split.any():
            split = np.flatnonzero(is_split)
            return [
                Finding(
                    level="warning", topic="both_halves", rows=split,
                    numbers={"n_particles": float(len(np.unique(copies[split])))},
                    found=f"{path}: {len(np.unique(copies[split]))} particles are in both half "
                    f"sets by rlnRandomSubset ({within}): {some_rows(split)}.",
                    meaning="The halves share noise, so the resolution would be overestimated.",
                    remedy="Remove the copies, or the column: copies are then put into one half.",
                )
            ]  # fmt: skip
    return [
        Finding(
            level="warning", topic="duplicates", rows=rows,
            numbers={"n_copies": float(n_extra)},
            found=f"{path}: {n_extra} rows show a particle of another row ({within}): "
            f"{some_rows(rows)}.",
            meaning="They count more than once; all rows of one particle are in one half set.",
            remedy="Remove the copies, unless they are meant (symmetry expansion).",
        )
    ]  # fmt: skip


def find_bad_images(
    images: ParticleImages, pool: WorkerPool, progress: Callable[[int], None] = lambda n: None
) -> tuple[IntArray, IntArray]:
    """Rows of images with pixels that are not finite, and of images without any contrast."""
    parts = [
        rows[start : start + _CHUNK]
        for box in np.unique(images.box_sizes)
        for rows in [np.flatnonzero(images.box_sizes == box)]
        for start in range(0, len(rows), _CHUNK)
    ]

    def look(part: IntArray) -> tuple[IntArray, IntArray]:
        pixels = images.read(part, must_be_finite=False).reshape(len(part), -1)
        is_finite = np.isfinite(pixels).all(axis=1)
        is_flat = is_finite & (pixels.max(axis=1) == pixels.min(axis=1))
        progress(len(part))
        return part[~is_finite], part[is_flat]

    found = pool.map(look, parts)
    none = [np.empty(0, np.int64)]
    not_finite = np.sort(np.concatenate([bad for bad, _ in found] or none))
    return not_finite, np.sort(np.concatenate([flat for _, flat in found] or none))


def without_bad_images(
    table: ParticleTable, root: Path, pool: WorkerPool, warn: Callable[[str], None]
) -> ParticleTable:
    """Leave out the particles whose images can not be used, and say which."""
    images = ParticleImages.open([str(n) for n in table.particles["rlnImageName"]], root=root)
    not_finite, constant = find_bad_images(images, pool)
    for finding in check_pixels(not_finite, constant, table.path):
        warn(f"{finding.found} They are left out (--exclude_bad)")
    keep = np.setdiff1d(np.arange(len(images)), np.concatenate([not_finite, constant]))
    particles = table.particles.iloc[keep].reset_index(drop=True)
    return ParticleTable(table.optics, particles, table.path)


def check_pixels(not_finite: IntArray, constant: IntArray, path: str) -> list[Finding]:
    """Report images that can not be used."""
    remedy = "Extract them again, or leave them out by --exclude_bad."
    found = []
    for topic, rows, text, meaning in (
        (
            "not_finite", not_finite, "pixels that are not finite numbers",
            "A refinement would stop at the first of them.",
        ),
        (
            "constant", constant, "the same value in all pixels",
            "They hold no particle, and disturb the normalisation.",
        ),
    ):  # fmt: skip
        if len(rows):
            level: Literal["error", "warning"] = "error" if topic == "not_finite" else "warning"
            found.append(
                Finding(
                    level=level, topic=topic, rows=rows, meaning=meaning, remedy=remedy,
                    numbers={"n_particles": float(len(rows))},
                    found=f"{path}: {len(rows)} particles have {text}: {some_rows(rows)}.",
                )
            )  # fmt: skip
    return found
