"""What the loop tells the outside while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aurefine.refine.options import RefineOptions
from aurefine.refine.partial import PartialIteration
from aurefine.refine.plan import IterationPlan
from aurefine.refine.state import ControllerState, RefinementState, SamplingState

__all__ = ["RunObserver", "SilentObserver"]


class RunObserver(Protocol):
    """Receives the events of a run in order; `checkpoint` may write files."""

    def iteration_started(self, controller: ControllerState) -> None:
        """An iteration begins; the counters are those left by the previous one."""

    def accuracy_started(self) -> None:
        """The accuracies are about to be estimated."""

    def accuracy_estimated(self, controller: ControllerState) -> None:
        """The accuracies of angles and offsets are known."""

    def sampling_updated(self, sampling: SamplingState) -> None:
        """The sampling of this iteration is known."""

    def expectation_started(
        self, controller: ControllerState, plan: IterationPlan, n_particles: int
    ) -> None:
        """Particles are about to be aligned."""

    def particles_done(self, n: int) -> None:
        """This many more particles have been aligned."""

    def unfinished(self, key: Callable[[], str]) -> PartialIteration | None:
        """Return what an earlier run has stored of the iteration with that key."""
        ...

    def taken_up(self, n: int) -> None:
        """The results of this many particles of an earlier run are used."""

    def wants_to_store(self) -> bool:
        """Return whether the iteration should be stored as soon as that can be done."""
        ...

    def store(self, so_far: Callable[[], PartialIteration]) -> None:
        """The iteration can be stored now; `so_far` stores the sums."""

    def halves_joined(self, resolution: float) -> None:
        """The sums of the halves were averaged up to this resolution [Å]."""

    def fsc_started(self, is_solvent_corrected: bool) -> None:
        """The FSC is about to be calculated."""

    def phases_randomised(self, resolution: float) -> None:
        """Phases were randomised beyond this resolution [Å]."""

    def maximisation_started(self) -> None:
        """Maps are about to be reconstructed."""

    def warn(self, message: str) -> None:
        """Something deserves attention."""

    def checkpoint(self, state: RefinementState, options: RefineOptions) -> RefinementState:
        """Store a complete iteration; return the state to go on from."""
        ...

    def converged(self, state: RefinementState) -> None:
        """The last iteration is complete."""


class SilentObserver:
    """An observer that ignores everything."""

    def iteration_started(self, controller: ControllerState) -> None:
        """Ignore."""

    def accuracy_started(self) -> None:
        """Ignore."""

    def accuracy_estimated(self, controller: ControllerState) -> None:
        """Ignore."""

    def sampling_updated(self, sampling: SamplingState) -> None:
        """Ignore."""

    def expectation_started(
        self, controller: ControllerState, plan: IterationPlan, n_particles: int
    ) -> None:
        """Ignore."""

    def particles_done(self, n: int) -> None:
        """Ignore."""

    def unfinished(self, key: Callable[[], str]) -> PartialIteration | None:
        """Know of nothing."""
        return None

    def taken_up(self, n: int) -> None:
        """Ignore."""

    def wants_to_store(self) -> bool:
        """Never."""
        return False

    def store(self, so_far: Callable[[], PartialIteration]) -> None:
        """Ignore."""

    def halves_joined(self, resolution: float) -> None:
        """Ignore."""

    def fsc_started(self, is_solvent_corrected: bool) -> None:
        """Ignore."""

    def phases_randomised(self, resolution: float) -> None:
        """Ignore."""

    def maximisation_started(self) -> None:
        """Ignore."""

    def warn(self, message: str) -> None:
        """Ignore."""

    def checkpoint(self, state: RefinementState, options: RefineOptions) -> RefinementState:
        """Return the state unchanged."""
        return state

    def converged(self, state: RefinementState) -> None:
        """Ignore."""
