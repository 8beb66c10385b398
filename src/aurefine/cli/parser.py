"""Command lines from option tables: RELION's flags, readable forms, grouped help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from aurefine.errors import OptionError
from aurefine.jobs.options import Option, notes_of

__all__ = ["OptionParser", "build_parser", "given_values", "notes_of"]

_IGNORED_TAB = "Accepted for compatibility, without effect"


class _HelpFormatter(argparse.HelpFormatter):
    """Help pages that show each flag as RELION spells it and the readable forms with dashes."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=98)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        first, *others = action.option_strings
        twins = {"--" + first[2:].replace("_", "-")} - {first}
        names = [first, *(name for name in others if "_" not in name and name not in twins)]
        value = f" {action.metavar}" if action.nargs != 0 and action.metavar else ""
        return ", ".join(names) + value


class OptionParser(argparse.ArgumentParser):
    """An argument parser that raises `OptionError` instead of leaving the program."""

    options: tuple[Option, ...] = ()

    def error(self, message: str) -> NoReturn:
        """Turn argparse's message into an exception."""
        if ": option --" in message:  # a bad value: `Option` has already said everything
            raise OptionError(message.split(": ", 1)[1])
        raise OptionError(f"{self.prog}: {message}. '{self.prog} --help' lists all options.")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, after refusing families of options that are out of scope."""
        for argument in args or ():
            self._refuse_family(argument)
        parsed, rest = super().parse_known_args(args, namespace)
        unknown = [argument for argument in rest if argument.startswith("-")]
        if unknown:
            self.error(self._describe_unknown(unknown[0]))
        if rest:
            self.error(f"unexpected argument '{rest[0]}' (an option has one value at most)")
        return parsed, rest

    def _refuse_family(self, argument: str) -> None:
        known = self._option_string_actions
        for option in self.options:
            if (
                option.flag.endswith("*")
                and argument.startswith(option.flag[:-1])
                and argument not in known
            ):
                raise OptionError(f"option {argument} is not available: {option.note}")

    def _describe_unknown(self, argument: str) -> str:
        name = argument.split("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.75)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"unknown option {name}{hint}"


class _Refuse(argparse.Action):
    """Stop with the reason why an option is not available."""

    def __init__(self, *args: Any, note: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.note = note

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        raise OptionError(f"option {option_string} is not available: {self.note}")


def build_parser(options: Iterable[Option], prog: str, description: str) -> OptionParser:
    """Make the parser of one program.

    The namespace that it returns holds only what was given (`given_values`), so that a
    continued run can tell a default from a wish.

    Parameters
    ----------
    options : iterable of Option
        The table of the program.
    prog : str
        Name shown in messages, e.g. ``aurefine refine``.
    description : str
        First lines of the help page.

    Returns
    -------
    parser : OptionParser
        Unknown options, missing required ones and bad values raise `OptionError`.
    """
    parser = OptionParser(
        prog=prog,
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_HelpFormatter,
        usage=f"{prog} [OPTIONS]",
    )
    parser.options = tuple(options)
    groups: dict[str, Any] = {}
    for option in parser.options:
        if option.status == "form" or option.flag.endswith("*"):
            continue
        tab = _IGNORED_TAB if option.status == "ignored" else option.tab
        if option.status == "refused" or option.hidden:
            _add(parser, option)
            continue
        if tab not in groups:
            groups[tab] = parser.add_argument_group(tab)
        _add(groups[tab], option)
    return parser


def given_values(namespace: argparse.Namespace) -> dict[str, Any]:
    """Return the values that stood on the command line, by option name."""
    return dict(vars(namespace))


def _add(group: Any, option: Option) -> None:
    help_text = argparse.SUPPRESS if option.hidden else _help(option)
    if option.status == "refused":
        group.add_argument(
            *option.all_flags(),
            dest=option.name,
            action=_Refuse,
            note=option.note,
            nargs="?",
            help=argparse.SUPPRESS,
        )
        return
    if option.kind == "bool":
        if option.words:
            group.add_argument(
                *option.all_flags(), dest=option.name, type=_converter(option), nargs="?",
                const=True, metavar="|".join(option.words), help=help_text,
            )  # fmt: skip
        else:
            group.add_argument(
                *option.all_flags(), dest=option.name, action="store_true", help=help_text
            )
        if option.negatives:
            off = argparse.SUPPRESS if option.hidden else f"switch {option.flag} off"
            group.add_argument(
                *option.all_negatives(), dest=option.name, action="store_false", help=off
            )
        return
    keywords: dict[str, Any] = {"nargs": "?", "const": ""} if option.value_optional else {}
    group.add_argument(
        *option.all_flags(),
        dest=option.name,
        type=_converter(option),
        metavar=_metavar(option),
        required=option.required,
        help=help_text,
        **keywords,
    )


def _converter(option: Option) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return option.convert(text)
        except OptionError as error:
            # argparse turns every ValueError into its own words
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _metavar(option: Option) -> str:
    if option.kind == "choice":
        return "{" + ",".join(option.choices) + "}"
    if option.unit:
        return option.unit.upper() if option.unit.isascii() else option.unit
    return {"int": "N", "float": "X", "path": "FILE"}.get(option.kind, "TEXT")


def _help(option: Option) -> str:
    text = option.note if option.status == "ignored" else option.help
    if option.kind != "bool" and option.default not in (None, "", -1) and option.status == "used":
        text += f" [{option.default}]"
    return text.replace("%", "%%")
