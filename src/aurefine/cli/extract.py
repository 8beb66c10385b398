"""`aurefine extract`: parse the options of *Particle extraction* and run the job."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values, notes_of
from aurefine.jobs.extract_table import EXTRACT_OPTIONS

__all__ = ["run"]

_DESCRIPTION = """Extract particle images from micrographs, at fresh coordinates or again at those
of refined particles. Takes the options of relion_preprocess; - may replace _ in every option."""

_RANKS = ("OMPI_COMM_WORLD", "PMI", "PMIX")


def run(argv: Sequence[str]) -> int:
    """Run *Particle extraction* with a command line and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine extract {program_version()}\n")
        return 0
    parser = build_parser(EXTRACT_OPTIONS, "aurefine extract", _DESCRIPTION)
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    values = given_values(parser.parse_args(argv))
    for note in notes_of(EXTRACT_OPTIONS, values):
        sys.stdout.write(f" Note: {note}\n")
    rank, n_ranks = _mpi_place()
    if rank > 0:
        return 0
    values.setdefault("n_workers", n_ranks)

    from aurefine.jobs.extract_job import run_job  # slow to import: not needed for --help

    return run_job(values)


def _mpi_place() -> tuple[int, int]:
    """Return rank and number of processes that an MPI launcher started.

    One process with as many threads does the work of them all.
    """
    for prefix in _RANKS:
        rank, size = os.environ.get(f"{prefix}_RANK"), os.environ.get(f"{prefix}_SIZE")
        if rank is not None:
            return int(rank), int(size) if size and size.isdecimal() else 1
    return 0, 1
