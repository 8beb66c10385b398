"""How every command starts: version, help, options, notes; and quickly."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.jobs.options import Option

__all__ = ["command_values", "loading"]

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import what a command needs in this block, quickly.

    NumPy and SciPy start no threads for BLAS: that takes a tenth of a second, and these commands
    share the work out themselves; what the user has set is left alone. Nor does Python look for
    garbage among what is loaded.
    """
    added = [name for name in _VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        for name in added:
            del os.environ[name]


def command_values(
    argv: Sequence[str],
    command: str,
    options: Sequence[Option],
    description: str,
    *,
    prints_notes: bool = True,
) -> dict[str, Any] | None:
    """Parse a command line, or answer it if it asks for the version or for help.

    Parameters
    ----------
    argv : sequence of str
        Without the name of the command.
    command : str
        Name of the command, e.g. ``mask``.
    options : sequence of Option
    description : str
    prints_notes : bool
        Whether notes on accepted options that do nothing are printed here.

    Returns
    -------
    dict or None
        What stood on the command line by option name; None if the answer was printed.

    Raises
    ------
    OptionError
        If an option is unknown, refused or has a value that makes no sense.
    """
    if "--version" in argv:
        sys.stdout.write(f"aurefine {command} {program_version()}\n")
        return None
    parser = build_parser(options, f"aurefine {command}", description)
    if not argv:
        sys.stdout.write(parser.format_help())
        return None
    values = given_values(parser.parse_args(argv))
    if prints_notes:
        for note in notes_of(options, values):
            sys.stdout.write(f" Note: {note}\n")
    return values
