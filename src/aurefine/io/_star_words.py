"""Words of a STAR file: splitting a line into values, and quoting a value."""

from __future__ import annotations

import re

__all__ = ["WORD", "as_text", "needs_care", "quoted", "split_values"]

WORD = re.compile(rb"[^ \t]+")
_QUOTE_END = {
    b'"'[0]: re.compile(rb'(?<!\x07)"(?=[ \t]|\Z)'),
    b"'"[0]: re.compile(rb"(?<!\x07)'(?=[ \t]|\Z)"),
}
_NEEDS_QUOTES = re.compile(r"""\Z|["'#_;]|data_|loop_|.*[ \t]""")
_FORBIDDEN = re.compile(r"[\x00-\x08\n-\x1f\x7f]")  # control characters other than tab
_ENDS_EARLY = {'"': re.compile(r'"(?=[ \t])'), "'": re.compile(r"'(?=[ \t])")}


def as_text(raw: bytes) -> str:
    """Decode a value; bytes that are not UTF-8 survive a round trip."""
    return raw.decode("utf-8", "surrogateescape")


def split_values(line: bytes) -> list[bytes]:
    """Split one line at blanks, minding quotes and a comment at its end.

    Raises
    ------
    ValueError
        If a quote is not closed.
    """
    values: list[bytes] = []
    position = 0
    while (word := WORD.search(line, position)) is not None:
        start = word.start()
        first = line[start]
        if first == b"#"[0]:
            break
        if first in _QUOTE_END:
            closing = _QUOTE_END[first].search(line, start + 1)
            if closing is None:
                raise ValueError(f"the quote that opens in column {start + 1} is not closed")
            values.append(line[start + 1 : closing.start()].replace(b"\x07", b""))
            position = closing.end()
        else:
            values.append(word.group().replace(b"\x07", b""))
            position = word.end()
    return values


def needs_care(text: str) -> bool:
    """Whether a value must be quoted, or can not be written at all."""
    return _NEEDS_QUOTES.match(text) is not None or _FORBIDDEN.search(text) is not None


def quoted(text: str) -> str:
    """Return a value as it stands in a file, in quotes if it needs them.

    Raises
    ------
    ValueError
        If it holds control characters or line ends; the text says what is expected.
    """
    if not needs_care(text):
        return text
    if _FORBIDDEN.search(text):
        raise ValueError("text on one line without control characters")
    for quote in ('"', "'"):
        if not _ENDS_EARLY[quote].search(text):
            return f"{quote}{text}{quote}"
    return '"' + _ENDS_EARLY['"'].sub('\x07"', text) + '"'
