"""`aurefine refine`: parse the options of *3D auto-refine* and run the job."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aurefine.cli.start import command_values, loading
from aurefine.jobs.refine_options import REFINE_OPTIONS
from aurefine.parallel.comm import find_communicator, launched_place

if TYPE_CHECKING:
    from aurefine.jobs.refine_processes import Team

__all__ = ["run"]

_DESCRIPTION = """Refine one map against particle images until it converges, with two independent
halves of the data (gold standard). Takes the options of relion_refine; readable forms stand beside
them, and - may replace _ in every option."""


def run(argv: Sequence[str]) -> int:
    """Run *3D auto-refine* with a command line and return the exit code."""
    communicator = find_communicator()
    if communicator is None:
        rank, size = launched_place()
        if rank > 0:
            return 0
        sys.stderr.write(
            f"WARNING: {size} processes were started, but mpi4py is not installed, so that only "
            "one of them works. 'pip install aurefine[mpi]' lets all of them work.\n"
        )
    elif communicator.size > 1:
        from aurefine.jobs.refine_processes import follow_job, lead_job
        from aurefine.parallel.mpi import MpiCommunicator

        assert isinstance(communicator, MpiCommunicator)
        if communicator.rank > 0:
            return follow_job(communicator)
        return lead_job(communicator, lambda team: _run_job(argv, team))
    return _run_job(argv, None)


def _run_job(argv: Sequence[str], team: Team | None) -> int:
    values = command_values(argv, "refine", REFINE_OPTIONS, _DESCRIPTION, prints_notes=False)
    if values is None:
        return 0

    with loading():
        from aurefine.jobs.refine3d import run_job  # slow to import: not needed for --help

    return int(run_job(values, team))
