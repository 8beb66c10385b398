"""`aurefine version`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Print the version."""
    del argv  # takes no options
    sys.stdout.write(f"aurefine {program_version()}\n")
    return 0
