"""`aurefine import`: bring files into a project."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values
from aurefine.jobs.import_table import IMPORT_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Bring micrographs, particles, maps or coordinates into the folder of a job. Takes
the options of relion_import. In a project, 'aurefine job new import' does it and keeps track."""


def run(argv: Sequence[str]) -> int:
    """Run *Import* with a command line and return the exit code."""
    values = command_values(argv, "import", IMPORT_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    from aurefine.jobs.import_job import run_import  # slow to import: not for --help

    return run_import(values)
