"""A refinement as its files tell it, while it runs and afterwards."""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from aurefine.errors import AurefineError
from aurefine.gui.folder import Folder
from aurefine.gui.stages import read_stage, tail_text, warnings_of

__all__ = ["RefinementStore", "latest_files"]

_NUMBERED = re.compile(r"^(run(?:_ct\d+)?)_it(\d{3,})_optimiser\.star$")
_UNKNOWN = 999.0  # RELION's value before the first estimate
_MAX_KEPT = 2000  # iterations in memory
_LOG_BYTES = 1 << 19


class RefinementStore:
    """Reads each file once for each of its versions.

    Parameters
    ----------
    project : Folder
        Files that lead out of it are not read.
    """

    def __init__(self, project: Folder) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._iterations: OrderedDict[tuple[str, int], tuple[dict[str, Any], list[float]]] = (
            OrderedDict()
        )
        self._directions: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()

    def progress(self, folder: Path) -> dict[str, Any]:
        """Return the history, FSC curves, stage, newest maps and warnings of a job folder."""
        found = _optimisers(folder)
        rows: list[dict[str, Any]] = []
        curves: list[list[float]] = []
        for path in [*found, *_final(folder)]:
            read = self._iteration(path)
            if read is None or read[0]["iteration"] == 0:  # the start has no results
                continue
            row, curve = read
            if row["joined"]:  # its files do not say its number
                row = {**row, "iteration": rows[-1]["iteration"] + 1 if rows else 1}
            rows.append(row)
            curves.append(curve)
        out = self._text(folder / "run.out", _LOG_BYTES)
        started = found[-1].stat().st_mtime if found else None
        return {
            "history": rows,
            "fsc": curves,
            "stage": read_stage(out, started).as_json(),
            "files": latest_files(folder),
            "warnings": warnings_of(out, self._text(folder / "run.err")),
        }

    def directions(self, folder: Path) -> dict[str, Any] | None:
        """Return the newest distribution of viewing directions, or None before the first."""
        data = latest_files(folder).get("data")
        if data is None:
            return None
        path = folder / data
        if not self._project.holds(path):
            return None
        key = (str(path), path.stat().st_mtime_ns)
        with self._lock:
            if key in self._directions:
                return self._directions[key]
        result = self._read_directions(path)
        with self._lock:
            self._directions[key] = result
            while len(self._directions) > 8:
                self._directions.popitem(last=False)
        return result

    def _holds(self, name: str) -> bool:
        return self._project.holds(Path(name))

    def _text(self, path: Path, n_bytes: int = 1 << 16) -> str:
        return tail_text(path, n_bytes) if self._project.holds(path) else ""

    def _iteration(self, optimiser: Path) -> tuple[dict[str, Any], list[float]] | None:
        from aurefine.jobs.refine_history import read_iteration  # pandas takes a while to import
        from aurefine.jobs.refine_names import FileNames

        try:
            key = (str(optimiser), optimiser.stat().st_mtime_ns)
            with self._lock:
                if key in self._iterations:
                    return self._iterations[key]
            stem = str(optimiser).removesuffix("_optimiser.star")
            root, mark, number = stem.rpartition("_it")
            names = FileNames(root, int(number)) if mark and number.isdigit() else FileNames(stem)
            half = 1 if names.iteration is not None else None
            if not all(map(self._holds, (names.optimiser, names.model(half), names.sampling))):
                return None
            row, fsc = read_iteration(names)
        except (AurefineError, KeyError, OSError):
            return None  # of another program, or a file of it is gone
        row = {name: _plain(value) for name, value in row.items()}
        row["joined"] = names.iteration is None
        curve = [_plain(value) for value in fsc.tolist()]
        row["shell_width"] = 1 / (2 * (len(curve) - 1) * row["pixel_size"])  # 1/Å
        with self._lock:
            self._iterations[key] = (row, curve)
            while len(self._iterations) > _MAX_KEPT:
                self._iterations.popitem(last=False)
        return row, curve

    def _read_directions(self, path: Path) -> dict[str, Any]:
        from aurefine.geometry.symmetry import point_group
        from aurefine.io import read_star
        from aurefine.report.directions import direction_histogram

        star = read_star(path, only=["particles", "images", ""])
        table = star.table("particles" if "particles" in star else "")
        rot, tilt = table["rlnAngleRot"].to_numpy(float), table["rlnAngleTilt"].to_numpy(float)
        symmetry = "C1"
        sampling = path.with_name(path.name.replace("_data.star", "_sampling.star"))
        with contextlib.suppress(AurefineError, KeyError):
            self._project.file(str(sampling.relative_to(self._project.root)))
            values = read_star(sampling, only=["sampling_general"]).values("sampling_general")
            symmetry = str(values["rlnSymmetryGroup"])
        counts = direction_histogram(rot, tilt, symmetry=point_group(symmetry).matrices)
        return {
            "counts": [[round(float(value), 3) for value in row] for row in counts],
            "particles": len(table),
            "symmetry": symmetry,
            "file": path.name,
        }


def latest_files(folder: Path) -> dict[str, str]:
    """Return the names of the newest complete set of files: particles, half maps and joined map."""
    if (folder / "run_data.star").is_file():
        names = {
            "data": "run_data.star",
            "map": "run_class001.mrc",
            "half1": "run_half1_class001_unfil.mrc",
            "half2": "run_half2_class001_unfil.mrc",
        }
    else:
        found = _optimisers(folder)
        if not found:
            return {}
        stem = found[-1].name.removesuffix("_optimiser.star")
        names = {
            "data": f"{stem}_data.star",
            "half1": f"{stem}_half1_class001.mrc",
            "half2": f"{stem}_half2_class001.mrc",
        }
    return {kind: name for kind, name in names.items() if (folder / name).is_file()}


def _optimisers(folder: Path) -> list[Path]:
    """Optimiser files by iteration; of two with one number, the newer."""
    by_number: dict[int, Path] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found = _NUMBERED.match(path.name)
            if found is None:
                continue
            number = int(found[2])
            other = by_number.get(number)
            if other is None or path.stat().st_mtime > other.stat().st_mtime:
                by_number[number] = path
    return [by_number[number] for number in sorted(by_number)]


def _final(folder: Path) -> list[Path]:
    path = folder / "run_optimiser.star"
    return [path] if path.is_file() else []


def _plain(value: Any) -> Any:
    """Leave out what JSON can not hold, and RELION's mark for unknown."""
    if isinstance(value, float):
        return value if math.isfinite(value) and value < _UNKNOWN else None
    return value
