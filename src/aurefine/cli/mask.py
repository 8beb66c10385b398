"""`aurefine mask`: make a solvent mask from a map."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.cli.start import one_blas_thread
from aurefine.jobs.mask_create_table import MASK_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Make a mask from a map: low-pass filter, threshold, grow, soft edge. Takes the
options of relion_mask_create."""


def run(argv: Sequence[str]) -> int:
    """Run *Mask creation* with a command line and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine mask {program_version()}\n")
        return 0
    parser = build_parser(MASK_OPTIONS, "aurefine mask", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(argv))
    for note in notes_of(MASK_OPTIONS, values):
        sys.stdout.write(f" Note: {note}\n")

    with one_blas_thread():
        from aurefine.jobs.mask_create import run_mask_create  # slow to import: not for --help

    return run_mask_create(values)
