"""STAR files: reading; writing is in `aurefine.io._star_write` and offered here too."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd

from aurefine.errors import StarError
from aurefine.io._star_rows import Place, parse_value, read_rows
from aurefine.io._star_words import split_values
from aurefine.io._star_write import write_star
from aurefine.io.numbers import format_real, round_like_star

__all__ = [
    "StarBlock",
    "StarFile",
    "format_real",
    "read_star",
    "round_like_star",
    "write_star",
]

StarBlock: TypeAlias = pd.DataFrame | dict[str, Any]

_VERSION = re.compile(rb"#\s*version\s+([0-9]{1,9})\b")
_ROWS_END = re.compile(rb"\n[ \t]*(?=\n|\Z)")


@dataclass(frozen=True, slots=True)
class StarFile:
    """The blocks of a STAR file by name (without ``data_``), in file order.

    A loop block is a DataFrame, a list block a dict; keys are labels without the underscore.
    """

    blocks: Mapping[str, StarBlock]
    version: int | None = None
    path: str = field(default="")

    def __contains__(self, name: str) -> bool:
        return name in self.blocks

    def block(self, name: str) -> StarBlock:
        """Give a block of either kind; an empty name means the first one.

        Raises
        ------
        StarError
            If there is no such block; the message lists those that exist.
        """
        if name in self.blocks:
            return self.blocks[name]
        if name == "" and self.blocks:
            return next(iter(self.blocks.values()))
        present = ", ".join(f"data_{other}" for other in self.blocks) or "none"
        raise StarError(f"{self.path}: no block data_{name} in the file; it has: {present}.")

    def table(self, name: str) -> pd.DataFrame:
        """Give a loop block.

        Raises
        ------
        StarError
            If there is no such block or it is a list.
        """
        block = self.block(name)
        if not isinstance(block, pd.DataFrame):
            raise StarError(f"{self.path}: data_{name} is a list of values, not a table (loop_).")
        return block

    def values(self, name: str) -> dict[str, Any]:
        """Give a list block.

        Raises
        ------
        StarError
            If there is no such block or it is a table.
        """
        block = self.block(name)
        if isinstance(block, pd.DataFrame):
            raise StarError(f"{self.path}: data_{name} is a table (loop_), not a list of values.")
        return block


def read_star(path: str | os.PathLike[str], *, only: Collection[str] | None = None) -> StarFile:
    """Read a STAR file.

    Parameters
    ----------
    path : path-like
        The file. CR-LF line ends, a missing last line end, missing column numbers, comments
        between rows, and quotes are accepted.
    only : collection of str, optional
        Names of the blocks to read; the others are left out.

    Returns
    -------
    star : StarFile
        Columns and values are float64, int64 (integers and booleans) or str by the type of their
        label; labels that aurefine does not know keep their text. Of several blocks with one name
        the first counts.

    Raises
    ------
    StarError
        If the file can not be read or is malformed; the message names line, block and column.

    Notes
    -----
    RELION reads numbers that it can not parse as 0. Here they are errors, except for undefined
    (``nan``, ``inf``) figures of merit that no calculation uses: these become 0 with a warning.
    """
    name = os.fspath(path)
    data = _load(name)
    return _Reader(name, data).read(None if only is None else frozenset(only))


def _load(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        raise StarError(f"{path}: the STAR file does not exist.") from None
    except OSError as error:
        raise StarError(f"{path}: can not read the STAR file: {error.strerror}.") from error
    if b"\0" in data:
        raise StarError(f"{path}: this is not a STAR file: it holds binary data.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


class _Reader:
    """A cursor over the text of one file."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self.position = 0
        self.version: int | None = None

    def read(self, only: frozenset[str] | None) -> StarFile:
        blocks: dict[str, StarBlock] = {}
        n_blocks = 0
        while self.position < len(self.data):
            start = self.position
            line = self._next_line().strip()
            if line.startswith(b"data_"):
                n_blocks += 1
                name = line[5:].decode("utf-8", "surrogateescape")
                wanted = name not in blocks and (only is None or name in only)
                block = self._read_block(name, wanted)
                if wanted:
                    blocks[name] = block
            elif not self._is_skipped(line) and n_blocks:
                raise StarError(
                    f"{self.path}: line {self._line_number(start)}: text outside of any table:"
                    f" {_shorten(line)!r}. An empty line ends a table; remove empty lines between"
                    " rows."
                )
        if n_blocks == 0:
            raise StarError(f"{self.path}: this is not a STAR file: it has no line data_NAME.")
        return StarFile(blocks, self.version, self.path)

    def _next_line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            end = len(self.data)
        line = self.data[self.position : end]
        self.position = end + 1
        return line

    def _is_skipped(self, line: bytes) -> bool:
        """Whether the line is empty or a comment; notes the first version number."""
        if self.version is None and (match := _VERSION.match(line)) is not None:
            self.version = int(match.group(1))
        return not line or line.startswith((b"#", b";"))

    def _line_number(self, offset: int) -> int:
        return self.data.count(b"\n", 0, offset) + 1

    def _read_block(self, name: str, wanted: bool) -> StarBlock:
        """Read from the line after ``data_NAME``; leave the cursor behind the block."""
        values: dict[str, Any] = {}
        while self.position < len(self.data):
            start = self.position
            line = self._next_line().strip()
            if self._is_skipped(line):
                continue
            if line.startswith(b"data_"):
                self.position = start
                break
            if line.startswith(b"loop_"):
                table = self._read_loop(name, wanted and not values)
                return values or table
            if wanted:
                self._read_value(name, line, start, values)
        return values

    def _read_value(self, name: str, line: bytes, start: int, values: dict[str, Any]) -> None:
        place = f"{self.path}: line {self._line_number(start)} (data_{name})"
        if not line.startswith(b"_"):
            raise StarError(
                f"{place}: expected '_label value' or 'loop_', found {_shorten(line)!r}."
            )
        try:
            raw_label, *words = split_values(line)
            label = raw_label[1:].decode("utf-8", "surrogateescape")
            if len(words) > 1:
                raise ValueError(
                    f"{len(words)} values for one label; a value with blanks must stand in quotes"
                )
            value = parse_value(label, words[0] if words else b"")
        except ValueError as error:
            raise StarError(
                f"{place}: {line.split()[0].decode('utf-8', 'replace')}: {error}."
            ) from None
        if label in values:
            raise StarError(f"{place}: label {label} stands twice in the block; remove one.")
        values[label] = value

    def _read_labels(self, name: str) -> list[str]:
        labels: list[str] = []
        while self.position < len(self.data):
            start = self.position
            line = self._next_line().strip()
            if line.startswith(b"_"):
                label = line.split()[0][1:].decode("utf-8", "surrogateescape")
                if label in labels:
                    raise StarError(
                        f"{self.path}: line {self._line_number(start)} (data_{name}): label {label}"
                        " stands twice in the table; remove one of the columns."
                    )
                labels.append(label)
            elif not self._is_skipped(line):
                self.position = start
                break
        return labels

    def _read_loop(self, name: str, wanted: bool) -> pd.DataFrame:
        labels = self._read_labels(name)
        start = self.position
        if not labels and not re.match(rb"[ \t]*(?:data_|\Z)", self.data[start : start + 1000]):
            raise StarError(
                f"{self.path}: line {self._line_number(start)} (data_{name}): loop_ without labels;"
                " expected lines '_label #1'."
            )
        end = self._rows_end(start, len(labels))
        self.position = end
        if not wanted:
            return pd.DataFrame()
        place = Place(self.path, name, self._line_number(start))
        return read_rows(self.data[start:end], labels, place)

    def _rows_end(self, start: int, n_columns: int) -> int:
        """Offset behind the last row: an empty line, the next block, or the end of the file."""
        match = _ROWS_END.search(self.data, start)
        end = match.start() + 1 if match else len(self.data)
        hit = self.data.find(b"data_", start, end)
        while hit >= 0:
            line_start = self.data.rfind(b"\n", start, hit) + 1 or start
            line_end = self.data.find(b"\n", hit, end)
            line = self.data[line_start : line_end if line_end >= 0 else end]
            is_first = not line[: hit - line_start].strip()
            if is_first and len(line.split()) == 1 and (n_columns != 1 or line_start == start):
                return line_start
            hit = self.data.find(b"data_", hit + 5, end)
        return end


def _shorten(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:57]}..."
