"""The form of a job: fields resolved from the option table, and checks of what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aurefine.errors import OptionError
from aurefine.jobs.options import Form, Option, Range

__all__ = ["FormField", "Problem", "check_field", "form_fields", "has_effect", "is_enabled"]

FieldKind = Literal["text", "integer", "number", "bool", "choice", "file"]
_KINDS: dict[str, FieldKind] = {
    "bool": "bool",
    "int": "integer",
    "float": "number",
    "str": "text",
    "path": "file",
    "choice": "choice",
}
_EXPERT = "Expert"
_LONGEST = 4096  # characters of one value


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form of a job.

    Attributes
    ----------
    key : str
        Variable in ``job.star``; unique within the job type.
    flag : str
        Flag of the program, "" if the field has none of its own.
    label, tab, help, unit : str
    note : str
        Why the field has no effect, or must keep its default; "" otherwise.
    kind : str
        text, integer, number, bool, choice or file.
    default, default_31 : str
        As text; `default_31` for projects of RELION 3.1.
    choices : tuple of str
    slider : (low, high, step) or None
        Usual values.
    nodes : tuple of str
        Kinds of nodes for Browse.
    pattern : str
        File names for Browse, separated by blanks; "" for all.
    needs : str
        Keys of Yes/No fields that enable this one (``!key``: must be No).
    continues : str
        new, continued or both: in which jobs it can be changed.
    version : str
        Version of RELION that alone knows it; "" for all, "aurefine" for our own.
    is_required, is_hidden : bool
        Whether it must be filled in; whether it is kept in ``job.star`` only.
    is_fixed : bool
        Whether it must keep its default, for the reason in `note`.
    option : Option
        The record that it comes from.
    """

    key: str
    flag: str
    label: str
    tab: str
    help: str
    unit: str
    note: str
    kind: FieldKind
    default: str
    default_31: str
    choices: tuple[str, ...]
    range: Range
    slider: tuple[float, float, float] | None
    nodes: tuple[str, ...]
    pattern: str
    needs: str
    continues: Literal["new", "continued", "both"]
    version: str
    is_required: bool
    is_hidden: bool
    is_fixed: bool
    option: Option


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field; `is_error` is False for a mere warning."""

    key: str
    message: str
    is_error: bool = True


def form_fields(options: Iterable[Option]) -> tuple[FormField, ...]:
    """Return the fields of the form that an option table describes, in its order."""
    return tuple(
        _field(option)
        for option in options
        if option.form is not None
        or (option.in_form and option.status == "used" and not option.hidden)
    )


def _field(option: Option) -> FormField:
    form = option.form or Form(key=f"aurefine_{option.name}", tab=_EXPERT)
    kind = _KINDS[form.kind or option.kind]
    default = form.default
    if default is None:
        default = _as_text(bool(option.default) if kind == "bool" else option.default)
    is_own = form.key.startswith("aurefine_")
    return FormField(
        key=form.key,
        flag=option.flag,
        label=form.label or option.label,
        tab=form.tab or option.tab,
        help=form.help or option.help or f"Kept for RELION, without effect here: {option.note}",
        unit=option.unit,
        note=option.note,
        kind=kind,
        default=default,
        default_31=default if form.default_31 is None else form.default_31,
        choices=form.choices or option.choices,
        range=form.range or option.range,
        slider=form.slider,
        nodes=form.nodes,
        pattern=form.pattern,
        needs=form.needs,
        continues=form.continues if option.form else "both",
        version="aurefine" if is_own else form.version,
        is_required=form.is_required,
        is_hidden=option.hidden,
        is_fixed=option.status == "form" and bool(option.note) and option.hidden,
        option=option,
    )


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_enabled(field: FormField, values: Mapping[str, str], *, is_continue: bool = False) -> bool:
    """Whether a field can be changed and has an effect, given the others."""
    if is_continue and field.continues == "new":
        return False
    if not is_continue and field.continues == "continued":
        return False
    return has_effect(field, values)


def has_effect(field: FormField, values: Mapping[str, str]) -> bool:
    """Whether the Yes/No fields that a field depends on switch it on."""
    return all(
        values.get(need.lstrip("!"), "No") == ("No" if need.startswith("!") else "Yes")
        for need in field.needs.split()
    )


def check_field(field: FormField, text: str) -> Problem | None:
    """Check what was typed into one field, without a look at the others or at the disk.

    Parameters
    ----------
    field : FormField
    text : str

    Returns
    -------
    problem : Problem or None
    """
    try:
        _check_text(field, text)
    except OptionError as error:
        return Problem(field.key, str(error))
    return None


def _check_text(field: FormField, text: str) -> None:
    def fail(expected: str) -> OptionError:
        shown = text if len(text) <= 80 else text[:77] + "..."
        return OptionError(f"{field.label.rstrip(':')}: found '{shown}', expected {expected}.")

    if len(text) > _LONGEST:
        raise fail(f"at most {_LONGEST} characters")
    if any(not c.isprintable() for c in text):
        raise fail("one line without control characters")
    if field.is_fixed and text != field.default:
        raise OptionError(f"{field.label}: can not be changed from {field.default}: {field.note}")
    if not text.strip():
        if field.is_required:
            raise OptionError(f"{field.label.rstrip(':')}: is empty; a value is needed.")
        if field.kind in ("integer", "number", "bool", "choice"):
            raise fail("a value")
        return
    if field.kind == "bool" and text not in ("Yes", "No"):
        raise fail("Yes or No")
    if field.kind == "choice" and text not in field.choices:
        raise fail(f"one of {', '.join(field.choices)}")
    if field.kind in ("integer", "number"):
        try:
            number = float(text)
        except ValueError:
            raise fail("a number") from None
        if number != number or abs(number) == float("inf"):
            raise fail("a number")
        if field.kind == "integer" and number != int(number):
            raise fail("a whole number")
        if not field.range.holds(number):
            raise fail(field.range.describe() + (f" {field.unit}" if field.unit else ""))
