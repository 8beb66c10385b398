"""The record of one user option: single source of flag, form field, job.star entry and help."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from aurefine.errors import OptionError

__all__ = [
    "Kind",
    "Option",
    "Range",
    "Status",
    "check_values",
    "find_option",
    "notes_of",
    "with_defaults",
]

Kind = Literal["bool", "int", "float", "str", "path", "choice"]
Status = Literal["used", "ignored", "refused"]


_TYPES: dict[Kind, tuple[type, ...]] = {
    "bool": (bool, np.bool_),
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
class Option:
    """One user option of one program.

    `name` is the Python and TOML key, `flag` the RELION flag (or our own if RELION has none) and
    `aliases` are readable long forms.  A flag that ends in ``*`` stands for all flags with that
    beginning and is only allowed for refused options.  `status` says whether the option does
    something (``used``), is accepted for compatibility (``ignored``, `note` says why nothing
    happens) or stops the program (``refused``, `note` says why and what to do instead).
    """

    name: str
    flag: str
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
    required: bool = False
    value_optional: bool = False  # the flag may stand alone, which means ""
    hidden: bool = False  # not shown in --help
    job_variable: str = ""  # variable in RELION's job.star, if there is one

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
            if lowered not in {"yes", "no", "true", "false", "1", "0"}:
                raise OptionError(f"option {self.flag}: found '{text}', expected Yes or No.")
            value = lowered in {"yes", "true", "1"}
        elif self.kind == "int":
            value = self._convert_int(text)
        elif self.kind == "float":
            value = self._convert_float(text)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raise OptionError if `value` is not allowed."""
        is_number = self.kind in ("int", "float")
        is_right: bool = isinstance(value, _TYPES[self.kind])
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
    for flag in flags:
        spellings[flag] = None
        if flag.startswith("--"):
            spellings["--" + flag[2:].replace("_", "-")] = None
    return tuple(spellings)


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
