"""Rows of a STAR table: from text to typed columns."""

import contextlib
import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.io._star_words import WORD, as_text, split_values
from aurefine.io.labels import label_kind, may_be_infinite, may_be_undefined

__all__ = ["Place", "parse_value", "read_rows"]

_log = logging.getLogger(__name__)

_SPECIAL_START = re.compile(rb"""(?:\A|[ \t\n])["'#]""")
_REAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(rb"[+-]?[0-9]+")
_PLAIN_NUMBERS = re.compile(rb"[-+.0-9eE\n]*")
_UNDEFINED = re.compile(rb"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_ROWS_PER_CHUNK = 100_000
_INT64 = np.iinfo(np.int64)
# Before version 3, pandas rounds correctly only when asked.
_EXACT: dict[str, Any] = (
    {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands, for messages."""

    path: str
    block: str
    first_line: int  # of the rows

    def error(self, message: str, row: int | None = None) -> StarError:
        """Make an error that names file, line, block and row (from 0)."""
        if row is None:
            return StarError(f"{self.path}: data_{self.block}: {message}")
        line = self.first_line + row
        return StarError(f"{self.path}: line {line} (data_{self.block}, row {row + 1}): {message}")


def parse_value(label: str, raw: bytes) -> float | int | str:
    """Turn the text of one value into the type of its label.

    Raises
    ------
    ValueError
        If it is not a number where one is needed; the text says what is expected.
    """
    kind = label_kind(label)
    if kind == "double":
        return _parse_real(label, raw)
    if kind in ("int", "bool"):
        return _parse_integer(raw)
    return as_text(raw)


def _parse_real(label: str, raw: bytes) -> float:
    if _REAL.fullmatch(raw):
        value = float(raw)
        if np.isfinite(value):
            return value
    elif _UNDEFINED.fullmatch(raw):
        if may_be_infinite(label) and np.isinf(float(raw)):
            return float(raw)
        if may_be_undefined(label):
            return 0.0
    raise ValueError(f"must be a finite number, found {as_text(raw)!r}")


def _parse_integer(raw: bytes) -> int:
    value = None
    if _INTEGER.fullmatch(raw) and len(raw) <= 20:
        value = int(raw)
    elif _REAL.fullmatch(raw) and float(raw).is_integer():
        value = int(float(raw))
    if value is None or not _INT64.min <= value <= _INT64.max:
        raise ValueError(f"must be an integer, found {as_text(raw)!r}")
    return value


def read_rows(region: bytes, labels: Sequence[str], place: Place) -> pd.DataFrame:
    """Read the rows of a loop block.

    Parameters
    ----------
    region : bytes
        Lines of the rows, LF line ends.
    labels : sequence of str
        Column names in order.
    place : Place
        Where they come from.

    Returns
    -------
    table : DataFrame
        float64, int64 and object (str) columns by the type of their labels.

    Raises
    ------
    StarError
        If a row has the wrong number of values, or a value is not of the type of its column.
    """
    table = _read_plain_rows(region, labels)
    if table is None:
        chunks = list(_read_any_rows(region, labels, place))
        table = chunks[0] if len(chunks) == 1 else pd.concat(chunks, ignore_index=True)
    return table


def _read_plain_rows(region: bytes, labels: Sequence[str]) -> pd.DataFrame | None:
    """Read rows without quotes and comments quickly; None if that is not possible."""
    special = b'"' in region or b"'" in region or b"#" in region
    if b"\x07" in region or (special and _SPECIAL_START.search(region)):
        return None
    # pandas takes the words true and false for numbers
    if any(part in region for part in (b"rue", b"alse", b"RUE", b"ALSE")):
        return None
    if len(region.lstrip().split(b"\n", 1)[0].split()) != len(labels):
        return None
    types = {label: _column_type(label) for label in labels}
    try:
        with np.errstate(invalid="ignore"):  # infinity in a column of integers
            table: pd.DataFrame = pd.read_csv(
                io.BytesIO(region),
                sep=r"\s+",
                header=None,
                names=list(labels),
                dtype=types,
                index_col=False,
                na_filter=False,
                quoting=csv.QUOTE_NONE,
                encoding_errors="surrogateescape",
                engine="c",
                low_memory=False,
                **_EXACT,
            )
    except (ValueError, OverflowError, pd.errors.ParserError):
        return None
    for label in labels:
        column = table[label]
        if column.dtype != types[label]:
            return None
        if column.dtype == np.float64 and not np.isfinite(column.to_numpy()).all():
            return None
    if types[labels[-1]] is object and (table[labels[-1]] == "").any():  # short rows
        return None
    return table


def _column_type(label: str) -> type:
    kind = label_kind(label)
    if kind == "double":
        return np.float64
    return np.int64 if kind in ("int", "bool") else object


def _read_any_rows(region: bytes, labels: Sequence[str], place: Place) -> Iterator[pd.DataFrame]:
    lines = region.split(b"\n")
    for start in range(0, len(lines), _ROWS_PER_CHUNK):
        rows: list[list[bytes]] = []
        numbers: list[int] = []  # index of the line of each row
        for index, line in enumerate(lines[start : start + _ROWS_PER_CHUNK], start):
            if _SPECIAL_START.search(line) or b"\x07" in line:
                try:
                    row = split_values(line)
                except ValueError as error:
                    raise place.error(f"{error}.", index) from None
            else:
                row = WORD.findall(line)
            if not row:  # a comment, or the end of the last line
                continue
            if len(row) < len(labels) <= 2 and _column_type(labels[-1]) is object:
                row.append(b"")  # RELION allows it for lists of pairs
            if len(row) != len(labels):
                raise place.error(
                    f"{len(row)} values for {len(labels)} columns. Values that hold blanks must"
                    " stand in quotes, empty ones are written as two quotes.",
                    index,
                )
            rows.append(row)
            numbers.append(index)
        if rows or start == 0:
            columns = zip(*rows, strict=True) if rows else [()] * len(labels)
            yield pd.DataFrame(
                {
                    label: _typed_column(label, column, numbers, place)
                    for label, column in zip(labels, columns, strict=True)
                }
            )


def _typed_column(
    label: str, column: Sequence[bytes], numbers: Sequence[int], place: Place
) -> "pd.Series[Any]":
    column_type = _column_type(label)
    joined = b"\n".join(column)
    if column and column_type is object:  # values have no line ends
        return pd.Series(as_text(joined).split("\n"), dtype=object)
    if column and _PLAIN_NUMBERS.fullmatch(joined):
        with contextlib.suppress(ValueError, OverflowError):
            array: npt.NDArray[Any] = np.array(column).astype(column_type)
            if column_type is np.int64 or np.isfinite(array).all():
                return pd.Series(array)
    cells: list[Any] = []
    for index, raw in zip(numbers, column, strict=True):
        try:
            cells.append(parse_value(label, raw))
        except ValueError as error:
            message = f"column {label}: {error}. Correct the value or remove the row."
            raise place.error(message, index) from None
    if may_be_undefined(label):
        n_undefined = sum(_UNDEFINED.fullmatch(raw) is not None for raw in column)
        if n_undefined:
            text = "%s: data_%s, column %s: %d undefined values are read as 0"
            _log.warning(text, place.path, place.block, label, n_undefined)
    return pd.Series(cells, dtype=column_type)
