"""Checks of the form of a job: every field, and what fields say together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from aurefine.errors import OptionError
from aurefine.jobs.form import Problem, check_field, is_enabled
from aurefine.jobs.job_types import JobType
from aurefine.project.types import Dialect

__all__ = ["check_form", "complete", "split_arguments"]

_GROUP_NAME = re.compile(r"[A-Za-z0-9-]+")
_SYMMETRY = re.compile(r"[CD][1-9][0-9]{0,2}|T|O|I[1-4]?", re.IGNORECASE)


def check_form(
    job_type: JobType,
    values: Mapping[str, str],
    *,
    is_continue: bool = False,
) -> list[Problem]:
    """Check all fields of a form, one by one and together, without a look at the disk.

    Parameters
    ----------
    job_type : JobType
    values : mapping of str to str
        By key; what is missing has its default.
    is_continue : bool

    Returns
    -------
    problems : list of Problem
        Empty if the job can be run.
    """
    full = complete(job_type, values)
    problems: list[Problem] = []
    for field in job_type.fields:
        if field.is_fixed or is_enabled(field, full, is_continue=is_continue):
            problem = check_field(field, full[field.key])
            if problem:
                problems.append(problem)
    wrong = {problem.key for problem in problems if problem.is_error}
    # a file that is not chosen yet does not keep the rest from being checked
    if any(job_type.field_by_key[key].kind != "file" for key in wrong):
        return problems
    together = _check_together(job_type, full, is_continue)
    return problems + [problem for problem in together if problem.key not in wrong]


def complete(
    job_type: JobType, values: Mapping[str, str], dialect: Dialect = "3.1"
) -> dict[str, str]:
    """Return a value for every field: the given one or its default.

    Raises
    ------
    OptionError
        If there is a value for a field that the job type does not have.
    """
    unknown = sorted(set(values) - set(job_type.field_by_key))
    if unknown:
        raise OptionError(f"{job_type.title} has no option {', '.join(unknown)}.")
    return {**job_type.defaults(dialect), **values}


def split_arguments(text: str) -> list[str]:
    """Return the words of *Additional arguments*.

    Raises
    ------
    OptionError
        If a quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise OptionError(f"Additional arguments: {str(error).lower()} in '{text}'.") from None


def _check_together(
    job_type: JobType, values: Mapping[str, str], is_continue: bool
) -> list[Problem]:
    problems: list[Problem] = []

    def fail(key: str, message: str) -> None:
        problems.append(Problem(key, message))

    try:
        split_arguments(values["other_args"])
    except OptionError as error:
        fail("other_args", str(error))
    if job_type.name == "extract":
        if values["do_reset_offsets"] == values["do_recenter"] == "Yes":
            fail("do_recenter", "choose one: either reset the offsets to zero, or re-center.")
        if values["do_reextract"] == "Yes" and not values["fndata_reextract"].strip():
            fail("fndata_reextract", "Refined particles STAR file: is empty; a value is needed.")
        if values["do_reextract"] == "No" and not values["coords_suffix"].strip():
            fail("coords_suffix", "Input coordinates: is empty; or re-extract refined particles.")
        for key in ("extract_size", "rescale"):
            if float(values[key]) % 2:
                label = job_type.field_by_key[key].label.rstrip(":")
                fail(key, f"{label}: found {values[key]}, expected an even number.")
    elif job_type.name == "refine3d":
        if not is_continue and not _SYMMETRY.fullmatch(values["sym_name"].strip()):
            fail("sym_name", f"Symmetry: found '{values['sym_name']}', expected Cn, Dn, T, O or I.")
        name = values["fn_cont"].strip()
        if is_continue and not ("_it" in name and "_optimiser" in name):
            fail("fn_cont", f"Continue from here: found '{name}', expected *_it*_optimiser.star.")
    elif job_type.name == "import":
        _check_import(values, fail)
    elif job_type.name == "postprocess":
        name = values["fn_in"].rpartition("/")[2]
        if "half1" not in name and "half2" not in name:
            fail("fn_in", f"half map: found '{name}', expected half1 or half2 in the file name.")
        if values["do_auto_bfac"] == values["do_adhoc_bfac"] == "Yes":
            fail("do_adhoc_bfac", "choose one: estimate the B-factor, or use your own.")
    elif job_type.name == "rescale" and max(_numbers(values, "rescale_angpix", "new_box")) <= 0:
        fail("rescale_angpix", "give a new pixel size, a new box size, or both.")
    return problems


def _numbers(values: Mapping[str, str], *keys: str) -> list[float]:
    return [float(values[key]) for key in keys]


def _check_import(values: Mapping[str, str], fail: Callable[[str, str], None]) -> None:
    if (values["do_raw"] == "Yes") == (values["do_other"] == "Yes"):
        fail("do_other", "import either micrographs or another kind of file: one Yes, one No.")
        return
    key = "fn_in_raw" if values["do_raw"] == "Yes" else "fn_in_other"
    name = values[key].strip()
    if not name:
        fail(key, "Input file: is empty; a value is needed.")
    if name.startswith("/") or ".." in name.split("/"):
        fail(key, f"Input file: found '{name}', expected a path inside the project folder.")
    if values["do_raw"] == "Yes":
        if values["is_multiframe"] == "Yes":
            fail("is_multiframe", "movies are out of scope: correct their motion with RELION.")
        group = values["optics_group_name"]
        if not _GROUP_NAME.fullmatch(group):
            fail(
                "optics_group_name",
                f"Optics group name: found '{group}', expected letters, digits and hyphens.",
            )
