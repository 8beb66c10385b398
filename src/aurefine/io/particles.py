"""Particle and micrograph tables with their optics groups."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from aurefine.errors import StarError
from aurefine.io._legacy import convert_legacy, lengths_in_angstrom
from aurefine.io.star import StarFile, read_star, write_star

__all__ = [
    "MicrographTable",
    "ParticleTable",
    "read_micrographs",
    "read_particles",
    "write_micrographs",
    "write_particles",
]

_log = logging.getLogger(__name__)

_CURRENT_VERSION = 50001
_Kind = Literal["particles", "micrographs"]
_NAME_COLUMN = {"particles": "rlnImageName", "micrographs": "rlnMicrographName"}
_PIXEL_COLUMN = {"particles": "rlnImagePixelSize", "micrographs": "rlnMicrographPixelSize"}


@dataclass(frozen=True, slots=True)
class ParticleTable:
    """A particle file.

    Optics groups are numbered 1 to n in the order of their rows, so that row ``g - 1`` of
    `optics` belongs to particles with ``rlnOpticsGroup`` g.
    """

    optics: pd.DataFrame
    particles: pd.DataFrame
    path: str


@dataclass(frozen=True, slots=True)
class MicrographTable:
    """A micrographs file; optics groups are numbered as in `ParticleTable`."""

    optics: pd.DataFrame
    micrographs: pd.DataFrame
    path: str


def read_particles(
    path: str | os.PathLike[str], *, root: str | os.PathLike[str] = "."
) -> ParticleTable:
    """Read a particle file of RELION 3.1 or later, or convert an older one.

    Parameters
    ----------
    path : path-like
        STAR file with ``data_optics`` and ``data_particles``, or of RELION 3.0 and before.
    root : path-like
        Project directory, from which image names count. Only used for older files, whose box
        size comes from the images.

    Returns
    -------
    table : ParticleTable
        All columns of the file in their order.

    Raises
    ------
    StarError
        If the file is malformed, has no particles, lacks a compulsory column, refers to an
        undefined optics group, or holds sub-tomograms.
    """
    optics, particles, name = _read(path, "particles", Path(root))
    if "rlnHelicalTubeID" in particles:
        _log.warning("%s: helical segments are treated as single particles", name)
    return ParticleTable(optics, particles, name)


def read_micrographs(
    path: str | os.PathLike[str], *, root: str | os.PathLike[str] = "."
) -> MicrographTable:
    """Read a micrographs file of RELION 3.1 or later, or convert an older one.

    Parameters
    ----------
    path : path-like
        STAR file with ``data_optics`` and ``data_micrographs``, or of RELION 3.0 and before.
    root : path-like
        Project directory.

    Returns
    -------
    table : MicrographTable
        All columns of the file in their order.

    Raises
    ------
    StarError
        As `read_particles`.
    """
    return MicrographTable(*_read(path, "micrographs", Path(root)))


def write_particles(
    path: str | os.PathLike[str], table: ParticleTable, *, version: int = _CURRENT_VERSION
) -> None:
    """Write a particle file.

    Raises
    ------
    StarError
        If a value can not be written.
    OutputError
        If the file can not be written.
    """
    write_star(path, {"optics": table.optics, "particles": table.particles}, version=version)


def write_micrographs(
    path: str | os.PathLike[str], table: MicrographTable, *, version: int = _CURRENT_VERSION
) -> None:
    """Write a micrographs file.

    Raises
    ------
    StarError
        If a value can not be written.
    OutputError
        If the file can not be written.
    """
    write_star(path, {"optics": table.optics, "micrographs": table.micrographs}, version=version)


def _read(
    path: str | os.PathLike[str], kind: _Kind, root: Path
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    star = read_star(path)
    if "optics" in star:
        optics, rows = star.table("optics"), star.table(kind)
        if not len(optics):
            raise StarError(f"{star.path}: data_optics has no rows; it needs one per optics group.")
        _check_rows(star.path, rows, kind)
    else:
        rows = _legacy_rows(star, kind)
        _check_rows(star.path, rows, kind)
        optics, rows = convert_legacy(rows, star.path, kind, root)
    optics, rows = _renumber_groups(optics, rows, star.path, kind)
    optics = _check_optics(optics, star.path, kind)
    if kind == "particles":
        pixel_size = optics["rlnImagePixelSize"].to_numpy(float)[rows["rlnOpticsGroup"] - 1]
        in_angstrom = lengths_in_angstrom(rows, pixel_size)
        if in_angstrom is not rows:
            _log.warning("%s: offsets in pixels are converted to Å", star.path)
        rows = in_angstrom
    return optics, rows, star.path


def _legacy_rows(star: StarFile, kind: _Kind) -> pd.DataFrame:
    if star.version is not None and star.version >= _CURRENT_VERSION:
        raise StarError(
            f"{star.path}: no block data_optics, although the file is of version {star.version}."
            " Use a file that holds the optics table, or remove the version line if it was"
            " written by RELION 3.0 or before."
        )
    if kind in star:
        return star.table(kind)
    tables = [block for block in star.blocks.values() if isinstance(block, pd.DataFrame)]
    if not tables:
        raise StarError(f"{star.path}: the file holds no table of {kind}.")
    return tables[0]


def _check_rows(path: str, rows: pd.DataFrame, kind: _Kind) -> None:
    label = _NAME_COLUMN[kind]
    if label not in rows:
        found = ", ".join(rows.columns) or "none"
        raise StarError(
            f"{path}: data_{kind} has no column {label}. This is not a file of {kind};"
            f" columns found: {found}."
        )
    if not len(rows):
        raise StarError(f"{path}: data_{kind} has no rows. Check the selection that made the file.")
    empty = np.flatnonzero(rows[label].to_numpy() == "")
    if len(empty):
        raise StarError(f"{path}: data_{kind}, row {empty[0] + 1}: {label} is empty.")


def _renumber_groups(
    optics: pd.DataFrame, rows: pd.DataFrame, path: str, kind: _Kind
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the optics groups 1 to n in the order of their rows."""
    for table, block in ((optics, "optics"), (rows, kind)):
        if "rlnOpticsGroup" not in table:
            raise StarError(
                f"{path}: data_{block} has no column rlnOpticsGroup. Add it to data_optics and"
                f" data_{kind}, with the number of the optics group."
            )
    numbers = pd.Index(optics["rlnOpticsGroup"])
    if numbers.has_duplicates:
        repeated = numbers[numbers.duplicated()][0]
        raise StarError(f"{path}: data_optics: optics group {repeated} is defined twice.")
    position = numbers.get_indexer(pd.Index(rows["rlnOpticsGroup"]))
    unknown = np.flatnonzero(position < 0)
    if len(unknown):
        row = int(unknown[0])
        raise StarError(
            f"{path}: data_{kind}, row {row + 1}: optics group {rows['rlnOpticsGroup'].iloc[row]}"
            f" is not defined in data_optics, which has {', '.join(map(str, numbers))}."
        )
    wanted = np.arange(1, len(numbers) + 1)
    if not np.array_equal(numbers.to_numpy(), wanted):
        _log.warning("%s: the optics groups are renumbered from 1 to %d", path, len(numbers))
        optics = optics.assign(rlnOpticsGroup=wanted)
        rows = rows.assign(rlnOpticsGroup=position + 1)
    return optics, rows


