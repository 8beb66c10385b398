"""Pages of STAR tables of any length, without reading the whole file into memory.

The first page of a file is there at once. A thread counts the lines of the rest, block of bytes
by block of bytes, so that any row can be found by reading one block.
"""

from __future__ import annotations

import bisect
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aurefine.errors import StarError

__all__ = ["StarPage", "StarPages", "StarTable", "TableOutline"]

_BLOCK = 1 << 16  # bytes between two known line numbers
_CHUNK = 1 << 22  # bytes read at once
_HEADER_LIMIT = 1 << 20  # bytes in which the labels of a table must end
_MAX_FILES = 8  # kept
_LONGEST_CELL = 2000  # characters shown
_NEW_LINE = ord("\n")
_SHORT = 8  # bytes of a line that may be empty but for blanks
_WORD = re.compile(r"\"([^\"]*)\"(?=\s|$)|'([^']*)'(?=\s|$)|(\S+)")


@dataclass(frozen=True, slots=True)
class TableOutline:
    """One block of a file as far as it is known."""

    name: str
    labels: tuple[str, ...]
    is_loop: bool
    n_rows: int
    is_complete: bool  # whether all rows are counted


@dataclass(frozen=True, slots=True)
class StarPage:
    """Some rows of one block, as text."""

    outline: TableOutline
    start: int
    rows: list[list[str]]


@dataclass(slots=True)
class StarTable:
    """Where the rows of one block are."""

    name: str
    labels: tuple[str, ...]
    is_loop: bool
    start: int  # of the first row [bytes]
    end: int = -1  # behind the last row; -1: not known yet
    values: list[list[str]] = field(default_factory=list)  # of a list block
    counts: list[int] = field(default_factory=list)  # lines before each block of bytes
    n_rows: int = 0  # counted so far

    @property
    def outline(self) -> TableOutline:
        """What is known now."""
        n_rows = self.n_rows if self.is_loop else len(self.values)
        return TableOutline(self.name, self.labels, self.is_loop, n_rows, self.end >= 0)


class StarPages:
    """Tables of recently used files."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[str, int, int], _StarFile] = OrderedDict()

    def outlines(self, path: Path) -> list[TableOutline]:
        """List the blocks found so far; the last is not complete while more may follow."""
        return self._file(path).outlines()

    def page(self, path: Path, block: int, start: int, count: int) -> StarPage:
        """Return up to `count` rows from row `start` (0-based) of a block.

        Raises
        ------
        StarError
            If the file has no such block.
        """
        return self._file(path).page(block, start, count)

    def _file(self, path: Path) -> _StarFile:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        with self._lock:
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = _StarFile(path, status.st_size)
                file.start()
            self._files.move_to_end(key)
            while len(self._files) > _MAX_FILES:
                self._files.popitem(last=False)[1].stop()
        file.wait_for_first_page()
        return file


class _StarFile:
    """The tables of one version of a file, found by a thread."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._stopped = False
        self._is_scanned = False
        self._error: str = ""
        self._ready = threading.Event()  # the first page can be shown
        self._thread = threading.Thread(target=self._scan, daemon=True)
        self.tables: list[StarTable] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True

    def wait_for_first_page(self) -> None:
        self._ready.wait(30)
        if self._error and not self.tables:
            raise StarError(self._error)

    def outlines(self) -> list[TableOutline]:
        is_scanned = self._is_scanned  # asked first: a block found meanwhile must not look the last
        found = [table.outline for table in self.tables]
        if found and not is_scanned:
            found[-1] = replace(found[-1], is_complete=False)
        return found

    def page(self, block: int, start: int, count: int) -> StarPage:
        if not 0 <= block < len(self.tables):
            raise StarError(f"{self._path.name}: there is no block number {block}.")
        table = self.tables[block]
        start, count = max(0, start), max(0, count)
        if not table.is_loop:
            return StarPage(table.outline, start, table.values[start : start + count])
        outline = table.outline
        start = min(start, outline.n_rows)
        rows = self._rows(table, start, min(count, outline.n_rows - start))
        return StarPage(outline, start, rows)

    def _rows(self, table: StarTable, start: int, count: int) -> list[list[str]]:
        if count <= 0:
            return []
        # the last block with fewer lines before it: the row begins in it or later
        index = max(bisect.bisect_left(table.counts, start) - 1, 0)
        with open(self._path, "rb") as stream:
            stream.seek(table.start + index * _BLOCK)
            for _ in range(start - table.counts[index]):
                stream.readline()
            lines = [stream.readline() for _ in range(count)]
        return [_cells(line) for line in lines if line.strip()]

    def _scan(self) -> None:
        try:
            with open(self._path, "rb", buffering=0) as stream:
                self._scan_blocks(stream.fileno())
        except (OSError, StarError) as error:
            self._error = f"{self._path.name}: {error}"
        if not self.tables and not self._error:
            self._error = f"{self._path.name}: is not a STAR file: it has no line data_NAME."
        self._is_scanned = True
        self._ready.set()

    def _scan_blocks(self, descriptor: int) -> None:
        position = 0
        while position < self._size and not self._stopped:
            head = os.pread(descriptor, _HEADER_LIMIT, position)
            table, offset = _read_head(head, position)
            if table is None:
                if offset <= 0:
                    return
                position += offset
                continue
            self.tables.append(table)
            if table.is_loop:
                position = self._count(descriptor, table)
            else:
                table.end = position = position + offset

    def _count(self, descriptor: int, table: StarTable) -> int:
        """Count the lines of a table; return where the next block may start."""
        n_lines = 0
        position = table.start
        begun = b""  # line that the chunk before has left unfinished
        while not self._stopped:
            chunk = os.pread(descriptor, _CHUNK, position)
            line_ends = _line_ends(chunk)
            n_used, used = _rows_in(chunk, line_ends, begun)
            blocks = np.arange(0, max(used, 1), _BLOCK)
            table.counts.extend((n_lines + np.searchsorted(line_ends, blocks)).tolist())
            n_lines += n_used
            position += used
            is_last = used < len(chunk) or len(chunk) < _CHUNK
            _, line_end, rest = chunk[: max(used, 0)].rpartition(b"\n")
            begun = rest if line_end else begun + rest
            if is_last and used >= 0 and begun.strip():
                n_lines += 1  # the last line has no line end
            table.n_rows = n_lines
            if is_last:
                table.end = position
                return position
            self._ready.set()  # a long table: its first rows can be shown
        return self._size


