"""Fresh coordinates of particles: STAR, box and text files, one for each micrograph."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pandas as pd

from aurefine.errors import StarError
from aurefine.io.star import read_star
from aurefine.jobs.extract_options import ExtractSettings
from aurefine.jobs.extract_rows import post_name

__all__ = ["read_coordinates"]


def read_coordinates(
    settings: ExtractSettings, micrographs: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Read the coordinate files of all micrographs.

    Parameters
    ----------
    settings : ExtractSettings
        With a coordinate list, or a suffix and a folder.
    micrographs : DataFrame

    Returns
    -------
    particles : DataFrame
        Columns of the coordinate files, and `rlnMicrographName`.
    missing : list of str
        Coordinate files that do not exist.

    Raises
    ------
    StarError
        If a file can not be understood, or none exists.
    """
    tables: list[pd.DataFrame] = []
    missing: list[str] = []
    files = (
        _listed_files(settings) if settings.coordinate_list else _named_files(settings, micrographs)
    )
    for micrograph, path in files:
        if not os.path.exists(path):
            missing.append(path)
            continue
        table = _read_file(path)
        if len(table) == 0:
            continue
        if "rlnImageName" not in table:
            table = table.assign(rlnImageName="")
        table = table.assign(rlnMicrographName=micrograph)
        if tables and set(table.columns) != set(tables[0].columns):
            different = sorted(set(table.columns) ^ set(tables[0].columns))
            raise StarError(
                f"{path}: the columns differ from those of the other coordinate files: "
                f"{', '.join(different)}. All of them must have the same columns."
            )
        tables.append(table)
    if not tables:
        found = f"; {len(missing)} files are missing, the first is {missing[0]}" if missing else ""
        raise StarError(
            f"{settings.coordinate_list or settings.coordinate_suffix}: no coordinates found"
            f"{found}."
        )
    return pd.concat(tables, ignore_index=True), missing


def _listed_files(settings: ExtractSettings) -> Iterator[tuple[str, str]]:
    path = settings.coordinate_list
    table = read_star(path).table("")
    labels = ("rlnMicrographName", "rlnMicrographCoordinates")
    for label in labels:
        if label not in table:
            raise StarError(f"{path}: column {label} is missing; a list of coordinates needs it.")
    yield from zip(table[labels[0]], table[labels[1]], strict=True)


def _named_files(settings: ExtractSettings, micrographs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    folder = settings.coordinate_folder
    for name in micrographs["rlnMicrographName"]:
        stem = (name if folder == "ASINPUT" else post_name(name)).rpartition(".")[0]
        if folder != "ASINPUT":
            stem = os.path.join(folder, stem)
        yield name, stem + settings.coordinate_suffix


def _read_file(path: str) -> pd.DataFrame:
    if path.endswith(".star"):
        star = read_star(path)
        table = next(
            (block for block in star.blocks.values() if isinstance(block, pd.DataFrame)), None
        )
        if table is None:
            return pd.DataFrame()
        for label in ("rlnCoordinateX", "rlnCoordinateY"):
            if label not in table and len(table):
                raise StarError(f"{path}: column {label} is missing.")
        return table
    return _read_text(path, is_box=path.endswith(".box"))


def _read_text(path: str, *, is_box: bool) -> pd.DataFrame:
    """Read x, y and perhaps width and height (box files) in the first columns."""
    n_needed = 4 if is_box else 2
    rows: list[tuple[int, int]] = []
    with open(path, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            try:
                values = [int(float(word)) for word in words[:n_needed]]
            except (ValueError, OverflowError):
                if not rows:
                    continue  # titles above the numbers
                values = []
            if len(values) < n_needed:
                raise StarError(
                    f"{path}: line {number}: found '{line.strip()[:60]}', expected {n_needed} "
                    "numbers" + (" (x, y, width, height)." if is_box else " (x, y).")
                )
            x, y = values[:2]
            if is_box:
                x, y = x + values[2] // 2, y + values[3] // 2
            rows.append((x, y))
    table = pd.DataFrame(rows, columns=["rlnCoordinateX", "rlnCoordinateY"])
    return table.astype("float64")
