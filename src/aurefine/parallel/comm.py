"""Processes that work together: MPI ranks, or one process alone behind the same interface.

Which one it is, the launcher's environment tells, so that a serial run never touches MPI.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Protocol, TypeVar

from aurefine.errors import OptionError

__all__ = ["SERIAL", "Communicator", "find_communicator", "launched_place"]

Value = TypeVar("Value")

# rank and size in the environment of a process that was started by an MPI launcher
_LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
)


class Communicator(Protocol):
    """A group of `size` processes of which this one is number `rank`; number 0 is the leader."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def scatter(self, values: Sequence[Value] | None) -> Value:
        """Give each process its value; the leader passes one for each, the others None."""

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes by rank on the leader, and [] on the others."""


class _Serial:
    """One process: every collective operation is the identity."""

    rank = 0
    size = 1

    def scatter(self, values: Sequence[Value] | None) -> Value:
        assert values is not None
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        return [value]


SERIAL: Communicator = _Serial()


def launched_place() -> tuple[int, int]:
    """Return rank and number of processes that an MPI launcher gave this one; (0, 1) without."""
    for rank, size in _LAUNCHERS:
        if rank in os.environ:
            return int(os.environ[rank]), int(os.environ.get(size) or 1)
    return 0, 1


def find_communicator() -> Communicator | None:
    """Return the communicator of the processes that were started together.

    Returns
    -------
    communicator : Communicator or None
        An `MpiCommunicator` under a launcher of MPI, otherwise `SERIAL`; None if a launcher
        started several processes but mpi4py is not installed, so that they can not find each
        other.

    Raises
    ------
    OptionError
        If mpi4py uses another MPI than the launcher, so that each process believes to be alone.
    """
    _, size = launched_place()
    if size < 2:
        return SERIAL
    if importlib.util.find_spec("mpi4py") is None:
        return None
    from aurefine.parallel.mpi import MpiCommunicator

    world = MpiCommunicator()
    if world.size != size:
        raise OptionError(
            f"the launcher started {size} processes, but {world.library()}, which mpi4py uses, "
            f"finds {world.size}: they do not belong together. Start with the mpirun of that "
            "library, or install mpi4py for the MPI of this machine (docs/cluster.md)."
        )
    return world
