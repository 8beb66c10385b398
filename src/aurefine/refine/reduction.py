"""Adding up the back-projections of several processes without rounding."""

from __future__ import annotations

import numpy as np

from aurefine.errors import AurefineError
from aurefine.parallel.mpi import MpiCommunicator
from aurefine.refine.exact_volume import ExactVolume, exact_values, store_values

__all__ = ["add_volumes"]

_PIECE = 1 << 22  # sums that are added at a time
_FITS = 1 << 31  # magnitude that a word can not have
_HAS_CARRY = 1 << 40  # stands for a piece that does not fit


def add_volumes(volume: ExactVolume, team: MpiCommunicator) -> None:
    """Add the sums of all processes of a team, in place, at the first of them.

    Pieces of the volume whose total surely fits 32 bits are added as such; the others, of which
    there are few, as 64 bits.

    Raises
    ------
    AurefineError
        If the processes have scaled their sums differently.
    """
    scales = team.broadcast(volume.scales)
    for own, first in zip(volume.scales.arrays, scales.arrays, strict=True):
        if not np.array_equal(own, first):
            raise AurefineError(
                "this process computes other scales for its sums than the first one of its half, "
                "from the same numbers: the nodes have different processors or libraries. Run on "
                "nodes of one kind, with one installation of aurefine."
            )
    words = volume.words.reshape(-1)
    starts = range(0, len(words), _PIECE)
    largest = np.array([_largest(volume, start) for start in starts])
    team.total(largest)
    for start, size in zip(starts, largest.tolist(), strict=True):
        stop = min(start + _PIECE, len(words))
        if size < _FITS:
            team.add_up(words[start:stop])
            continue
        values = exact_values(volume, start, stop)
        team.add_up(values)
        if team.rank == 0:
            store_values(volume, start, stop, values)


def _largest(volume: ExactVolume, start: int) -> int:
    """Return the largest magnitude of the sums of a piece, or a number that does not fit."""
    piece = volume.words.reshape(-1)[start : start + _PIECE]
    a, b = np.searchsorted(volume.carry_index, [start, start + len(piece)])
    return _HAS_CARRY if b > a else max(int(piece.max()), -int(piece.min()))
