"""The process that watches over one job: ``python -m aurefine.jobs.supervise PROJECT JOB WORDS``.

It starts the command, passes SIGTERM on to it, marks the job if the command could not do so itself,
brings the pipeline file up to date, starts jobs that waited for this one, and writes the report
(unless AUREFINE_REPORT is 0).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aurefine.errors import AurefineError, OutputError
from aurefine.jobs.schedule import ensure_scheduler
from aurefine.project import open_project
from aurefine.project.lock import project_lock
from aurefine.project.refresh import refresh
from aurefine.project.status import ABORT_WISH, marked_status, read_run_record, write_run_record

__all__ = ["after_queue", "supervise"]

_GRACE = 30.0  # seconds that a job has to end after SIGTERM
_POLL = 0.1
_SWITCH = "AUREFINE_REPORT"  # in the environment; 0: no report at the end


def supervise(project: Path, name: str, words: Sequence[str]) -> int:
    """Run the command of a job to its end.

    Parameters
    ----------
    project : Path
    name : str
        ``Refine3D/job012/``.
    words : sequence of str
        Program and arguments.

    Returns
    -------
    exit_code : int
        That of the command; 1 if it could not be started.
    """
    folder = project / name
    stop_at = [float("inf")]
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: object) -> None:
        stop_at[0] = min(stop_at[0], time.monotonic() + _GRACE)
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_run_record(folder, os.getpid())
    try:
        child = subprocess.Popen(words, cwd=project, preexec_fn=_default_signals)
    except OSError as error:
        sys.stderr.write(f"aurefine: error: {words[0]}: can not be started: {error.strerror}.\n")
        code = 1
    else:
        with contextlib.suppress(OutputError):  # should this process be killed, it is still known
            write_run_record(folder, os.getpid(), worker=child.pid)
        if stop_at[0] < float("inf"):  # asked to stop before there was anything to stop
            child.send_signal(signal.SIGTERM)
        code = _wait(child, stop_at)
    _mark(project, name, code, os.getpid())
    _finish(project, name)
    return code


def _default_signals() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may be closed
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wait(child: subprocess.Popen[bytes], stop_at: list[float]) -> int:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(timeout=_POLL)
        if time.monotonic() > stop_at[0]:
            child.kill()


def _mark(project: Path, name: str, code: int, owner: int) -> None:
    """Leave a marker if the command was not able to, unless the job has been started anew."""
    folder = project / name
    if marked_status(folder) is not None:
        return
    ending = "SUCCESS" if code == 0 else "FAILURE"
    if (folder / ABORT_WISH).exists():
        ending = "ABORTED"
    with (
        contextlib.suppress(OSError, OutputError),
        project_lock(project, f"marking {name}"),
    ):
        record = read_run_record(folder)
        if (record is not None and record.pid != owner) or marked_status(folder) is not None:
            return
        (folder / f"RELION_JOB_EXIT_{ending}").touch()
    if code < 0 and ending == "FAILURE":
        signal_name = signal.Signals(-code).name
        hint = " (often because memory ran out)" if -code == signal.SIGKILL else ""
        sys.stderr.write(f"aurefine: error: the job was ended by {signal_name}{hint}.\n")


def _finish(project: Path, name: str) -> None:
    """Bring the project up to date; the job itself has ended as its marker says."""
    try:
        opened = open_project(project)
        refresh(opened)
        ensure_scheduler(opened)
        if os.environ.get(_SWITCH, "1") != "0":
            from aurefine.jobs.job_report import write_report  # figures: slow to import

            write_report(opened, name)
    except AurefineError as error:
        sys.stderr.write(f" WARNING: {error}\n")


def after_queue(project: Path, name: str, code: int) -> None:
    """Mark a job that a queue has run, and do what is done at the end of every job.

    Parameters
    ----------
    project : Path
    name : str
        ``Refine3D/job012/``.
    code : int
        Exit code of its command, as the shell tells it: 128 and more for a signal.
    """
    _mark(project, name, 128 - code if code > 128 else code, 0)
    _finish(project, name)


if __name__ == "__main__":
    if sys.argv[1] == "--ended":
        after_queue(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        sys.exit(supervise(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
