"""Starting the command of a job: as a process of its own, or through a queue."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from aurefine.errors import OutputError
from aurefine.jobs.job_command import Command
from aurefine.project.status import write_run_record

__all__ = ["program_words", "start_detached", "start_here"]


def program_words(command: Command) -> list[str]:
    """Return what to execute: this Python's aurefine in place of the name of the program."""
    words = [sys.executable, "-m", *command.words]
    if command.n_processes > 1:
        runner = os.environ.get("RELION_MPIRUN", "mpirun")
        return [*runner.split(), "-n", str(command.n_processes), *words]
    return words


def start_detached(
    words: Sequence[str],
    folder: Path,
    out: IO[bytes] | int = subprocess.DEVNULL,
    err: IO[bytes] | int = subprocess.DEVNULL,
) -> int:
    """Start a process in a session of its own, which goes on when this one ends.

    Parameters
    ----------
    words : sequence of str
        Program and arguments.
    folder : Path
        Its working directory.
    out, err : file or int
        For its output.

    Returns
    -------
    pid : int
    """
    process = subprocess.Popen(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )
    # as long as this process lives, it must take note of the other one's end
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def start_here(project: Path, name: str, command: Command) -> int:
    """Start a job on this computer, in a session of its own.

    A small process watches over it (`aurefine.jobs.supervise`); both go on when the program that
    started them, or its terminal, is closed.

    Parameters
    ----------
    project : Path
    name : str
        ``Refine3D/job012/``.
    command : Command

    Returns
    -------
    pid : int
        Of the process that watches over the job.

    Raises
    ------
    OutputError
        If it can not be started.
    """
    words = [
        sys.executable, "-m", "aurefine.jobs.supervise", str(project), name,
        *program_words(command),
    ]  # fmt: skip
    try:
        with (
            open(project / name / "run.out", "ab") as out,
            open(project / name / "run.err", "ab") as err,
        ):
            pid = start_detached(words, project, out, err)
        write_run_record(project / name, pid)  # that process adds the one that does the work
    except OSError as error:
        raise OutputError(f"{name}: the job can not be started: {error}.") from None
    return pid
