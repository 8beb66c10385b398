"""Marker files of a job directory: success, failure, abort, and the wish to abort."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aurefine.errors import AurefineError, OutputError
from aurefine.jobs.stopping import TerminatedError, stoppable

__all__ = ["AbortRequestedError", "check_abort", "mark_failure", "run_controlled"]

_ABORT_WISH = "RELION_JOB_ABORT_NOW"
_EXITS = ("SUCCESS", "FAILURE", "ABORTED")
EXIT_ABORTED = 2


class AbortRequestedError(AurefineError):
    """The user asked through the job directory that the job stops."""


def check_abort(directory: str) -> None:
    """Raise `AbortRequestedError` if the job directory asks for it; "" means no job directory."""
    if directory and os.path.exists(directory + _ABORT_WISH):
        raise AbortRequestedError(f"{directory}: {_ABORT_WISH} found.")


def run_controlled(
    directory: str, work: Callable[[], None], *, folder: str = "", is_hasty: bool = False
) -> int:
    """Run a job and leave the marker of how it ended.

    Parameters
    ----------
    directory : str
        Value of ``--pipeline_control``, to which the names of the markers are appended; "" for
        no markers.
    work : callable
        The job.
    folder : str
        Where the job writes, from which incomplete files are removed if the process has to be
        ended by force.
    is_hasty : bool
        See `stoppable`.

    Returns
    -------
    exit_code : int
        0 on success, 2 on abort; any failure, Ctrl-C or signal is marked and raised again.

    Raises
    ------
    OutputError
        If a marker can not be written.
    """
    for ending in _EXITS:
        if directory:
            with contextlib.suppress(OSError):  # a bad directory shows when the job is marked
                os.unlink(f"{directory}RELION_JOB_EXIT_{ending}")

    def last_words(number: int) -> None:
        _remove_temporary_files(folder)
        if directory:
            Path(f"{directory}RELION_JOB_EXIT_ABORTED").touch()
        show_cursor = b"\x1b[?25h" if os.isatty(1) else b""  # hidden by a progress bar
        os.write(1, show_cursor + b"\n exiting with an abort ...\n")
        text = f"aurefine: error: stopped by {signal.Signals(number).name}.\n"
        os.write(2, text.encode())

    try:
        with stoppable(last_words, is_hasty=is_hasty):
            work()
    except AbortRequestedError:
        with contextlib.suppress(OSError):  # the wish is fulfilled: a continued run goes on
            os.unlink(directory + _ABORT_WISH)
        sys.stdout.write("\n exiting with an abort ...\n")
        _mark(directory, "ABORTED")
        return EXIT_ABORTED
    except (KeyboardInterrupt, TerminatedError):
        sys.stdout.write("\n exiting with an abort ...\n")
        _mark(directory, "ABORTED")
        raise
    except Exception:
        sys.stdout.write("\n exiting with an error ...\n")
        _mark(directory, "FAILURE")
        raise
    _mark(directory, "SUCCESS")
    return 0


def mark_failure(directory: str) -> None:
    """Leave the marker of a failed job; "" means no job directory."""
    _mark(directory, "FAILURE")


def _remove_temporary_files(folder: str) -> None:
    if folder:
        for path in Path(folder).glob(f"*.tmp-{os.getpid()}"):
            with contextlib.suppress(OSError):
                path.unlink()


def _mark(directory: str, ending: str) -> None:
    if not directory:
        return
    path = Path(f"{directory}RELION_JOB_EXIT_{ending}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise OutputError(f"{path}: can not write the marker: {error.strerror}.") from error
