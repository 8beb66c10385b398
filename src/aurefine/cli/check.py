"""`aurefine check`: see whether particles and reference are fit for a refinement."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.check_table import CHECK_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Look for what spoils a refinement: a wrong pixel size, inverted contrast, a
reference on another greyscale or off its symmetry axes, copies of particles, unlikely CTF values,
bad images. Takes the command line of 'aurefine refine' too: only the word refine has to be
replaced. The exit code is 0 unless a refinement would be useless."""


def run(argv: Sequence[str]) -> int:
    """Check the input that a command line names and return the exit code."""
    values = command_values(argv, "check", CHECK_OPTIONS, _DESCRIPTION, prints_notes=False)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.check import run_check  # slow to import: not for --help

    return run_check(values)
