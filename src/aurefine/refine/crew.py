"""What the loop asks of the processes that hold the half sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from aurefine.refine.accuracy import Accuracy
from aurefine.refine.iteration import IterationSettings
from aurefine.refine.partial import SumsSoFar
from aurefine.refine.state import HalfModel, Poses, StageTimes
from aurefine.refine.work import WorkList

__all__ = ["Crew", "HalfFsc", "KeepsSums", "NewModels"]

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

    def align(self, settings: IterationSettings, work: WorkList) -> None:
        """Align all batches of a list, whose results are complete afterwards."""

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


@runtime_checkable
class KeepsSums(Protocol):
    """A crew in this process, whose sums can be stored in the middle of an iteration."""

    def restore(self, sums: Mapping[int, SumsSoFar]) -> None:
        """Take over sums that an earlier process has begun; `align` adds to them."""

    def sums_so_far(self) -> Mapping[int, SumsSoFar]:
        """Return the sums by half, between two batches."""
        ...
