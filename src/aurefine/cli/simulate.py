"""`aurefine simulate`: parse the options of a simulation and run it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from aurefine.cli.parser import build_parser, given_values
from aurefine.jobs.simulate_table import SIMULATE_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Make particle images with known poses from an atom set or a map: CTF, coloured
noise, offsets, preferred views and several optics groups, reproducible by a seed. Writes input for
'aurefine refine' and the truth to compare its result with."""


def run(argv: Sequence[str]) -> int:
    """Simulate particles with a command line and return the exit code."""
    parser = build_parser(SIMULATE_OPTIONS, "aurefine simulate", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(_join_negative_lists(argv)))

    from aurefine.jobs.simulate import run_job  # slow to import: not needed for --help

    return run_job(values)


def _join_negative_lists(argv: Sequence[str]) -> list[str]:
    """Write ``--flag -1,2`` as ``--flag=-1,2``, so that the list is not taken for an option."""
    joined: list[str] = []
    for argument in argv:
        is_list = re.fullmatch(r"-[\d.]\S*,\S*", argument)
        if is_list and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
