"""Small STAR files as plain text cells: project and job files, read and written without pandas."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aurefine.errors import StarError
from aurefine.io._star_words import as_text, quoted, split_values
from aurefine.io.atomic import write_text_atomic

__all__ = ["CellFile", "CellList", "CellTable", "read_cells", "write_cells"]

_VERSION = re.compile(rb"#\s*version\s+([0-9]{1,9})\b")

CellList = dict[str, str]  # label without the underscore -> text


@dataclass(frozen=True, slots=True)
class CellTable:
    """A loop block: labels without the underscore, and rows of texts."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, label: str) -> list[str]:
        """Return the texts of one column.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if label not in self.labels:
            raise KeyError(label)
        index = self.labels.index(label)
        return [row[index] for row in self.rows]


@dataclass(frozen=True, slots=True)
class CellFile:
    """Blocks of a file by name (without ``data_``)."""

    blocks: Mapping[str, CellList | CellTable]
    version: int | None = None

    def table(self, name: str) -> CellTable:
        """Return a loop block; an empty one if it is missing."""
        block = self.blocks.get(name)
        return block if isinstance(block, CellTable) else CellTable((), ())

    def values(self, name: str) -> CellList:
        """Return a list block; an empty one if it is missing."""
        block = self.blocks.get(name)
        return block if isinstance(block, dict) else {}


def read_cells(path: str | os.PathLike[str]) -> CellFile:
    """Read a STAR file without giving its values types.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    file : CellFile
        Of several blocks with one name the first counts.

    Raises
    ------
    StarError
        If the file can not be read or is malformed; the message names the line.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise StarError(f"{name}: can not read the file: {error.strerror}.") from None
    if b"\0" in data:
        raise StarError(f"{name}: this is not a STAR file: it holds binary data.")
    blocks: dict[str, CellList | CellTable] = {}
    version: int | None = None
    block: str | None = None
    labels: list[str] = []
    rows: list[tuple[str, ...]] = []
    values: CellList = {}
    state = ""  # "", "list", "labels", "rows", "ended"

    def close() -> None:
        if block is not None and block not in blocks:
            is_table = state in ("labels", "rows", "ended")
            blocks[block] = CellTable(tuple(labels), tuple(rows)) if is_table else values

    for number, raw in enumerate(data.splitlines(), 1):
        line = raw.strip()
        if not line:
            state = "ended" if state == "rows" else state
            continue
        if line[:1] == b"#":
            found = _VERSION.match(line)
            if found and version is None:
                version = int(found[1])
            continue
        if line.startswith(b"data_"):
            close()
            block = as_text(line[5:])
            labels, rows, values, state = [], [], {}, "list"
        elif block is None or state == "ended":
            raise StarError(f"{name}: line {number}: found text outside of a block.")
        elif line.startswith(b"loop_"):
            state = "labels"
        elif state == "labels" and line[:1] == b"_":
            labels.append(as_text(line.split()[0][1:]))
        else:
            try:
                cells = tuple(as_text(cell) for cell in split_values(line))
            except ValueError as error:
                raise StarError(f"{name}: line {number}: {error}.") from None
            if state == "list":
                if not cells or not cells[0].startswith("_"):
                    raise StarError(f"{name}: line {number}: expected a label and its value.")
                values[cells[0][1:]] = cells[1] if len(cells) > 1 else ""
                continue
            state = "rows"
            if len(cells) != len(labels):
                raise StarError(
                    f"{name}: line {number}: {len(cells)} values for {len(labels)} columns."
                )
            rows.append(cells)
    close()
    return CellFile(blocks, version)


def write_cells(
    path: str | os.PathLike[str],
    blocks: Mapping[
        str, Mapping[str, str | int] | tuple[Sequence[str], Sequence[Sequence[object]]]
    ],
    *,
    version: int,
) -> None:
    """Write a STAR file from texts and whole numbers, in RELION's layout.

    Parameters
    ----------
    path : path-like
        The file; it appears under its name when it is complete.
    blocks : mapping
        Block name to a list (mapping of label to value) or to a table (labels, rows). Tables
        without rows are left out.
    version : int
        Number in the version line.

    Raises
    ------
    StarError
        If a text has several lines or control characters.
    OutputError
        If the file can not be written.
    """
    parts: list[str] = []
    for name, content in blocks.items():
        if isinstance(content, tuple):
            labels, rows = content
            if not rows:
                continue
            parts.append(f"\n# version {version}\n\ndata_{name}\n\nloop_ \n")
            parts += [f"_{label} #{index} \n" for index, label in enumerate(labels, 1)]
            for row in rows:
                cells = (_cell(path, label, cell) for label, cell in zip(labels, row, strict=True))
                parts.append(" ".join(cells) + " \n")
        else:
            parts.append(f"\n# version {version}\n\ndata_{name}\n\n")
            width = max(10, *(len(label) + 1 for label in content)) + 12
            for label, value in content.items():
                text = (
                    f"{value:12d}" if isinstance(value, int) else _cell(path, label, value).strip()
                )
                parts.append(f"{'_' + label:<{width}}{text}\n")
        parts.append(" \n")
    write_text_atomic(path, "".join(parts))


def _cell(path: str | os.PathLike[str], label: str, value: object) -> str:
    if isinstance(value, int):
        return f"{value:12d}"
    try:
        return quoted(str(value)).rjust(10)
    except ValueError as error:
        raise StarError(f"{os.fspath(path)}: {label} must be {error}, found {value!r}.") from None
