"""Where a continued run starts: the file that was named, or the newest complete iteration."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurefine.errors import AurefineError, OptionError, StarError
from aurefine.io import read_star
from aurefine.jobs.refine_checkpoint import Checkpoint, exact_block, read_checkpoint
from aurefine.jobs.refine_checksums import changed_files
from aurefine.jobs.refine_names import PARTIAL, FileNames
from aurefine.jobs.refine_optimiser import EXACT_BLOCK, WRITTEN_LABEL

__all__ = ["AUTO", "Start", "find_newest", "find_start", "remove_leftovers"]

AUTO = "auto"  # value of --continue
_OPTIMISER = re.compile(r"(?P<root>.+?)(_it(?P<iteration>\d{3,}))?_optimiser\.star")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run starts.

    Attributes
    ----------
    values : dict
        Option values in which `continue_from` is a file name, or missing for a new run.
    checkpoint : Checkpoint or None
        What a continued run goes on from.
    is_finished : bool
        Whether the run has converged, so that there is nothing to do.
    notes : tuple of str
        For the log: what was found, and what was skipped and why.
    warnings : tuple of str
    """

    values: dict[str, Any]
    checkpoint: Checkpoint | None = None
    is_finished: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Newest:
    """Result of a search: no path if nothing is complete."""

    path: str
    checkpoint: Checkpoint | None
    is_finished: bool
    skipped: tuple[str, ...]


def find_start(values: Mapping[str, Any]) -> Start:
    """Find out whether and where a run goes on.

    Parameters
    ----------
    values : mapping of str to value
        Option values. With ``--continue auto`` the run of ``--o``, or the only run in the folder
        of ``--pipeline_control`` or in the working directory, is continued; if it has no complete
        iteration and the inputs are given, a new run starts.

    Returns
    -------
    Start

    Raises
    ------
    StarError, MrcError
        If the file that was named can not be continued; the message names the newest one that can.
    OptionError
        If the run has converged (unless ``auto``), or if there is nothing to continue.
    """
    given = str(values.get("continue_from") or "")
    if not given:
        return Start(dict(values))
    if given != AUTO:
        return _named_start(given, values)
    root = str(values.get("output") or "") or _only_root(values)
    newest = find_newest(root)
    skipped = [f"skipped: {text}" for text in newest.skipped]
    if newest.path:
        known = {**values, "continue_from": newest.path, "output": root}
        notes = [f"--continue auto: going on from {newest.path}"]
        if newest.is_finished:
            notes = [f"--continue auto: {newest.path} says that the run has converged"]
        return Start(
            known, newest.checkpoint, newest.is_finished, (*notes,), warnings=tuple(skipped)
        )
    if values.get("particles") and values.get("reference"):
        new = {name: value for name, value in values.items() if name != "continue_from"}
        notes = [f"--continue auto: {root} has no complete iteration; a new run starts"]
        return Start(new, notes=tuple(notes), warnings=tuple(skipped))
    reasons = "".join(f" {text}." for text in newest.skipped)
    raise OptionError(
        f"option --continue auto: {root} has no complete iteration (no usable "
        f"{FileNames(root).stem}_it*_optimiser.star).{reasons} Give --i and --ref to start a new "
        "run, or --o with the root name of the run to continue."
    )


def find_newest(root: str) -> _Newest:
    """Find the newest complete iteration of a run.

    Iterations whose files are missing, cut off or changed since they were written are skipped,
    and so are those that an earlier run of the same name has left.

    Parameters
    ----------
    root : str
        Output root name.
    """
    skipped = list(_without_optimiser(root))
    files = sorted(_optimiser_files(root), reverse=True)
    for i, (_, number, path) in enumerate(files):
        try:
            if number == _FINAL:
                _refuse_changed(path)
                return _Newest(path, None, True, ())
            checkpoint = read_checkpoint(path)
            _refuse_changed(path)
        except AurefineError as error:
            skipped.append(f"{path}: {error}" if path not in str(error) else str(error))
            continue
        later = [
            f"{other}: left from an earlier run"
            for _, other_number, other in files[i + 1 :]
            if other_number > number
        ]
        return _Newest(path, checkpoint, False, (*skipped, *later))
    return _Newest("", None, False, tuple(skipped))


