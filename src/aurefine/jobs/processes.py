"""How many processes a refinement can use."""

from __future__ import annotations

from aurefine.errors import OptionError

__all__ = ["MINIMUM", "too_few_processes"]

MINIMUM = 3  # a leader and one follower for each half


def too_few_processes(size: int) -> OptionError:
    """Return the message for a number of processes that can not work."""
    return OptionError(
        f"{size} processes can not refine: at least {MINIMUM} are needed, one that leads and one "
        f"for each half set. Start mpirun -n {MINIMUM} or more (odd numbers share the work "
        "evenly), or one process without mpirun."
    )
