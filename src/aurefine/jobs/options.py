"""The record of one user option: single source of flag, form field, job.star entry and help."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aurefine.errors import OptionError

__all__ = [
    "Form",
    "Kind",
    "Option",
    "Range",
    "Status",
    "check_values",
    "find_option",
    "fixed_fields",
    "notes_of",
    "with_defaults",
]

Kind = Literal["bool", "int", "float", "str", "path", "choice"]
Status = Literal["used", "ignored", "refused", "form"]


_TYPES: dict[Kind, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (numbers.Integral,),
    "float": (numbers.Real,),
    "str": (str,),
    "path": (str,),
    "choice": (str,),
}
_WORDS: dict[Kind, str] = {
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "path": "a file name",
    "choice": "a text",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed values of a number: an interval, and single values with a meaning of their own."""

    low: float = float("-inf")
    high: float = float("inf")
    open_low: bool = False  # whether `low` itself is not allowed
    also: tuple[float, ...] = ()  # e.g. (-1,) for "off"

    def holds(self, value: float) -> bool:
        """Whether `value` is allowed."""
        if value in self.also:
            return True
        above = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high

    def describe(self) -> str:
        """Say in words what is allowed."""
        low, high = f"{self.low:g}", f"{self.high:g}"
        bounded_low, bounded_high = self.low != float("-inf"), self.high != float("inf")
        if bounded_low and bounded_high:
            text = f"more than {low} and at most {high}" if self.open_low else f"{low} to {high}"
        elif bounded_low:
            text = f"more than {low}" if self.open_low else f"{low} or more"
        elif bounded_high:
            text = f"at most {high}"
        else:
            text = "any number"
        if self.also:
            text += " (or " + ", ".join(f"{value:g}" for value in self.also) + ")"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How an option stands in the form of its job and in ``job.star``.

    What is empty here is as in the option itself.  Values are texts, as in ``job.star``: Yes or No
    for a bool, the text of a choice.

    Attributes
    ----------
    key : str
        RELION's name of the variable in ``job.star``.
    tab, label, default, kind, choices, range, help
        Where the form differs from the command line.
    default_31 : str, optional
        Default in projects of RELION 3.1, if it is another one.
    slider : (low, high, step), optional
        Usual values of a number; others may be typed.
    nodes : tuple of str
        Kinds of files that Browse offers first (see `aurefine.project.NODE_KINDS`).
    pattern : str
        Names that Browse shows, e.g. ``*.mrc``; several are separated by blanks.
    needs : str
        Key of a Yes/No field that must be Yes, or No if ``!`` stands before it; otherwise this
        field is grey and writes nothing.  Several are separated by blanks.
    continues : str
        Whether the field can be changed in a new job, in a continued one, or in both.
    writes : str
        What goes to the command line: the flag and its ``value`` (nothing if that is empty), the
        flag alone for ``yes`` or for ``no``, ``positive`` numbers only, or ``nothing``.
    argument : callable, optional
        In place of `writes`: from all values of the form to the words of the command line.
    version : str
        Version of RELION that alone knows the variable; "" for all.
    is_required : bool
    """

    key: str
    tab: str = ""
    label: str = ""
    help: str = ""
    default: str | None = None
    default_31: str | None = None
    kind: Kind | None = None
    choices: tuple[str, ...] = ()
    range: Range | None = None
    slider: tuple[float, float, float] | None = None
    nodes: tuple[str, ...] = ()
    pattern: str = ""
    needs: str = ""
    continues: Literal["new", "continued", "both"] = "new"
    writes: Literal["", "value", "yes", "no", "positive", "nothing"] = ""
    argument: Callable[[Mapping[str, str]], Sequence[str]] | None = None
    version: Literal["", "3.1", "5.0"] = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One user option of one program.

    `name` is the Python and TOML key, `flag` the RELION flag (or our own if RELION has none) and
    `aliases` are readable long forms.  A flag that ends in ``*`` stands for all flags with that
    beginning and is only allowed for refused options.  `status` says whether the option does
    something (``used``), is accepted for compatibility (``ignored``, `note` says why nothing
    happens), stops the program (``refused``, `note` says why and what to do instead), or exists
    only in the form of a job (``form``, without a flag).

    `form` says how the option stands in the form of its job and in ``job.star``.  An option without
    one gets a field of its own in the tab *Expert*, unless `in_form` is False: the job itself then
    sets it.
    """

    name: str
    flag: str = ""
    label: str
    kind: Kind
    default: Any = None
    aliases: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()  # flags that set a bool to False
    unit: str = ""
    help: str = ""
    tab: str = "General"
    status: Status = "used"
    note: str = ""
    range: Range = field(default_factory=Range)
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # that a bool option also takes as its value
    required: bool = False
    value_optional: bool = False  # the flag may stand alone, which means ""
    hidden: bool = False  # not shown in --help
    form: Form | None = None
    in_form: bool = True

    def all_flags(self) -> tuple[str, ...]:
        """Return every spelling: flag, aliases, and their twins with - for _."""
        return _with_dashes((self.flag, *self.aliases))

    def all_negatives(self) -> tuple[str, ...]:
        """Return every spelling that switches the option off."""
        return _with_dashes(self.negatives)

    def convert(self, text: str) -> Any:
        """Turn command-line or job.star text into the value of this option.

        Raises
        ------
        OptionError
            If the text is not a value of this kind or lies outside the allowed range.
        """
        value: Any = text
        if self.kind == "bool":
            lowered = text.strip().lower()
            if lowered in self.words:
                return lowered
            if lowered not in {"yes", "no", "true", "false", "1", "0"}:
                expected = ", ".join(("Yes, No", *self.words)) if self.words else "Yes or No"
                raise OptionError(f"option {self.flag}: found '{text}', expected {expected}.")
            value = lowered in {"yes", "true", "1"}
        elif self.kind == "int":
            value = self._convert_int(text)
        elif self.kind == "float":
            value = self._convert_float(text)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raise OptionError if `value` is not allowed."""
        if self.words and isinstance(value, str) and value in self.words:
            return
        is_number = self.kind in ("int", "float")
        is_right: bool = isinstance(value, _TYPES[self.kind])
        if self.kind == "bool":  # NumPy's own; NumPy is slow to import, and not needed for --help
            is_right = is_right or str(getattr(value, "dtype", "")) == "bool"
        if not is_right or (is_number and isinstance(value, bool)):
            raise OptionError(
                f"option {self.flag} ({self.label}): found {value!r}, expected {_WORDS[self.kind]}."
            )
        if is_number and not self.range.holds(value):
            unit = f" {self.unit}" if self.unit else ""
            raise OptionError(
                f"option {self.flag} ({self.label}): found {value}{unit}, "
                f"expected {self.range.describe()}{unit}."
            )
        if self.kind == "choice" and value not in self.choices:
            raise OptionError(
                f"option {self.flag} ({self.label}): found '{value}', "
                f"expected one of {', '.join(self.choices)}."
            )

    def _convert_int(self, text: str) -> int:
        try:
            number = float(text)
            if number == int(number):
                return int(number)
        except (ValueError, OverflowError):
            pass
        raise OptionError(
            f"option {self.flag} ({self.label}): found '{text}', expected a whole number."
        )

    def _convert_float(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if number != number or number in (float("inf"), float("-inf")):
            raise OptionError(
                f"option {self.flag} ({self.label}): found '{text}', expected a number."
            )
        return number


def _with_dashes(flags: Iterable[str]) -> tuple[str, ...]:
    spellings: dict[str, None] = {}
    for flag in filter(None, flags):
        spellings[flag] = None
        if flag.startswith("--"):
            spellings["--" + flag[2:].replace("_", "-")] = None
    return tuple(spellings)


def fixed_fields(note: str, pairs: str) -> tuple[Option, ...]:
    """Return fields of ``job.star`` that must stay as they are, for RELION's sake.

    Parameters
    ----------
    note : str
        Why they can not be changed.
    pairs : str
        Keys and values, separated by blanks.
    """
    words = pairs.split()
    return tuple(
        Option(
            name=key,
            label=key,
            kind="str",
            default=value,
            status="form",
            hidden=True,
            note=note,
            form=Form(key=key),
        )
        for key, value in zip(words[::2], words[1::2], strict=True)
    )


def find_option(options: Iterable[Option], name: str) -> Option:
    """Return the option called `name`.

    Raises
    ------
    KeyError
        If there is none.
    """
    for option in options:
        if option.name == name:
            return option
    raise KeyError(name)


def with_defaults(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return one value for each option that is used: the given one or the default.

    Raises
    ------
    OptionError
        If `given` has a name that no option has.
    """
    options = tuple(options)
    unknown = sorted(set(given) - {option.name for option in options})
    if unknown:
        raise OptionError(f"unknown option name(s): {', '.join(unknown)}.")
    return {
        option.name: given.get(option.name, option.default)
        for option in options
        if option.status == "used"
    }


def notes_of(options: Iterable[Option], given: Iterable[str]) -> list[str]:
    """Return one line for each given option that is accepted but has no effect."""
    names = set(given)
    return [
        f"option {option.flag} has no effect: {option.note}"
        for option in options
        if option.status == "ignored" and option.name in names
    ]


def check_values(options: Iterable[Option], values: Mapping[str, Any]) -> None:
    """Check each value against the range or choices of its option.

    Raises
    ------
    OptionError
        For a value that is not allowed, and for a refused option that is present.
    """
    for option in options:
        if option.name not in values:
            continue
        if option.status == "refused":
            raise OptionError(f"option {option.flag} is not available: {option.note}")
        value = values[option.name]
        if value is not None or option.default is not None:
            option.check(value)
