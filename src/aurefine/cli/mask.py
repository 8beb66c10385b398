"""`aurefine mask`: make a solvent mask from a map."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.mask_create_table import MASK_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Make a mask from a map: low-pass filter, threshold, grow, soft edge. Takes the
options of relion_mask_create."""


def run(argv: Sequence[str]) -> int:
    """Run *Mask creation* with a command line and return the exit code."""
    values = command_values(argv, "mask", MASK_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.mask_create import run_mask_create  # slow to import: not for --help

    return run_mask_create(values)
