"""`aurefine extract`: parse the options of *Particle extraction* and run the job."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aurefine.cli.start import command_values, loading
from aurefine.jobs.extract_table import EXTRACT_OPTIONS
from aurefine.parallel.comm import SERIAL, find_communicator, launched_place

__all__ = ["run"]

_DESCRIPTION = """Extract particle images from micrographs, at fresh coordinates or again at those
of refined particles. Takes the options of relion_preprocess; - may replace _ in every option."""


def run(argv: Sequence[str]) -> int:
    """Run *Particle extraction* with a command line and return the exit code."""
    values = command_values(argv, "extract", EXTRACT_OPTIONS, _DESCRIPTION)
    if values is None:
        return 0
    communicator = find_communicator()
    if communicator is None:
        rank, size = launched_place()
        if rank > 0:
            return 0
        communicator = SERIAL
        values.setdefault("n_workers", size)
        sys.stderr.write(
            f"WARNING: {size} processes were started, but mpi4py is not installed, so that only "
            f"one of them works, with {values['n_workers']} threads. 'pip install mpi4py' lets all "
            "of them work.\n"
        )
    with loading():
        from aurefine.jobs.extract_job import run_job  # slow to import: not needed for --help

    return run_job(values, communicator)