def _check_optics(optics: pd.DataFrame, path: str, kind: _Kind) -> pd.DataFrame:
    """Check the compulsory columns; fill in the names and the pixel size of micrographs."""
    if "rlnOpticsGroupName" not in optics:
        names = [f"opticsGroup{number}" for number in optics["rlnOpticsGroup"]]
        optics = optics.assign(rlnOpticsGroupName=pd.Series(names, optics.index, dtype=object))
    pixel_column = _PIXEL_COLUMN[kind]
    if kind == "micrographs" and pixel_column not in optics and "rlnImagePixelSize" in optics:
        _log.warning("%s: rlnImagePixelSize is taken for the pixel size of the micrographs", path)
        optics = optics.assign(rlnMicrographPixelSize=optics["rlnImagePixelSize"])
    for label, meaning in (
        ("rlnVoltage", "the acceleration voltage [kV]"),
        ("rlnSphericalAberration", "the spherical aberration [mm]"),
        (pixel_column, f"the pixel size of the {_images(kind)} [Å]"),
    ):
        if label not in optics:
            raise StarError(
                f"{path}: data_optics has no column {label}. Add it with {meaning} of every optics"
                " group."
            )
        if label != "rlnSphericalAberration":
            _check_values(optics, label, optics[label] > 0, f"a positive number: {meaning}", path)
    if kind == "particles" and "rlnImageDimensionality" in optics:
        _check_values(
            optics,
            "rlnImageDimensionality",
            optics["rlnImageDimensionality"] == 2,
            "2; sub-tomograms can not be refined",
            path,
        )
    if kind == "particles" and "rlnImageSize" in optics:
        size = optics["rlnImageSize"]
        _check_values(optics, "rlnImageSize", (size > 0) & (size % 2 == 0), "even", path)
    return optics


def _images(kind: _Kind) -> str:
    return "particle images" if kind == "particles" else "micrographs"


def _check_values(
    optics: pd.DataFrame, label: str, is_good: "pd.Series[Any]", expected: str, path: str
) -> None:
    bad = np.flatnonzero(~is_good.to_numpy(dtype=bool))
    if len(bad):
        row = int(bad[0])
        raise StarError(
            f"{path}: data_optics, row {row + 1}: {label} is {optics[label].iloc[row]}, but must be"
            f" {expected}."
        )
