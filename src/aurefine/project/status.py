"""How a job stands: marker files, and the process that works on it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aurefine.io.atomic import write_text_atomic
from aurefine.project.types import Status

__all__ = [
    "ABORT_WISH",
    "MARKERS",
    "RunRecord",
    "clear_markers",
    "is_alive",
    "living_processes",
    "marked_status",
    "process_start",
    "read_run_record",
    "write_run_record",
]

# in the order in which they count
MARKERS: dict[str, Status] = {
    "RELION_JOB_EXIT_SUCCESS": "Succeeded",
    "RELION_JOB_EXIT_FAILURE": "Failed",
    "RELION_JOB_EXIT_ABORTED": "Aborted",
}
ABORT_WISH = "RELION_JOB_ABORT_NOW"
_RECORD = ".aurefine_run.json"
_CLOCK_SLACK = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Who works on a job: kept in its folder, so that a dead process is noticed.

    Attributes
    ----------
    host : str
    pid : int
        Of the process that watches over the job; 0 for a job that was handed to a queue.
    process_start : float
        When that process started [s since 1970], which tells it from a later one with its number.
    started : float
        When the job started [s since 1970].
    queue_id : str
        Number of the job in the queue, "" if it runs here.
    worker, worker_start : int, float
        The same as `pid` and `process_start` for the process that does the work; 0 before it has
        started.
    """

    host: str
    pid: int
    process_start: float
    started: float
    queue_id: str = ""
    worker: int = 0
    worker_start: float = 0.0


def marked_status(folder: Path) -> Status | None:
    """Return what the marker files of a job's folder say; None if there are none."""
    for name, status in MARKERS.items():
        if (folder / name).exists():
            return status
    return None


def clear_markers(folder: Path) -> None:
    """Remove the marker files of an earlier run, and the wish to abort it."""
    for name in (*MARKERS, ABORT_WISH):
        (folder / name).unlink(missing_ok=True)


def process_start(pid: int) -> float:
    """Return when a process started [s since 1970]; 0 if there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return 0.0


def write_run_record(folder: Path, pid: int, queue_id: str = "", *, worker: int = 0) -> None:
    """Note in a job's folder who works on it.

    Parameters
    ----------
    folder : Path
    pid : int
        Of the process that watches over the job.
    queue_id : str
    worker : int
        Of the process that does the work.

    Raises
    ------
    OutputError
        If the note can not be written.
    """
    old = read_run_record(folder)
    is_same = worker > 0 and old is not None and old.pid == pid
    record = RunRecord(
        host=socket.gethostname(),
        pid=pid,
        process_start=process_start(pid) if pid else 0.0,
        started=old.started if is_same and old is not None else time.time(),
        queue_id=queue_id,
        worker=worker,
        worker_start=process_start(worker) if worker else 0.0,
    )
    write_text_atomic(folder / _RECORD, json.dumps(asdict(record)) + "\n")


def read_run_record(folder: Path) -> RunRecord | None:
    """Return who works, or worked, on a job; None if aurefine did not start it."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        values: dict[str, Any] = json.loads((folder / _RECORD).read_text())
        return RunRecord(**values)
    return None


def is_alive(record: RunRecord) -> bool | None:
    """Whether a process of a job still exists; None if that can not be known from here."""
    if not record.pid or record.host != socket.gethostname():
        return None
    return bool(living_processes(record))


def living_processes(record: RunRecord) -> list[int]:
    """Return those processes of a job on this computer that still exist, the watching one first."""
    if record.host != socket.gethostname():
        return []
    pairs = ((record.pid, record.process_start), (record.worker, record.worker_start))
    return [pid for pid, start in pairs if pid and _is_same(pid, start)]


def _is_same(pid: int, start: float) -> bool:
    found = process_start(pid)
    return found > 0 and abs(found - start) < _CLOCK_SLACK
