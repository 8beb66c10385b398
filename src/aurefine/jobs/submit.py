"""Scripts that hand a job to a queue such as SLURM, from templates with RELION's placeholders."""

from __future__ import annotations

import importlib.resources
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aurefine.errors import OptionError, OutputError
from aurefine.io.atomic import write_text_atomic

__all__ = [
    "QueueCommand",
    "QueueValues",
    "default_template",
    "fill_submit_script",
    "read_template",
    "submit_script",
]

_COMMAND = "XXXcommandXXX"
_PLACEHOLDER = re.compile(r"XXX([A-Za-z]+\d*)XXX")


@dataclass(frozen=True, slots=True)
class QueueCommand:
    """A command line of a job, and whether several processes can share its work."""

    text: str
    uses_mpi: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueValues:
    """What the placeholders of a template stand for.

    Attributes
    ----------
    commands : tuple of QueueCommand
        Command lines of the job, in order.
    name : str
        Folder of the job with a slash at its end, from the project directory.
    n_dedicated : int
        Cores of each node that the job takes.
    extras : tuple of str
        Values of XXXextra1XXX, XXXextra2XXX and so on.
    """

    commands: tuple[QueueCommand, ...]
    name: str
    queue: str = ""
    n_processes: int = 1
    n_threads: int = 1
    n_dedicated: int = 1
    extras: tuple[str, ...] = ()

    def words(self) -> dict[str, str]:
        """Return the value of each placeholder but that of the command."""
        cores = self.n_processes * self.n_threads
        words = {
            "mpinodes": str(self.n_processes),
            "threads": str(self.n_threads),
            "cores": str(cores),
            "dedicated": str(self.n_dedicated),
            "nodes": str(-(-cores // self.n_dedicated)),
            "name": self.name,
            "errfile": f"{self.name}run.err",
            "outfile": f"{self.name}run.out",
            "queue": self.queue,
        }
        return words | {f"extra{k}": value for k, value in enumerate(self.extras, start=1)}


def fill_submit_script(template: str, values: QueueValues) -> str:
    """Put the values of a job in the place of a template's placeholders.

    Parameters
    ----------
    template : str
        Text of a script with XXXcommandXXX and, where they matter, XXXmpinodesXXX,
        XXXthreadsXXX, XXXcoresXXX, XXXdedicatedXXX, XXXnodesXXX, XXXnameXXX, XXXerrfileXXX,
        XXXoutfileXXX, XXXqueueXXX and XXXextra1XXX, ...
    values : QueueValues

    Returns
    -------
    str
        The script. The line with XXXcommandXXX is repeated for each command; with several
        processes, commands that only one can run stand on lines of their own instead.

    Raises
    ------
    OptionError
        If there is no XXXcommandXXX, or a placeholder that has no value.
    """
    words = values.words()
    if _COMMAND not in template:
        raise OptionError(
            f"the submission script has no {_COMMAND}, which stands for the program to run. "
            "Add it, e.g. as: mpirun -n XXXmpinodesXXX XXXcommandXXX"
        )

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in words:
            known = ", ".join(f"XXX{word}XXX" for word in ("command", *words))
            raise OptionError(
                f"the submission script has {match.group(0)}, which has no value; known are "
                f"{known}. Correct the script, or give the extra value."
            )
        return words[name]

    lines = []
    for line in template.splitlines():
        if _COMMAND not in line:
            lines.append(_PLACEHOLDER.sub(value, line))
            continue
        parts = [_PLACEHOLDER.sub(value, part) for part in line.split(_COMMAND)]
        for command in values.commands:
            is_alone = values.n_processes > 1 and not command.uses_mpi
            lines.append(command.text if is_alone else command.text.join(parts))
    return "\n".join(lines) + "\n"


def default_template() -> str:
    """Return the template for SLURM that comes with the program."""
    file = importlib.resources.files("aurefine.jobs").joinpath("templates", "slurm.sh")
    return file.read_text(encoding="utf-8")


def read_template(path: str, *, has_queue: bool = True) -> str:
    """Read a template, or take the one that comes with the program.

    Parameters
    ----------
    path : str
        "" for the one of the program.
    has_queue : bool
        Without a queue, the program's own template leaves the choice to the cluster.

    Raises
    ------
    OptionError
        If the file can not be read.
    """
    if path:
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise OptionError(
                f"{path}: the template of the submission script can not be read: {reason}."
            ) from None
    lines = default_template().splitlines(keepends=True)
    return "".join(line for line in lines if has_queue or "XXXqueueXXX" not in line)


def submit_script(
    script: str, path: Path, program: Sequence[str], *, folder: Path | None = None
) -> str:
    """Write a script and hand it to the queue.

    Parameters
    ----------
    script : str
    path : Path
        Where it is written, e.g. ``Refine3D/job012/run_submit.script``.
    program : sequence of str
        That takes it, e.g. ``["sbatch"]``.
    folder : Path, optional
        Where the job works, and where a relative `path` starts; the working directory by default.

    Returns
    -------
    str
        What the program has answered, e.g. the number of the job.

    Raises
    ------
    OutputError
        If the script can not be written, or is not accepted.
    """
    target = path if folder is None else folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent}: can not make the folder: {error.strerror}.") from None
    write_text_atomic(target, script)
    try:
        done = subprocess.run(
            [*program, str(path)], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise OutputError(
            f"{program[0]}: can not be started: {error.strerror}. {path} is written: submit it "
            "from a machine of the cluster, or name the queue's program by --qsub."
        ) from None
    if done.returncode:
        answer = (done.stderr or done.stdout).strip()
        raise OutputError(f"{program[0]} did not accept {path}: {answer}")
    return done.stdout.strip()
