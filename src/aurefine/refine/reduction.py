"""Adding up the back-projections of several processes without rounding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError
from aurefine.parallel.mpi import MpiCommunicator
from aurefine.refine.exact_volume import ExactVolume

__all__ = ["add_volumes"]

IntArray = npt.NDArray[np.int64]

_PIECE = 1 << 24  # sums that are looked through at a time
_WRAPS = 1 << 31


def add_volumes(volume: ExactVolume, team: MpiCommunicator) -> None:
    """Add the sums of all processes of a team, in place, at the first of them.

    Words are added as 32-bit integers, which may wrap. A total can wrap only where the share of
    some process is large; these few sums are added once more as 64-bit integers.

    Raises
    ------
    AurefineError
        If the processes have scaled their sums differently.
    """
    if team.size == 1:
        return
    _check_scales(volume, team)
    found = team.gather(_large_shares(volume, team.size))
    index = team.broadcast(np.unique(np.concatenate(found)) if found else None, purpose="sums")
    words = volume.words.reshape(-1)
    values = words[index].astype(np.int64)
    values[np.searchsorted(index, volume.carry_index)] += volume.carry << 32
    team.add_up(values)
    team.add_up(words)
    if team.rank == 0:
        low = values.astype(np.int32)  # the low 32 bits
        carry = (values - low) >> 32
        words[index] = low
        volume.carry_index, volume.carry = index[carry != 0], carry[carry != 0]


def _large_shares(volume: ExactVolume, n_processes: int) -> IntArray:
    """Places where this process has so much that the total might wrap."""
    words = volume.words.reshape(-1)
    limit = _WRAPS // n_processes
    found = [volume.carry_index]
    for start in range(0, len(words), _PIECE):
        piece = words[start : start + _PIECE]
        found.append(start + np.flatnonzero((piece >= limit) | (piece <= -limit)))
    return np.unique(np.concatenate(found))


def _check_scales(volume: ExactVolume, team: MpiCommunicator) -> None:
    scales = team.broadcast(volume.scales)
    for own, first in zip(volume.scales.arrays, scales.arrays, strict=True):
        if not np.array_equal(own, first):
            raise AurefineError(
                "this process computes other scales for its sums than the first one of its half, "
                "from the same numbers: the nodes have different processors or libraries. Run on "
                "nodes of one kind, with one installation of aurefine."
            )
