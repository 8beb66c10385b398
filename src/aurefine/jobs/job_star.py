"""``job.star``: the settings of a job, as RELION reads and writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aurefine.errors import StarError
from aurefine.io.star_cells import read_cells, write_cells
from aurefine.jobs.form import FormField
from aurefine.jobs.job_types import JOB_TYPES, JobType, job_type_of
from aurefine.project.types import Dialect, process_from_number

__all__ = ["JobSettings", "job_type_in", "read_job_star", "write_job_star"]

_N_PARAMETERS = 10  # of an external job
_EXECUTABLE = "aurefine"


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What stands in a ``job.star``.

    Attributes
    ----------
    type : str
        RELION 5's label.
    job_type : JobType or None
        None for jobs that only RELION can run.
    values : dict of str to str
        By key; for a job type of ours complete and without unknown keys.
    is_continue : bool
    unknown : tuple of str
        Keys in the file that the job type does not have.
    """

    type: str
    job_type: JobType | None
    values: dict[str, str]
    is_continue: bool
    unknown: tuple[str, ...] = ()


def read_job_star(path: str | os.PathLike[str]) -> JobSettings:
    """Read the settings of a job.

    Parameters
    ----------
    path : path-like
        A ``job.star`` of RELION 3.1 to 5, or of aurefine.

    Returns
    -------
    settings : JobSettings
        Missing variables have their defaults.

    Raises
    ------
    StarError
        If the file is missing or is not a ``job.star``.
    """
    file = read_cells(path)
    head = file.values("job")
    label = head.get("rlnJobTypeLabel", "")
    number = head.get("rlnJobType", "")
    if not label and number.isdigit():
        label = process_from_number(int(number))
    if not label:
        raise StarError(f"{path}: data_job names no job type: this is not a job.star file.")
    table = file.table("joboptions_values")
    found: dict[str, str] = {}
    if table.rows:
        try:
            names = table.column("rlnJobOptionVariable")
            found = dict(zip(names, table.column("rlnJobOptionValue"), strict=True))
        except KeyError as error:
            raise StarError(f"{path}: data_joboptions_values has no column {error}.") from None
    is_continue = head.get("rlnJobIsContinue", "0") == "1"
    job_type = _type_of(label, found)
    if job_type is None:
        return JobSettings(label, None, found, is_continue)
    if job_type.name == "rescale":
        found = _from_external(job_type, found)
        label = job_type.label + job_type.sublabel(found)
    known = job_type.field_by_key
    values = {key: text for key, text in found.items() if key in known}
    dialect: Dialect = "5.0" if "rlnJobTypeLabel" in head else "3.1"
    return JobSettings(
        label,
        job_type,
        {**job_type.defaults(dialect), **values},
        is_continue,
        tuple(sorted(set(found) - set(known))),
    )


def write_job_star(
    path: str | os.PathLike[str],
    job_type: JobType,
    values: Mapping[str, str],
    *,
    is_continue: bool = False,
    dialect: Dialect = "3.1",
) -> None:
    """Write the settings of a job.

    Variables that the version of RELION does not know, and our own, are only written if they do
    not have their default.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    defaults = job_type.defaults(dialect)
    full = {**defaults, **values}
    if job_type.name == "rescale":
        full = _to_external(job_type, full)
    else:
        full = {
            field.key: full[field.key]
            for field in job_type.fields
            if field.version in ("", dialect) or full[field.key] != defaults[field.key]
        }
    rows = sorted(full.items(), key=lambda item: item[0].encode())
    head: dict[str, str | int]
    if dialect == "3.1":
        head = {"rlnJobType": job_type.number, "rlnJobIsContinue": int(is_continue)}
    else:
        head = {
            "rlnJobTypeLabel": job_type.label + job_type.sublabel({**defaults, **values}),
            "rlnJobIsContinue": int(is_continue),
            "rlnJobIsTomo": 0,
        }
    write_cells(
        path,
        {
            "job": head,
            "joboptions_values": (("rlnJobOptionVariable", "rlnJobOptionValue"), rows),
        },
        version=30001 if dialect == "3.1" else 50001,
    )


def job_type_in(folder: Path) -> JobType | None:
    """Return the type of the job whose settings lie in a folder; None if it is not ours."""
    try:
        return read_job_star(folder / "job.star").job_type
    except StarError:
        return None


def _type_of(label: str, found: Mapping[str, str]) -> JobType | None:
    job_type = job_type_of(label)
    if job_type is None or job_type.label != "relion.external":
        return job_type
    rescale = JOB_TYPES["rescale"]
    words = found.get("fn_exe", "").split()
    return rescale if words[-2:] == [_EXECUTABLE, rescale.program] else None


def _parameter(field: FormField) -> str:
    """Return the name of an option as RELION's external jobs have it: the flag without dashes."""
    return field.flag.removeprefix("--")


def _to_external(job_type: JobType, values: Mapping[str, str]) -> dict[str, str]:
    """Write the settings as those of an external job, which RELION can run and continue, too."""
    out = {
        "fn_exe": f"{_EXECUTABLE} {job_type.program}",
        **dict.fromkeys(("in_coords", "in_mask", "in_mic", "in_mov", "in_part"), ""),
    }
    parameters: list[tuple[str, str]] = []
    others: list[str] = []
    for field in job_type.fields:
        text = values[field.key]
        if not field.flag or field.key in ("in_3dref", "nr_threads"):
            out[field.key] = text
        elif text != field.default and field.kind == "bool":  # a flag without a value
            others.append(field.flag)
        elif text != field.default:
            parameters.append((_parameter(field), text))
    for number in range(1, _N_PARAMETERS + 1):
        name, text = parameters[number - 1] if number <= len(parameters) else ("", "")
        out[f"param{number}_label"], out[f"param{number}_value"] = name, text
    out["other_args"] = " ".join([*others, out["other_args"]]).strip()
    return out


def _from_external(job_type: JobType, found: Mapping[str, str]) -> dict[str, str]:
    by_name = {_parameter(field): field for field in job_type.fields if field.flag}
    out = {key: text for key, text in found.items() if key in job_type.field_by_key}
    for number in range(1, _N_PARAMETERS + 1):
        name = found.get(f"param{number}_label", "").strip()
        if name in by_name:
            out[by_name[name].key] = found.get(f"param{number}_value", "")
    switches = {
        field.flag: field for field in job_type.fields if field.kind == "bool" and field.flag
    }
    rest = []
    for word in out.get("other_args", "").split():
        if word in switches:
            out[switches[word].key] = "Yes"
        else:
            rest.append(word)
    out["other_args"] = " ".join(rest)
    return out
