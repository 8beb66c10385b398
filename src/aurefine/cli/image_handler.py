"""`aurefine image-handler`: rescale, filter, move and combine maps and images."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.cli.start import one_blas_thread
from aurefine.jobs.map_tools_table import IMAGE_HANDLER_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Rescale, re-box, filter, move, symmetrise and combine maps and images. Takes the
options of relion_image_handler. The order is fixed: arithmetic, B-factor, filters, mirrors, shifts,
rescaling, new box, symmetry, limits."""


def run(argv: Sequence[str]) -> int:
    """Run the image handler with a command line and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine image-handler {program_version()}\n")
        return 0
    parser = build_parser(IMAGE_HANDLER_OPTIONS, "aurefine image-handler", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(argv))
    for note in notes_of(IMAGE_HANDLER_OPTIONS, values):
        sys.stdout.write(f" Note: {note}\n")

    with one_blas_thread():
        from aurefine.jobs.map_tools import run_image_handler  # slow to import: not for --help

    return run_image_handler(values)
