"""`aurefine symmetry`: show the operators and the asymmetric unit of a point group."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.symmetry_table import SYMMETRY_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Show the operators, axes and asymmetric unit of a point group:
aurefine symmetry D2. With --o they are plotted and written too."""


def run(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    arguments = list(argv)
    if arguments and not arguments[0].startswith("-"):
        arguments.insert(0, "--sym")
    values = command_values(arguments, "symmetry", SYMMETRY_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.symmetry import run_symmetry  # slow to import: not for --help

    return run_symmetry(values)
