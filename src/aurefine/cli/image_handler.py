"""`aurefine image-handler`: rescale, filter, move and combine maps and images."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.map_tools_table import IMAGE_HANDLER_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Rescale, re-box, filter, move, symmetrise and combine maps and images. Takes the
options of relion_image_handler. The order is fixed: arithmetic, B-factor, filters, mirrors, shifts,
rescaling, new box, symmetry, limits."""


def run(argv: Sequence[str]) -> int:
    """Run the image handler with a command line and return the exit code."""
    values = command_values(argv, "image-handler", IMAGE_HANDLER_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.map_tools import run_image_handler  # slow to import: not for --help

    return run_image_handler(values)
