"""`aurefine refine`: parse the options of *3D auto-refine* and run the job."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values
from aurefine.jobs.refine_options import REFINE_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Refine one map against particle images until it converges, with two independent
halves of the data (gold standard). Takes the options of relion_refine; readable forms stand beside
them, and - may replace _ in every option."""


def run(argv: Sequence[str]) -> int:
    """Run *3D auto-refine* with a command line and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine refine {program_version()}\n")
        return 0
    parser = build_parser(REFINE_OPTIONS, "aurefine refine", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(argv))

    from aurefine.jobs.refine3d import run_job  # slow to import: not needed for --help

    return int(run_job(values))
