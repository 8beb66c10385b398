"""`aurefine postprocess`: FSC curves and a sharpened map from two half maps."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.cli.start import one_blas_thread
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Measure the FSC of two half maps with and without a mask, and sharpen their sum.
Takes the options of relion_postprocess."""


def run(argv: Sequence[str]) -> int:
    """Run *Post-processing* with a command line and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine postprocess {program_version()}\n")
        return 0
    parser = build_parser(POSTPROCESS_OPTIONS, "aurefine postprocess", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(argv))
    for note in notes_of(POSTPROCESS_OPTIONS, values):
        sys.stdout.write(f" Note: {note}\n")

    with one_blas_thread():
        from aurefine.jobs.postprocess import run_postprocess  # slow to import: not for --help

    return run_postprocess(values, command=shlex.join(argv))
