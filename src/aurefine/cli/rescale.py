"""`aurefine rescale`: bring a map to another pixel size and box."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.rescale_table import RESCALE_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Bring a map to another pixel size and box, as the job Map rescale of a project.
Takes the options that RELION gives to its external jobs; 'aurefine image-handler' does more."""


def run(argv: Sequence[str]) -> int:
    """Run *Map rescale* with a command line and return the exit code."""
    values = command_values(argv, "rescale", RESCALE_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.rescale import run_rescale  # slow to import: not for --help

    return run_rescale(values)
