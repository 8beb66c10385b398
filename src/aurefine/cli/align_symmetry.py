"""`aurefine align-symmetry`: turn a map to the axes of its symmetry."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.symmetry_table import ALIGN_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Turn and move a map that has a symmetry, but about other axes, to the axes that
programs expect, from any orientation; as relion_align_symmetry does."""


def run(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    values = command_values(argv, "align-symmetry", ALIGN_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.symmetry import run_align_symmetry  # slow to import: not for --help

    return run_align_symmetry(values)
