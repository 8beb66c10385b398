"""What a job is doing, read from the end of its log."""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Stage", "read_stage", "tail_text", "warnings_of"]

_TAIL = 1 << 16  # bytes
_MAX_WARNINGS = 50
_ITERATION = re.compile(r"Auto-refine: Iteration= (\d+)")
_DOTS = re.compile(r"^(\.+)(?: (\d+) sec)?$")
_SUMMARY = re.compile(r"Summary: iteration (\d+): .*?; (\d+(?:\.\d+)?) s(?:;|$)")
_DOTS_OF_A_STEP = 60
_STAGES = (
    ("Estimating accuracies", "estimating accuracies"),
    ("Auto-refine: Estimated accuracy", "preparing the search"),
    ("Expectation iteration", "searching poses"),
    ("Averaging half-reconstructions", "joining the halves at low resolution"),
    ("Calculating", "calculating the FSC"),
    ("Maximization", "reconstructing"),
    ("Summary: iteration", "writing files"),
    ("Refinement has converged, stopping", "finished"),
)


_AFTER_SEARCH = frozenset(stage for _, stage in _STAGES[3:])


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a refinement is; times in seconds, None if unknown."""

    iteration: int | None
    name: str
    fraction: float | None  # of the search of this iteration
    seconds_left: float | None  # of this iteration
    last_seconds: float | None  # what the iteration before took
    is_last: bool  # the iteration that joins the halves

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def tail_text(path: Path, n_bytes: int = _TAIL) -> str:
    """Return the end of a text file, from a line start; "" if there is no file."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - n_bytes))
            data = stream.read(n_bytes)
    except OSError:
        return ""
    if size > n_bytes:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def read_stage(log: str, started: float | None = None) -> Stage:
    """Tell from the end of `run.out` what the job does now.

    Parameters
    ----------
    log : str
    started : float, optional
        When the iteration began [seconds since 1970]; with it the time left is estimated from
        the share of the particles that are done.
    """
    iteration: int | None = None
    name, fraction, is_last = "starting", None, False
    last_seconds: float | None = None
    for line in log.splitlines():
        found = _ITERATION.search(line)
        if found:
            iteration, name, fraction, is_last = int(found[1]), "starting", None, False
        elif "entering last iteration" in line:
            is_last = True
        elif summary := _SUMMARY.search(line):
            last_seconds = float(summary[2])
            name, fraction = "writing files", 1.0
        elif dots := _DOTS.match(line.rstrip()):
            fraction = 1.0 if dots[2] else min(len(dots[1]) / _DOTS_OF_A_STEP, 1.0)
        else:
            for start, stage in _STAGES:
                if start in line:
                    name = stage
                    fraction = 1.0 if stage in _AFTER_SEARCH else 0.0
                    break
    left = None
    if started is not None and fraction is not None and 0.05 <= fraction < 1:
        left = (time.time() - started) * (1 - fraction) / fraction
    elif started is not None and last_seconds is not None and name != "finished" and not is_last:
        left = max(last_seconds - (time.time() - started), 0.0)
    return Stage(iteration, name, fraction, left, last_seconds, is_last)


def warnings_of(out: str, err: str) -> list[str]:
    """Return the warnings and errors in both logs, each once, the last ones of many."""
    lines: list[str] = []
    begin = ""  # of the line before, with all that stands before the text of its warning
    for line in out.splitlines():
        start, mark, text = line.strip().partition("WARNING:")
        if mark and start + mark == begin:
            lines[-1] += text  # one warning over several lines
        elif "WARNING" in line:
            lines.append(line.strip())
        begin = start + mark if mark else ""
    lines += [line.strip() for line in err.splitlines() if line.strip()]
    return list(dict.fromkeys(lines))[-_MAX_WARNINGS:]
