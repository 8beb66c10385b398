"""What the loop asks of the processes that hold the half sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aurefine.refine.accuracy import Accuracy
from aurefine.refine.iteration import IterationSettings
from aurefine.refine.state import HalfModel, Poses, StageTimes
from aurefine.refine.work import WorkList

__all__ = ["Crew", "HalfFsc", "NewModels"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HalfFsc:
    """Gold-standard FSC, and the shell beyond which phases were randomised to correct it."""

    fsc: Float  # (n_box // 2 + 1,)
    random_shell: int | None = None  # 0: no such shell was found; None: not looked for


@dataclass(frozen=True, slots=True)
class NewModels:
    """New models by half, that of all particles as half 1, and unregularised maps by half."""

    models: Mapping[int, HalfModel]
    unfiltered: Mapping[int, Float32]


class Crew(Protocol):
    """The two half sets, in this process or in others; called in this order in an iteration."""

    def begin(
        self, settings: IterationSettings, poses: Poses, models: Mapping[int, HalfModel]
    ) -> None:
        """Take over poses and models, and prepare the references."""

    def estimate_accuracy(self, settings: IterationSettings, rows: IntArray) -> Accuracy:
        """Estimate the accuracy of poses from particles of half 1."""
        ...

    def restore(self, names: Mapping[int, str], mark: str) -> None:
        """Take over sums that an earlier run has stored; `align` adds to them.

        Parameters
        ----------
        names : mapping
            Files by half; a half without one begins at zero.
        mark : str
            Of the batches that the sums are made of.

        Raises
        ------
        UnusableSumsError
            If a file can not be used; nothing is taken over then.
        """

    def align(self, settings: IterationSettings, work: WorkList) -> None:
        """Align all batches of a list, whose results are complete afterwards.

        Calls `work.store` soon after `work.is_due` says so, at a moment when the sums are those
        of the batches that have results.
        """

    def store(self, mark: str) -> Mapping[int, str]:
        """Store the sums, within `work.store` only; return the names of the files by half.

        Raises
        ------
        OutputError
            If that is not possible; the work goes on all the same.
        """
        ...

    def complete_sums(self) -> None:
        """Bring the sums of each half together and symmetrise them."""

    def join_halves(self, shell: int) -> None:
        """Average the sums of both halves up to a shell."""

    def measure_fsc(self) -> HalfFsc | None:
        """Compare the halves; None only in a process that does not have half 1."""
        ...

    def reconstruct(self, fsc: Float, orientability: Float, n_particles: IntArray) -> NewModels:
        """Make the maps and all other parameters.

        Parameters
        ----------
        fsc : ndarray, shape (n_box // 2 + 1,)
        orientability : ndarray, shape (n_box // 2 + 1,)
        n_particles : ndarray, shape (n_groups,)
            Particles of both halves in each intensity-scale group.
        """
        ...

    def finish(self) -> StageTimes:
        """Forget the sums, and tell where the time went."""
        ...
