"""`aurefine postprocess`: FSC curves and a sharpened map from two half maps."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Measure the FSC of two half maps with and without a mask, and sharpen their sum.
Takes the options of relion_postprocess."""


def run(argv: Sequence[str]) -> int:
    """Run *Post-processing* with a command line and return the exit code."""
    values = command_values(argv, "postprocess", POSTPROCESS_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.postprocess import run_postprocess  # slow to import: not for --help

    return run_postprocess(values, command=shlex.join(argv))
