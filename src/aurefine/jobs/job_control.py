"""Marker files of a job directory: success, failure, abort, and the wish to abort."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from aurefine.errors import AurefineError, OutputError

__all__ = ["AbortRequestedError", "check_abort", "run_controlled"]

_ABORT_WISH = "RELION_JOB_ABORT_NOW"
_EXITS = ("SUCCESS", "FAILURE", "ABORTED")
EXIT_ABORTED = 2


class AbortRequestedError(AurefineError):
    """The user asked through the job directory that the job stops."""


def check_abort(directory: str) -> None:
    """Raise `AbortRequestedError` if the job directory asks for it; "" means no job directory."""
    if directory and os.path.exists(directory + _ABORT_WISH):
        raise AbortRequestedError(f"{directory}: {_ABORT_WISH} found.")


def run_controlled(directory: str, work: Callable[[], None]) -> int:
    """Run a job and leave the marker of how it ended.

    Parameters
    ----------
    directory : str
        Value of ``--pipeline_control``, to which the names of the markers are appended; "" for
        no markers.
    work : callable
        The job.

    Returns
    -------
    exit_code : int
        0 on success, 2 on abort; any failure is marked and raised again.

    Raises
    ------
    OutputError
        If a marker can not be written.
    """
    for ending in _EXITS:
        if directory:
            with contextlib.suppress(OSError):  # a bad directory shows when the job is marked
                os.unlink(f"{directory}RELION_JOB_EXIT_{ending}")
    try:
        work()
    except AbortRequestedError:
        sys.stdout.write("\n exiting with an abort ...\n")
        _mark(directory, "ABORTED")
        return EXIT_ABORTED
    except Exception:
        sys.stdout.write("\n exiting with an error ...\n")
        _mark(directory, "FAILURE")
        raise
    _mark(directory, "SUCCESS")
    return 0


def _mark(directory: str, ending: str) -> None:
    if not directory:
        return
    path = Path(f"{directory}RELION_JOB_EXIT_{ending}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise OutputError(f"{path}: can not write the marker: {error.strerror}.") from error
