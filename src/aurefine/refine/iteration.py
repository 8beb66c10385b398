"""What stays the same for a run and for an iteration, as records that every process can have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import grid_from_angles
from aurefine.geometry.symmetry import point_group
from aurefine.refine.economy import reuses_poses
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan, make_plan
from aurefine.refine.projector import padded_size
from aurefine.refine.state import ControllerState, RefinementState, SamplingState
from aurefine.refine.stored_sums import SumsFiles

__all__ = ["IterationSettings", "RefinementInput", "iteration_plan", "settings_of"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RefinementInput:
    """What stays the same from iteration to iteration.

    `keep_in_file` moves an array to a file and returns it from there; without it the sums of both
    halves stay in memory. `sums_files` takes the sums of iterations that are not finished.
    """

    particles: ParticleSet
    options: RefineOptions
    solvent_mask: Float32 | None = None  # (n, n, n)
    solvent_mask2: Float32 | None = None
    keep_in_file: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None
    sums_files: SumsFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationSettings:
    """A state of the run without the large parts: models, poses and maps."""

    box_size: int  # px
    pixel_size: float  # Å
    random_seed: int
    particle_diameter: float  # Å
    controller: ControllerState
    sampling: SamplingState
    direction_rot: Float  # (n_directions,) degrees
    direction_tilt: Float
    coarse_step: float  # degrees, decides the image size of the first pass
    uses_correlation: bool
    scored_size: int  # px, model size that poses are scored on

    @property
    def r_max(self) -> int:
        """Largest shell of the iteration."""
        return self.controller.current_size // 2


def settings_of(
    state: RefinementState,
    controller: ControllerState,
    coarse_step: float,
    *,
    uses_correlation: bool,
    scored_size: int | None = None,
) -> IterationSettings:
    """Take the settings of an iteration from the state and the counters of the schedule.

    Poses are scored on the current size unless `scored_size` [px] is given.
    """
    return IterationSettings(
        box_size=state.box_size,
        pixel_size=state.pixel_size,
        random_seed=state.random_seed,
        particle_diameter=state.options_particle_diameter,
        controller=controller,
        sampling=state.sampling,
        direction_rot=state.direction_rot,
        direction_tilt=state.direction_tilt,
        coarse_step=coarse_step,
        uses_correlation=uses_correlation,
        scored_size=controller.current_size if scored_size is None else scored_size,
    )


def iteration_plan(
    settings: IterationSettings, data: RefinementInput, *, with_ramps: bool = False
) -> IterationPlan:
    """Build the grids and tables of an iteration; phase ramps only where images are shifted."""
    options = data.options
    return make_plan(
        box=settings.box_size,
        pixel_size=settings.pixel_size,
        current_size=settings.controller.current_size,
        coarse_step=settings.coarse_step,
        group=point_group(options.symmetry),
        grid=grid_from_angles(
            settings.sampling.order, settings.direction_rot, settings.direction_tilt
        ),
        sampling=settings.sampling,
        optics_groups=data.particles.optics_groups,
        mtf_curves=data.particles.mtf_curves,
        is_last=settings.controller.has_converged,
        padding=padded_size(settings.box_size, options.padding) / settings.box_size,
        options=options,
        particle_diameter=settings.particle_diameter,
        use_correlation=settings.uses_correlation,
        reference_has_ctf=not (options.ctf_uncorrected_ref and settings.controller.iteration == 1),
        scored_size=settings.scored_size,
        reuses_poses=reuses_poses(settings.controller, settings.sampling, options),
        with_ramps=with_ramps,
    )