def _line_ends(chunk: bytes) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.frombuffer(chunk, np.uint8) == _NEW_LINE).astype(np.int64)


def _rows_in(chunk: bytes, line_ends: npt.NDArray[np.int64], begun: bytes) -> tuple[int, int]:
    """Count the line ends and bytes up to an empty line or the next block; all if there is none.

    A line that was begun in the chunk before counts in this one; if it is the end, the number of
    bytes is negative.
    """
    starts = np.concatenate(([0], line_ends + 1))
    ends = np.append(line_ends, len(chunk))
    letters = np.frombuffer(chunk + b"\n", np.uint8)[starts]
    is_suspect = (ends - starts <= _SHORT) | (letters == ord("d"))
    is_suspect[0] |= bool(begun)
    suspects = np.flatnonzero(is_suspect)
    for line in suspects.tolist():
        start, end = int(starts[line]), int(ends[line])
        before = begun if line == 0 else b""
        text = (before + chunk[start:end]).strip()
        is_whole = line < len(line_ends)
        if is_whole and (not text or text.startswith(b"data_")):
            return line, start - len(before)
    return len(line_ends), len(chunk)


def _read_head(head: bytes, position: int) -> tuple[StarTable | None, int]:
    """Read ``data_NAME`` and the labels or values; return the table and the bytes used."""
    name: str | None = None
    labels: list[str] = []
    values: list[list[str]] = []
    is_loop = False
    offset = 0
    for line in head.splitlines(keepends=True):
        text = line.strip()
        word = text.split(None, 1)[0] if text else b""
        if text.startswith(b"data_"):
            if name is not None:
                break
            name = _decode(text[5:])
        elif name is None or not text or text.startswith((b"#", b";")):
            pass
        elif word == b"loop_":
            is_loop = True
        elif text.startswith(b"_"):
            if is_loop:
                labels.append(_decode(word[1:]))
            else:
                values.append([_decode(word[1:]), " ".join(_cells(text[len(word) :]))])
        elif is_loop:
            break
        offset += len(line)
    if name is None:
        return None, offset
    if is_loop:
        return StarTable(name, tuple(labels), True, position + offset), offset
    return StarTable(name, ("label", "value"), False, position, values=values), offset


def _cells(line: bytes) -> list[str]:
    words = _WORD.findall(_decode(line))
    return [(quoted or single or plain)[:_LONGEST_CELL] for quoted, single, plain in words]


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")
