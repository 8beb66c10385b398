"""Checksums of the files of an iteration, kept in its optimiser file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aurefine.errors import OutputError

__all__ = ["changed_files", "file_checksums", "text_checksum"]

_LABEL = "aurefine_file_"
_CHUNK = 1 << 24  # bytes


def file_checksums(paths: Iterable[str]) -> dict[str, str]:
    """Return labels and values that let `changed_files` tell whether files are as written.

    Parameters
    ----------
    paths : iterable of str
        Files that have just been written.

    Raises
    ------
    OutputError
        If a file can not be read back.
    """
    listed = list(paths)
    try:
        with ThreadPoolExecutor(2) as pool:
            checksums = list(pool.map(_checksum, listed))
    except OSError as error:
        raise OutputError(
            f"{error.filename}: can not be read back after it was written: {error.strerror}."
        ) from None
    pairs = zip(checksums, listed, strict=True)
    return {f"{_LABEL}{n}": f"{checksum}:{path}" for n, (checksum, path) in enumerate(pairs, 1)}


def changed_files(
    exact: Mapping[str, Any], optimiser_path: str, *, only_beside: bool = False
) -> list[str]:
    """Return the files of an iteration that are missing or differ from what was written.

    Parameters
    ----------
    exact : mapping
        Labels and values of our block in the optimiser file. Without checksums, as in files of
        RELION, nothing is compared.
    optimiser_path : str
        Files are looked for beside this one, then from the working directory.
    only_beside : bool
        Whether they must be beside it.

    Returns
    -------
    list of str
        One text for each: the name and what is wrong.
    """
    folder = Path(optimiser_path).parent
    found = []
    for label, value in exact.items():
        if not label.startswith(_LABEL):
            continue
        checksum, _, name = str(value).partition(":")
        places = [folder / Path(name).name, *([] if only_beside else [Path(name)])]
        candidates = [path for path in places if path.is_file()]
        if not candidates:
            found.append(f"{places[0]}: the file is missing")
            continue
        path = str(candidates[0])
        try:
            if _checksum(path) != checksum:
                found.append(f"{path}: the file is not as it was written: its checksum differs")
        except OSError as error:
            found.append(f"{path}: can not be read: {error.strerror}")
    return found


def text_checksum(values: Mapping[str, Any]) -> str:
    """Return the checksum of labels and values in their order."""
    text = "\n".join(f"{label} {value}" for label, value in values.items())
    return f"crc-{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}"


def _checksum(path: str | os.PathLike[str]) -> str:
    value = 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return f"crc-{value:08x}"
