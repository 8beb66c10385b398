"""Sums of an unfinished iteration on their way to a file and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError

__all__ = ["SumsFiles", "SumsSoFar", "UnusableSumsError"]

IntArray = npt.NDArray[np.int64]


class UnusableSumsError(AurefineError):
    """Stored sums that can not be used: their batches have to be done again."""


@dataclass(frozen=True, slots=True)
class SumsSoFar:
    """Exact sums of one half; see `ExactVolume` and `ExactSum`."""

    words: npt.NDArray[np.int32]
    carry_index: IntArray
    carry: IntArray
    digits: IntArray
    scales: npt.NDArray[np.float32]  # of the words: limits, data and weights of all zones


class SumsFiles(Protocol):
    """Where sums are stored, those of each half in a file of its own."""

    def write(self, iteration: int, half: int, mark: str, sums: SumsSoFar) -> str:
        """Store the sums of the batches that a mark stands for, and return the name of the file.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        ...

    def read(self, name: str, mark: str) -> SumsSoFar:
        """Return what was stored.

        Raises
        ------
        UnusableSumsError
            If the file is missing or damaged, or has another mark.
        """
        ...
