"""`aurefine orientations`: how evenly particles are seen, and directional resolution."""

from __future__ import annotations

from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.orientations_table import ORIENTATIONS_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Measure how evenly the orientations of particles sample Fourier space
(efficiency, sampling map), and how the resolution of two half maps depends on the direction (FSC in
cones, sphericity)."""


def run(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    values = command_values(argv, "orientations", ORIENTATIONS_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.orientations import run_orientations  # slow to import: not for --help

    return run_orientations(values)
