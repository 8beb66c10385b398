"""*Import*: bring micrographs, particles, maps and coordinates into the folder of a job."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from aurefine.errors import AurefineError, OptionError, StarError
from aurefine.io import read_mrc_header, read_particles, write_particles, write_star
from aurefine.io.atomic import atomic_path, write_text_atomic
from aurefine.io.star_cells import read_cells
from aurefine.jobs.import_table import IMPORT_OPTIONS
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import check_values, with_defaults

__all__ = ["run_import"]

_KINDS = ("do_micrographs", "do_particles", "do_coordinates", "do_halfmaps", "do_other")
_VERSION = 30001  # also read by RELION 4 and 5
_MAPS = (".mrc", ".mrcs", ".map")


def run_import(given: Mapping[str, Any]) -> int:
    """Import with the given option values and return the exit code.

    Raises
    ------
    AurefineError
        If a file is missing or is not what it should be.
    """
    check_values(IMPORT_OPTIONS, given)
    values = with_defaults(IMPORT_OPTIONS, given)
    chosen = [kind for kind in _KINDS if values[kind]]
    if len(chosen) != 1:
        flags = ", ".join(f"--{kind}" for kind in _KINDS)
        raise OptionError(f"say what is imported: one of {flags}.")
    folder = Path(values["output_folder"])
    name = values["output_name"] or Path(values["input"]).name

    def work() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        sys.stdout.write(" importing...\n")
        _IMPORTS[chosen[0]](values, folder, name)
        sys.stdout.write(" done!\n")

    return run_controlled(values["pipeline_control"], work, folder=str(folder))


def _micrographs(values: Mapping[str, Any], folder: Path, name: str) -> None:
    paths = _matches(values["input"])
    for path in paths:
        if path.suffix.lower() in (".mrc", ".mrcs"):
            header = read_mrc_header(path)
            if header.nz != 1:
                raise StarError(
                    f"{path}: holds {header.nz} images; a micrograph has one. Movies are out "
                    "of scope: correct their motion with RELION first."
                )
    optics = {
        "rlnOpticsGroupName": values["optics_group_name"],
        "rlnOpticsGroup": 1,
        "rlnMtfFileName": values["mtf"],
        "rlnMicrographPixelSize": values["pixel_size"],
        "rlnMicrographOriginalPixelSize": values["pixel_size"],
        "rlnVoltage": values["voltage"],
        "rlnSphericalAberration": values["spherical_aberration"],
        "rlnAmplitudeContrast": values["amplitude_contrast"],
        "rlnBeamTiltX": values["beam_tilt_x"],
        "rlnBeamTiltY": values["beam_tilt_y"],
    }
    if not values["mtf"]:
        del optics["rlnMtfFileName"]
    if not values["beam_tilt_x"] and not values["beam_tilt_y"]:
        del optics["rlnBeamTiltX"], optics["rlnBeamTiltY"]
    table = pd.DataFrame({"rlnMicrographName": [str(path) for path in paths], "rlnOpticsGroup": 1})
    write_star(
        folder / name,
        {"optics": pd.DataFrame([optics]), "micrographs": table},
        version=_VERSION,
    )
    sys.stdout.write(f" Written {folder / name} with {len(paths)} items\n")


def _particles(values: Mapping[str, Any], folder: Path, name: str) -> None:
    table = read_particles(_one(values["input"]))
    group = values["particles_optics_group"]
    if group:
        if len(table.optics) != 1:
            raise OptionError(
                f"option --particles_optics_group_name: {values['input']} has {len(table.optics)} "
                "optics groups; only a single one can be renamed."
            )
        optics = table.optics.copy()
        optics["rlnOpticsGroupName"] = group
        table = replace(table, optics=optics)
    write_particles(folder / name, table, version=_VERSION)
    sys.stdout.write(f" Written {folder / name} with {len(table.particles)} particles\n")


def _coordinates(values: Mapping[str, Any], folder: Path, name: str) -> None:
    pattern = values["input"]
    suffix = pattern.rpartition("*")[2] if "*" in pattern else ""
    paths = _matches(pattern)
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(path, target)
    # what RELION 3.1 and aurefine extract need to find them: their folder and their ending
    if not name.startswith("coords_suffix"):
        name = f"coords_suffix{suffix or '_' + Path(pattern).name}"
    write_text_atomic(folder / name, f"{pattern}\n")
    sys.stdout.write(f" Written {len(paths)} coordinate files below {folder}/\n")


def _half_map(values: Mapping[str, Any], folder: Path, name: str) -> None:
    path = _one(values["input"])
    first, second = ("half1", "half2") if "half1" in path.name else ("half2", "half1")
    if first not in path.name:
        raise OptionError(f"{path}: expected half1 or half2 in the file name.")
    for half in (path, path.with_name(path.name.replace(first, second))):
        read_mrc_header(half)
        _copy(half, folder / half.name)


def _other(values: Mapping[str, Any], folder: Path, name: str) -> None:
    path = _one(values["input"])
    if path.suffix.lower() in _MAPS:
        read_mrc_header(path)
    elif path.suffix.lower() == ".star":
        read_cells(path)
    _copy(path, folder / name)


_IMPORTS = {
    "do_micrographs": _micrographs,
    "do_particles": _particles,
    "do_coordinates": _coordinates,
    "do_halfmaps": _half_map,
    "do_other": _other,
}


def _one(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise OptionError(f"option --i: there is no file '{name}'.")
    return path


def _matches(pattern: str) -> list[Path]:
    """Return the files of a pattern inside the working directory, sorted by name."""
    if os.path.isabs(pattern) or ".." in Path(pattern).parts:
        raise OptionError(
            f"option --i: found '{pattern}', expected names inside the project folder (make a "
            "link in it to files that are elsewhere)."
        )
    paths = [Path(name) for name in sorted(glob.glob(pattern)) if Path(name).is_file()]
    if not paths:
        raise OptionError(f"option --i: no file has a name like '{pattern}'.")
    return paths


def _copy(source: Path, target: Path) -> None:
    try:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    except FileNotFoundError as error:
        raise AurefineError(f"{error.filename}: there is no such file.") from None
