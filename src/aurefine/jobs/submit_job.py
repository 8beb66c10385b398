"""Handing a job to a queue: the filled script, and the program that takes it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from aurefine.errors import OptionError
from aurefine.jobs.job_command import Command
from aurefine.jobs.submit import (
    QueueCommand,
    QueueValues,
    fill_submit_script,
    read_template,
    submit_script,
)
from aurefine.project.status import write_run_record

__all__ = ["SCRIPT_NAME", "hand_to_queue", "leave_queue"]

SCRIPT_NAME = "run_submit.script"
_PATIENCE = 60.0  # seconds for the program of the queue
_NUMBER = re.compile(r"\d+(?:\.[\w.-]+)?")


def hand_to_queue(project: Path, name: str, command: Command, values: Mapping[str, str]) -> str:
    """Fill the submission script of the site and give it to the queue.

    The script is ``run_submit.script`` in the folder of the job. It also marks the job, and writes
    its report, when the command has ended.

    Parameters
    ----------
    project : Path
    name : str
        ``Refine3D/job012/``.
    command : Command
    values : mapping of str to str
        Of the form: ``qsubscript`` ("" for the template that comes with the program), ``qsub``,
        ``queuename``, ``min_dedicated``, ``nr_threads``.

    Returns
    -------
    queue_id : str
        What the queue calls the job; "" if it does not say.

    Raises
    ------
    OptionError
        If the template can not be read or filled.
    OutputError
        If the script can not be written, or the queue does not take it.
    """
    path = values["qsubscript"].strip()
    submit = shlex.split(values["qsub"])
    if not submit:
        raise OptionError(f"{name}: the queue submit command is empty.")
    template = read_template(
        str(project / path) if path else "", has_queue=bool(values["queuename"].strip())
    )
    for text in values.values():
        if any(not character.isprintable() for character in text):
            raise OptionError(f"{name}: found {text!r}, expected a value on one line.")
    ended = [sys.executable, "-m", "aurefine.jobs.supervise", "--ended", str(project), name]
    extras = sorted(key for key in values if key.startswith("qsub_extra"))
    filled = QueueValues(
        commands=(
            QueueCommand(shlex.join([sys.executable, "-m", *command.words])),
            # with the exit code of the first one
            QueueCommand(f"{shlex.join(ended)} $?", uses_mpi=False),
        ),
        name=name,
        queue=values["queuename"],
        n_processes=command.n_processes,
        n_threads=int(float(values.get("nr_threads", values.get("aurefine_n_workers", "1")))),
        n_dedicated=int(float(values["min_dedicated"])),
        extras=tuple(values[key] for key in extras),
    )
    script = fill_submit_script(template, filled)
    answer = submit_script(script, Path(name) / SCRIPT_NAME, submit, folder=project)
    found = _NUMBER.findall(answer)
    queue_id = found[-1] if found else ""
    write_run_record(project / name, 0, queue_id or "unknown")
    return queue_id


def leave_queue(project: Path, queue_id: str) -> bool:
    """Take a job out of SLURM's queue.

    Parameters
    ----------
    project : Path
    queue_id : str
        Number of the job.

    Returns
    -------
    was_waiting : bool
        Whether it had not started; one that had gets SIGTERM from SLURM.
    """
    if not queue_id.isdigit() or not shutil.which("scancel"):
        return False  # another kind of queue: the job sees that it is to stop
    was_waiting = False
    if shutil.which("squeue"):
        try:
            state = _run(["squeue", "-h", "-j", queue_id, "-o", "%T"], project)
            was_waiting = state.strip() == "PENDING"
        except OptionError:
            return False  # it has ended
    _run(["scancel", queue_id], project)
    return was_waiting


def _run(words: list[str], folder: Path) -> str:
    try:
        result = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"{words[0]}: the queue can not be reached: {error}.") from None
    if result.returncode:
        words_of_queue = (result.stderr or result.stdout).strip()[:500]
        raise OptionError(f"{words[0]}: the queue refused the job: {words_of_queue}")
    return result.stdout
