"""STAR files: writing, in the exact layout of RELION 5."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import numpy as np
import pandas as pd

from aurefine.errors import StarError
from aurefine.io._star_words import needs_care, quoted
from aurefine.io.atomic import atomic_path
from aurefine.io.labels import label_kind, may_be_infinite
from aurefine.io.numbers import format_reals

__all__ = ["write_star"]

_ROWS_PER_CHUNK = 50_000
_LABEL = re.compile(r"[^\s#\"']+")


def write_star(
    path: str | os.PathLike[str],
    blocks: Mapping[str, pd.DataFrame | Mapping[str, object]],
    *,
    version: int = 50001,
    header: Sequence[str] = (),
) -> None:
    """Write a STAR file as RELION does, byte for byte, so that RELION can read it.

    Parameters
    ----------
    path : path-like
        File to write; it appears under its name when it is complete.
    blocks : mapping of str to DataFrame or mapping
        Block names without ``data_``. A DataFrame becomes a table (left out if it has no rows),
        a mapping a list of values. Keys are labels without underscore.
    version : int
        Number in the version line: 50001 for RELION 5, 30001 for RELION 3.1.
    header : sequence of str
        Lines that come first in the file.

    Raises
    ------
    StarError
        If a value does not fit the type of its label, is not finite, or can not be written.
    OutputError
        If the file can not be written.
    """
    name = os.fspath(path)
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream,
    ):
        for line in header:
            stream.write(f"{line}\n")
        for block, content in blocks.items():
            place = f"{name}: data_{block}"
            if len(content) == 0:
                continue
            for label in content:
                if not isinstance(label, str) or not _LABEL.fullmatch(label):
                    raise StarError(f"{place}: {label!r} can not be the name of a column.")
            stream.write(f"\n# version {version}\n\ndata_{block}\n\n")
            if isinstance(content, pd.DataFrame):
                _write_table(stream, content, place)
            else:
                _write_list(stream, content, place)
            stream.write(" \n")


def _write_table(stream: TextIO, table: pd.DataFrame, place: str) -> None:
    labels = list(table.columns)
    if len(set(labels)) != len(labels):
        raise StarError(f"{place}: a column stands twice: {', '.join(labels)}.")
    stream.write("loop_ \n")
    stream.writelines(f"_{label} #{index} \n" for index, label in enumerate(labels, 1))
    for start in range(0, len(table), _ROWS_PER_CHUNK):
        chunk = table.iloc[start : start + _ROWS_PER_CHUNK]
        columns = [_format_column(label, chunk[label], place, start) for label in labels]
        stream.write(" \n".join(map(" ".join, zip(*columns, strict=True))) + " \n")


def _write_list(stream: TextIO, values: Mapping[str, object], place: str) -> None:
    width = max(10, *(len(label) + 1 for label in values)) + 12
    for label, value in values.items():
        (cell,) = _format_cells(label, [value], place, None)
        stream.write(f"{'_' + label:<{width}}{cell}\n")


def _format_column(label: str, column: "pd.Series[Any]", place: str, start: int) -> list[str]:
    kind = label_kind(label)
    code = column.dtype.kind
    if kind == "double" and code in "iufb":
        return _format_reals(label, column.to_numpy(np.float64), place, start)
    if kind in ("int", "bool") and code in "iub":
        return [f"{value:12d}" for value in column.tolist()]
    if kind in ("string", "vector") and code == "f":
        return _format_reals(label, column.to_numpy(np.float64), place, start)
    cells = column.tolist()
    if kind in ("string", "vector") and code not in "iub" and _is_plain(cells):
        return [cell.rjust(10) for cell in cells]
    return [cell.rjust(10) for cell in _format_cells(label, cells, place, start)]


def _format_reals(label: str, values: Any, place: str, start: int | None) -> list[str]:
    finite = ~np.isnan(values) if may_be_infinite(label) else np.isfinite(values)
    if not finite.all():
        index = int(np.flatnonzero(~finite)[0])
        row = None if start is None else start + index
        raise StarError(_refuse(label, float(values[index]), place, row, "a finite number"))
    return format_reals(values)


def _is_plain(cells: list[Any]) -> bool:
    return all(type(cell) is str and not needs_care(cell) for cell in cells)


def _refuse(label: str, value: object, place: str, row: int | None, expected: str) -> str:
    where = place if row is None else f"{place}, row {row + 1}"
    return f"{where}: {label} must be {expected}, not {value!r}."


def _format_cells(label: str, cells: Sequence[object], place: str, start: int | None) -> list[str]:
    """Format values one by one."""
    kind = label_kind(label)
    texts: list[str] = []
    for index, value in enumerate(cells):
        row = None if start is None else start + index
        if isinstance(value, np.generic):
            value = value.item()
        if kind == "double" and isinstance(value, (int, float)):
            texts.append(_format_reals(label, np.array([value], float), place, row)[0])
        elif kind == "double":
            raise StarError(_refuse(label, value, place, row, "a number"))
        elif kind in ("int", "bool"):
            if not isinstance(value, (int, float)) or value != value or value % 1:
                raise StarError(_refuse(label, value, place, row, "an integer"))
            texts.append(f"{int(value):12d}")
        elif isinstance(value, str):
            texts.append(_quote(label, value, place, row))
        elif isinstance(value, int):
            texts.append(f"{int(value):12d}")
        elif isinstance(value, float):
            texts.append(_format_reals(label, np.array([value]), place, row)[0])
        elif isinstance(value, (list, tuple, np.ndarray)):
            texts.append(f"[{','.join(f'{float(element):.12g}' for element in value)}]")
        else:
            raise StarError(_refuse(label, value, place, row, "text or a number"))
    return texts


def _quote(label: str, text: str, place: str, row: int | None) -> str:
    try:
        return quoted(text)
    except ValueError as error:
        raise StarError(_refuse(label, text, place, row, str(error))) from None
