"""`aurefine refine`: parse the options of *3D auto-refine* and run the job."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values
from aurefine.jobs.refine_options import REFINE_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Refine one map against particle images until it converges, with two independent
halves of the data (gold standard). Takes the options of relion_refine; readable forms stand beside
them, and - may replace _ in every option."""


def run(argv: Sequence[str]) -> int:
    """Run *3D auto-refine* with a command line and return the exit code."""
    values = command_values(argv, "refine", REFINE_OPTIONS, _DESCRIPTION, prints_notes=False)
    if values is None:
        return 0

    from aurefine.jobs.refine3d import run_job  # slow to import: not needed for --help

    return int(run_job(values))
