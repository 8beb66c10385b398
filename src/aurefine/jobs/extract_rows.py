"""Which particle comes from which micrograph, and what its row says after extraction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.extract.coordinates import recentre_particles
from aurefine.jobs.extract_optics import group_pixel_sizes, output_optics
from aurefine.jobs.extract_options import ExtractSettings

__all__ = ["DROP_REASON", "ExtractPlan", "MicrographTask", "plan_extraction", "post_name"]

DROP_REASON = "aurefineDropReason"

_JOB = re.compile(r"^.*?/job\d{3,}/(?=.)")
_CTF_DEFAULTS = {"rlnCtfBfactor": 0.0, "rlnCtfScalefactor": 1.0, "rlnPhaseShift": 0.0}
_CTF_OPTIONAL = ("rlnCtfMaxResolution", "rlnCtfFigureOfMerit")
_CTF_NEEDED = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")


@dataclass(frozen=True, slots=True)
class MicrographTask:
    """One micrograph with particles: `rows` is its part of the rows of the plan."""

    number: int  # row of the micrographs STAR file, from 0
    name: str
    stem: str  # of the output files: output folder and name without extension
    rows: slice
    pixel_size: float  # Å


@dataclass(frozen=True)
class ExtractPlan:
    """All that is known before the first micrograph is read.

    `rows` are the rows of the new particles in the order of the output, except for
    `rlnImageName`; `dropped` has the coordinates of the particles that are left out, and why.
    """

    rows: pd.DataFrame
    optics: pd.DataFrame
    tasks: tuple[MicrographTask, ...]
    dropped: pd.DataFrame
    n_empty_micrographs: int


def post_name(path: str) -> str:
    """Return the part of a path that does not depend on the job that made the file.

    `MotionCorr/job002/Movies/mic001.mrc` becomes `Movies/mic001.mrc`; a path without job
    directory is returned whole.
    """
    return _JOB.sub("", path, count=1)


def plan_extraction(
    settings: ExtractSettings,
    *,
    micrograph_optics: pd.DataFrame,
    micrographs: pd.DataFrame,
    particle_optics: pd.DataFrame | None,
    particles: pd.DataFrame,
) -> ExtractPlan:
    """Assign particles to micrographs and work out their new rows.

    Parameters
    ----------
    settings : ExtractSettings
    micrograph_optics, micrographs : DataFrame
        The two tables of the micrographs STAR file.
    particle_optics : DataFrame or None
        Optics groups of the particles; None if they are fresh coordinates, which take over the
        optics groups of the micrographs.
    particles : DataFrame
        One row for each particle, with `rlnMicrographName` and coordinates.

    Returns
    -------
    plan : ExtractPlan

    Raises
    ------
    StarError
        If columns are missing, names clash, or no particle is left.
    """
    micrograph_of_row = _match_micrographs(settings, micrographs, particles)
    reasons = _reasons_to_drop(settings, particles, micrograph_of_row)
    kept = np.flatnonzero(reasons == "")
    kept = kept[np.argsort(micrograph_of_row[kept], kind="stable")]
    if len(kept) == 0:
        raise StarError(_describe_nothing_left(settings, micrographs, particles, reasons))
    of_kept = micrograph_of_row[kept]
    rows = particles.iloc[kept].reset_index(drop=True)
    rows = rows.drop(columns="rlnParticleSelectionType", errors="ignore")

    _require(rows, ("rlnCoordinateX", "rlnCoordinateY"), settings.refined_particles, "particles")
    if particle_optics is not None:
        _move_particles(settings, rows, micrograph_optics, micrographs, particle_optics, of_kept)
    for axis, bias in zip("XY", settings.bias, strict=True):
        rows[f"rlnCoordinate{axis}"] += bias
    rows["rlnMicrographName"] = micrographs["rlnMicrographName"].to_numpy()[of_kept]
    if "rlnOpticsGroup" not in rows:
        rows["rlnOpticsGroup"] = micrographs["rlnOpticsGroup"].to_numpy()[of_kept]
    _take_over_from_micrographs(settings, rows, micrographs, of_kept)
    optics = output_optics(settings, rows, micrograph_optics, particle_optics)
    return ExtractPlan(
        rows=rows,
        optics=optics,
        tasks=_tasks(settings, micrograph_optics, micrographs, of_kept),
        dropped=dropped_rows(particles, reasons),
        n_empty_micrographs=len(micrographs) - len(np.unique(of_kept)),
    )


def dropped_rows(rows: pd.DataFrame, reasons: npt.NDArray[Any]) -> pd.DataFrame:
    """Return the rows with a reason to be left out, reduced to what identifies them."""
    labels = ("rlnMicrographName", "rlnImageName", "rlnCoordinateX", "rlnCoordinateY")
    is_dropped = reasons != ""
    shown = rows[[label for label in labels if label in rows]]
    dropped: pd.DataFrame = shown[is_dropped].assign(**{DROP_REASON: reasons[is_dropped]})
    return dropped


def _match_micrographs(
    settings: ExtractSettings, micrographs: pd.DataFrame, particles: pd.DataFrame
) -> npt.NDArray[np.int64]:
    """Return the micrograph row of each particle, -1 if its micrograph is not listed."""
    _require(micrographs, ("rlnMicrographName",), settings.micrographs, "micrographs")
    _require(particles, ("rlnMicrographName",), settings.refined_particles, "particles")
    numbers: dict[str, int] = {}
    for number, name in enumerate(micrographs["rlnMicrographName"]):
        post = post_name(name)
        if post in numbers:
            other = micrographs["rlnMicrographName"].iloc[numbers[post]]
            raise StarError(
                f"{settings.micrographs}: data_micrographs, rows {numbers[post] + 1} and "
                f"{number + 1}: {other} and {name} would write the same particle stack; "
                "remove one of them."
            )
        numbers[post] = number
    codes, names = pd.factorize(particles["rlnMicrographName"])
    of_name = np.array([numbers.get(post_name(name), -1) for name in names], dtype=np.int64)
    return of_name[codes] if len(names) else np.empty(0, dtype=np.int64)


def _reasons_to_drop(
    settings: ExtractSettings, particles: pd.DataFrame, micrograph_of_row: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    reasons = np.full(len(particles), "", dtype=object)
    path = settings.refined_particles
    if settings.selection_type is not None:
        _require(particles, ("rlnParticleSelectionType",), path, "particles")
        is_other = particles["rlnParticleSelectionType"] != settings.selection_type
        reasons[is_other.to_numpy()] = "rlnParticleSelectionType is another one"
    if settings.minimum_fom is not None:
        _require(particles, ("rlnAutopickFigureOfMerit",), path, "particles")
        is_low = particles["rlnAutopickFigureOfMerit"] <= settings.minimum_fom
        reasons[is_low.to_numpy()] = "rlnAutopickFigureOfMerit is too low"
    reasons[micrograph_of_row < 0] = "micrograph is not listed"
    return reasons


def _move_particles(
    settings: ExtractSettings,
    rows: pd.DataFrame,
    micrograph_optics: pd.DataFrame,
    micrographs: pd.DataFrame,
    particle_optics: pd.DataFrame,
    of_kept: npt.NDArray[np.int64],
) -> None:
    """Update coordinates and offsets in place."""
    recentring = settings.recentring
    offset_labels = ["rlnOriginXAngst", "rlnOriginYAngst"]
    has_offsets = all(label in rows for label in offset_labels)
    if recentring.recentre and not has_offsets:
        _require(rows, offset_labels, settings.refined_particles, "particles", "--recenter needs")
    if recentring.reset_offsets:
        for label in (*offset_labels, "rlnOriginZAngst"):
            if label in rows:
                rows[label] = 0.0
        return
    a_part = group_pixel_sizes(particle_optics, rows["rlnOpticsGroup"], settings.refined_particles)
    a_mic = group_pixel_sizes(
        micrograph_optics, micrographs["rlnOpticsGroup"].iloc[of_kept], settings.micrographs
    )
    if not recentring.recentre:
        if not has_offsets and np.any(np.abs(a_part / a_mic - 1) > 1e-6):
            for label in offset_labels:
                rows[label] = rows.get(label, 0.0)
        return
    sizes = particle_optics["rlnImagePixelSize"].to_numpy()
    if recentring.point_pixel_size is None and np.ptp(sizes) > 1e-6:
        raise StarError(
            f"{settings.refined_particles}: data_optics: --recenter needs one pixel size for all "
            f"optics groups, found {', '.join(f'{size:g}' for size in np.unique(sizes))} Å in "
            "rlnImagePixelSize. Say with --ref_angpix which pixel size the point is given in."
        )
    angle_labels = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
    if any(recentring.point):
        _require(
            rows,
            angle_labels,
            settings.refined_particles,
            "particles",
            "re-centring on a point needs",
        )
        angles = rows[angle_labels].to_numpy(np.float64)
    else:
        angles = np.zeros((len(rows), 3))
    coordinate_labels = ["rlnCoordinateX", "rlnCoordinateY"]
    coordinates, offsets = recentre_particles(
        rows[coordinate_labels].to_numpy(np.float64),
        rows[offset_labels].to_numpy(np.float64),
        angles,
        particle_pixel_sizes=a_part,
        micrograph_pixel_sizes=a_mic,
        recentring=recentring,
    )
    for column in range(2):
        rows[coordinate_labels[column]] = coordinates[:, column]
        rows[offset_labels[column]] = offsets[:, column]


def _take_over_from_micrographs(
    settings: ExtractSettings,
    rows: pd.DataFrame,
    micrographs: pd.DataFrame,
    of_kept: npt.NDArray[np.int64],
) -> None:
    """Add or replace CTF columns, and add beam tilts, in place."""

    def take(label: str) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = micrographs[label].to_numpy()[of_kept]
        return values

    wanted = "rlnDefocusU" not in rows or settings.keep_micrograph_ctf
    if "rlnDefocusU" in micrographs and wanted:
        _require(micrographs, _CTF_NEEDED, settings.micrographs, "micrographs")
        for label in _CTF_OPTIONAL:
            if label in micrographs:
                rows[label] = take(label)
        for label in _CTF_NEEDED:
            rows[label] = take(label)
        for label, default in _CTF_DEFAULTS.items():
            rows[label] = take(label) if label in micrographs else default
    tilts = ("rlnBeamTiltX", "rlnBeamTiltY")
    if all(label in micrographs for label in tilts) and tilts[0] not in rows:
        for label in tilts:
            rows[label] = take(label)


def _tasks(
    settings: ExtractSettings,
    micrograph_optics: pd.DataFrame,
    micrographs: pd.DataFrame,
    of_kept: npt.NDArray[np.int64],
) -> tuple[MicrographTask, ...]:
    numbers, starts, counts = np.unique(of_kept, return_index=True, return_counts=True)
    names = micrographs["rlnMicrographName"].iloc[numbers]
    pixel_sizes = group_pixel_sizes(
        micrograph_optics,
        micrographs["rlnOpticsGroup"].iloc[numbers],
        settings.micrographs,
        label="rlnMicrographPixelSize",
    )
    return tuple(
        MicrographTask(
            number=int(number),
            name=name,
            stem=settings.part_dir + _without_extension(post_name(name)),
            rows=slice(int(start), int(start + count)),
            pixel_size=float(pixel_size),
        )
        for number, name, start, count, pixel_size in zip(
            numbers, names, starts, counts, pixel_sizes, strict=True
        )
    )


def _without_extension(path: str) -> str:
    """Return the output name of a micrograph, kept inside the output folder."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    folder, name = parts[:-1], parts[-1]
    return "/".join((*folder, name.rpartition(".")[0] or name))


def _require(
    table: pd.DataFrame, labels: Sequence[str], path: str, block: str, why: str = "extraction needs"
) -> None:
    for label in labels:
        if label not in table:
            raise StarError(f"{path}: data_{block}: column {label} is missing; {why} it.")


def _describe_nothing_left(
    settings: ExtractSettings,
    micrographs: pd.DataFrame,
    particles: pd.DataFrame,
    reasons: npt.NDArray[Any],
) -> str:
    path = settings.refined_particles or "coordinate files"
    if len(particles) == 0:
        return f"{path}: no particles found; nothing can be extracted."
    counts = pd.Series(reasons).value_counts()
    listed = "; ".join(f"{count} because {reason}" for reason, count in counts.items())
    text = f"{path}: none of the {len(particles)} particles can be extracted: {listed}."
    if len(micrographs):
        text += (
            f" Particles are on micrographs like {particles['rlnMicrographName'].iloc[0]}, "
            f"{settings.micrographs} lists {micrographs['rlnMicrographName'].iloc[0]}."
        )
    return text
