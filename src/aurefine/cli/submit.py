"""`aurefine submit ... refine ...`: hand a command to a queue, or print its script."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aurefine.cli.start import command_values
from aurefine.errors import OptionError
from aurefine.jobs.extract_table import EXTRACT_OPTIONS
from aurefine.jobs.mask_create_table import MASK_OPTIONS
from aurefine.jobs.options import Option, with_defaults
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS
from aurefine.jobs.processes import MINIMUM, too_few_processes
from aurefine.jobs.refine_options import REFINE_OPTIONS
from aurefine.jobs.submit import (
    QueueCommand,
    QueueValues,
    fill_submit_script,
    read_template,
    submit_script,
)
from aurefine.jobs.submit_table import SUBMIT_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Hand a command to a queue such as SLURM, e.g. aurefine submit --mpi 5 refine --i
p.star --j 8 --o Refine3D/job012/run. Options of the queue stand before the command, its own ones
after it; the script is written to the output folder of the command as run_submit.script."""

# command, its options, whether processes share its work, and where its output goes
_COMMANDS: dict[str, tuple[Sequence[Option], bool, tuple[str, ...]]] = {
    "refine": (REFINE_OPTIONS, True, ("output", "continue_from")),
    "extract": (EXTRACT_OPTIONS, True, ("part_dir",)),
    "mask": (MASK_OPTIONS, False, ("output",)),
    "postprocess": (POSTPROCESS_OPTIONS, False, ("output",)),
}


def run(argv: Sequence[str]) -> int:
    """Submit a command, and return the exit code."""
    place = next((k for k, word in enumerate(argv) if word in _COMMANDS), len(argv))
    values = command_values(argv[:place], "submit", SUBMIT_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0
    if place == len(argv):
        raise OptionError(
            f"aurefine submit: the command to run is missing; expected one of "
            f"{', '.join(_COMMANDS)} and its options after those of the queue."
        )
    settings = with_defaults(SUBMIT_OPTIONS, values)
    name, rest = argv[place], list(argv[place + 1 :])
    filled = _queue_values(name, rest, settings)
    template = read_template(settings["template"], has_queue=bool(settings["queue"]))
    script = fill_submit_script(template, filled)
    if settings["dry_run"]:
        sys.stdout.write(script)
        return 0
    path = Path(f"{filled.name}run_submit.script")
    answer = submit_script(script, path, shlex.split(settings["program"]))
    sys.stdout.write(f"Submitted {path}\n" + (f"{answer}\n" if answer else ""))
    return 0


def _queue_values(name: str, rest: list[str], settings: dict[str, Any]) -> QueueValues:
    """Check the command, and find out what it needs."""
    options, uses_mpi, outputs = _COMMANDS[name]
    values = command_values(rest, name, options, "", prints_notes=False)
    if values is None:
        raise OptionError(f"aurefine submit: the options of {name} are missing.")
    if name == "refine" and 1 < settings["n_processes"] < MINIMUM:
        raise too_few_processes(settings["n_processes"])
    if settings["n_processes"] > 1 and not uses_mpi:
        raise OptionError(
            f"option --mpi: found {settings['n_processes']}, but aurefine {name} is one process. "
            "Leave --mpi out."
        )
    output = next((str(values[key]) for key in outputs if values.get(key)), "")
    folder = output if output.endswith("/") else str(Path(output).parent)
    full = with_defaults(options, values)
    threads = int(full.get("n_threads") or full.get("n_workers") or 1)
    return QueueValues(
        commands=(QueueCommand(shlex.join([*_program(), name, *rest]), uses_mpi),),
        name=folder.rstrip("/") + "/",
        queue=settings["queue"],
        n_processes=settings["n_processes"],
        n_threads=threads,
        n_dedicated=settings["n_dedicated"],
        extras=(settings["extra1"], settings["extra2"]),
    )


def _program() -> list[str]:
    """Return how this installation is started, wherever the job runs."""
    beside = Path(sys.executable).with_name("aurefine")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "aurefine"]