def remove_leftovers(root: str) -> None:
    """Remove temporary files that a killed run of the same name has left."""
    path = Path(root)
    for leftover in path.parent.glob(f"{_escape(path.name)}*.tmp-*"):
        with contextlib.suppress(OSError):
            leftover.unlink()


_FINAL = 1_000_000_000  # stands for the number of the converged end


def _named_start(path: str, values: Mapping[str, Any]) -> Start:
    """Continue from the file that the user names."""
    try:
        checkpoint = read_checkpoint(path)
        changed = changed_files(exact_block(path), path)
        maps = [text for text in changed if ".star: " not in text]
        if maps:
            raise StarError(f"{maps[0]}.")
    except OptionError:
        raise
    except AurefineError as error:
        raise type(error)(f"{error}{_advice(path)}") from None
    warnings = tuple(f"{text}; it is used as it is" for text in changed)
    return Start(dict(values), checkpoint, warnings=warnings)


def _advice(path: str) -> str:
    """Name the newest good iteration of the run that a damaged file belongs to."""
    match = _OPTIMISER.fullmatch(path)
    if match is None:
        return ""
    newest = find_newest(match["root"])
    if newest.is_finished:
        return f" The run has converged: {newest.path} is complete."
    if not newest.path:
        return " No iteration of this run is complete: start it again."
    return f" The newest complete iteration is {newest.path}: use --continue {newest.path}."


def _refuse_changed(path: str) -> None:
    """Raise StarError if files of an iteration are not as they were written."""
    changed = changed_files(exact_block(path), path, only_beside=True)
    if changed:
        raise StarError(f"{path}: {changed[0]}")


def _optimiser_files(root: str) -> Iterator[tuple[float, int, str]]:
    """Yield time of writing, number and name of the optimiser files of a run."""
    folder = Path(root).parent
    name = Path(root).name
    for path in folder.glob(f"{_escape(name)}*_optimiser.star"):
        match = _OPTIMISER.fullmatch(path.name)
        if match is None or match["root"] != name:
            continue
        number = _FINAL if match["iteration"] is None else int(match["iteration"])
        yield _time_of_writing(path), number, str(path)


def _time_of_writing(path: Path) -> float:
    """Seconds since 1970: what the file says, which survives copying, else its own time."""
    with contextlib.suppress(AurefineError, KeyError, ValueError):
        return float(read_star(path, only=[EXACT_BLOCK]).values(EXACT_BLOCK)[WRITTEN_LABEL])
    return path.stat().st_mtime


def _without_optimiser(root: str) -> Iterator[str]:
    """Name iterations that have files, but no optimiser file, which is written last."""
    folder, name = Path(root).parent, Path(root).name
    complete = {number for _, number, _ in _optimiser_files(root)}
    pattern = re.compile(re.escape(name) + r"_it(\d{3,})_.*")
    found = {
        int(match[1])
        for path in folder.glob("*")
        if (match := pattern.fullmatch(path.name)) and f"{match[1]}{PARTIAL}" not in path.name
    }
    for number in sorted(found - complete):
        names = FileNames(root, number)
        yield f"iteration {number} is not complete: {names.optimiser} is missing"


def _only_root(values: Mapping[str, Any]) -> str:
    """Return the root name of the only run in the job's folder."""
    folder = Path(str(values.get("pipeline_control") or "") or ".")
    matches = (_OPTIMISER.fullmatch(path.name) for path in folder.glob("*_optimiser.star"))
    roots = sorted({match["root"] for match in matches if match})
    if len(roots) == 1:
        return str(folder / roots[0])
    what = f"{len(roots)} runs ({', '.join(roots)})" if roots else "no run"
    raise OptionError(
        f"option --continue auto: found {what} in {folder.resolve()}; name the one to continue, "
        "e.g. --o Refine3D/job001/run."
    )


def _escape(name: str) -> str:
    """Take the characters of a file name that mean something in patterns literally."""
    return re.sub(r"([*?\[])", r"[\1]", name)
