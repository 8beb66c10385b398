"""The command of a job, built from the values of its form."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aurefine.errors import OptionError
from aurefine.jobs.form import FormField, has_effect
from aurefine.jobs.job_checks import check_form, complete, split_arguments
from aurefine.jobs.job_types import JobType
from aurefine.jobs.options import Form
from aurefine.project.types import Dialect

__all__ = ["Command", "Input", "build_command", "job_inputs", "summary_of"]

# kind of the files of a field -> type of the node
_NODE_TYPES = {
    "particles": "ParticleGroupMetadata.star.relion",
    "micrographs": "MicrographGroupMetadata.star.relion",
    "coordinates": "MicrographCoordsGroup.star.relion",
    "map": "DensityMap.mrc",
    "halfmap": "DensityMap.mrc.halfmap",
    "mask": "Mask3D.mrc",
    "optimiser": "OptimiserData.star.relion",
}


@dataclass(frozen=True, slots=True)
class Command:
    """The command of a job.

    Attributes
    ----------
    words : tuple of str
        ``aurefine``, its command, flags and values: nothing is given to a shell.
    n_processes : int
        MPI processes to start it with.
    """

    words: tuple[str, ...]
    n_processes: int = 1

    @property
    def text(self) -> str:
        """The command as one would type it in a terminal."""
        line = shlex.join(self.words)
        return f"mpirun -n {self.n_processes} {line}" if self.n_processes > 1 else line


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a job takes: its path, the type of the node, and the field that names it."""

    path: str
    type: str
    key: str


def build_command(
    job_type: JobType,
    values: Mapping[str, str],
    output: str,
    *,
    is_continue: bool = False,
    dialect: Dialect = "3.1",
    changed: Collection[str] = (),
) -> Command:
    """Build the command of a job.

    Parameters
    ----------
    job_type : JobType
    values : mapping of str to str
        By key; what is missing has its default.
    output : str
        Folder of the job from the project folder, e.g. ``Refine3D/job012/``.
    is_continue : bool
    dialect : str
        RELION version that the project is for.
    changed : collection of str
        Keys that were set for this run: our own options among them are written even if they have
        their default, because the files of the run may hold another value.

    Returns
    -------
    command : Command

    Raises
    ------
    OptionError
        If a value is missing or makes no sense.
    """
    full = complete(job_type, values, dialect)
    for problem in check_form(job_type, full, is_continue=is_continue):
        if problem.is_error:
            raise OptionError(problem.message)
    pieces: list[list[str]] = []
    is_restart = is_continue and job_type.name == "refine3d"
    first_output = job_type.outputs(full, dialect)[0][0]
    for words in job_type.fixed:
        if not is_restart or words[0] == "--o":
            pieces.append(
                [w.replace("{out}", output).replace("{first_output}", first_output) for w in words]
            )
    if is_restart:
        pieces.append(["--continue", full["fn_cont"].strip()])
    if is_continue and job_type.name == "extract":
        pieces.append(["--only_do_unfinished"])
    if dialect == "3.1" and job_type.name == "extract":
        pieces.append(["--dialect", "3.1"])
    for field in job_type.fields:
        if is_restart and field.continues == "new":
            continue
        if has_effect(field, full):
            pieces.append(_argument(field, full, is_changed=field.key in changed))
    order = {flag: index for index, flag in enumerate(job_type.command_order)}
    last = len(order)
    pieces = [piece for piece in pieces if piece]
    pieces.sort(key=lambda piece: order.get(piece[0], last))  # stable
    line = ["aurefine", job_type.program, *(word for piece in pieces for word in piece)]
    line += split_arguments(full["other_args"])
    line += ["--pipeline_control", output]
    return Command(tuple(line), int(float(full.get("nr_mpi", "1"))))


def job_inputs(
    job_type: JobType, values: Mapping[str, str], *, is_continue: bool = False
) -> list[Input]:
    """Return the files that a job takes, in the order of the form.

    A continued refinement takes none: it goes on from its own files.
    """
    full = complete(job_type, values)
    if is_continue and job_type.name == "refine3d":
        return []
    found = []
    for field in job_type.fields:
        text = full[field.key].strip()
        if field.nodes and text not in ("", "None") and has_effect(field, full):
            found.append(Input(text, _NODE_TYPES[field.nodes[0]], field.key))
    return found


def summary_of(job_type: JobType, values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return label and value of every visible field that has an effect, for reports."""
    full = complete(job_type, values)
    return [
        (field.label, full[field.key])
        for field in job_type.fields
        if not field.is_hidden
        and has_effect(field, full)
        and (field.version != "aurefine" or full[field.key] != field.default)
    ]


def _argument(
    field: FormField, values: Mapping[str, str], *, is_changed: bool = False
) -> list[str]:
    form = field.option.form or Form(key=field.key)
    if form.argument is not None:
        return list(form.argument(values))
    text = values[field.key].strip()
    writes = form.writes or ("yes" if field.kind == "bool" else "value")
    if not field.flag or writes == "nothing" or text == "":
        return []
    if field.version == "aurefine" and text == field.default and not is_changed:
        return []
    if writes in ("yes", "no"):
        if field.option.default and writes == "yes":  # an option that can only be switched off
            return [] if text == "Yes" else [field.option.negatives[0]]
        return [field.flag] if text == writes.capitalize() else []
    if writes == "positive" and float(text) <= 0:
        return []
    return [field.flag, text]
