"""What an iteration may leave out without loss: particles, shells, and orientations.

Each saving is an option; `--relion_schedule` switches all of them off.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.refine import schedule
from aurefine.refine.initialise import map_power
from aurefine.refine.options import RefineOptions
from aurefine.refine.pixels import half_plane_rings
from aurefine.refine.plan import IterationPlan
from aurefine.refine.state import ControllerState, HalfModel, Poses, RefinementState, SamplingState

__all__ = [
    "around_poses",
    "is_subset",
    "known_poses",
    "reuses_poses",
    "rows_in_use",
    "scored_size",
]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def rows_in_use(
    state: RefinementState, half: int, controller: ControllerState, options: RefineOptions
) -> IntArray:
    """Rows of a half, shuffled once per run; of a subset always the same, the first ones."""
    rows = np.flatnonzero(state.poses.half == half)
    if state.random_seed != 0:
        rng = np.random.Generator(np.random.Philox(key=[state.random_seed, half]))
        rows = rng.permutation(rows)
    if is_subset(controller, options, len(rows)):
        rows = rows[: options.early_particles]
    return rows


def is_subset(controller: ControllerState, options: RefineOptions, n_particles: int) -> bool:
    """Whether an iteration leaves some of a half's particles out."""
    return schedule.uses_subset(controller, options) and n_particles > options.early_particles


def scored_size(
    model: HalfModel,
    n_particles_per_group: npt.NDArray[np.integer],
    current_size: int,
    options: RefineOptions,
) -> int:
    """Size [px] of the images that poses are scored on.

    Beyond the resolution a reference fades into nothing, and what is nothing tells no poses
    apart.  Left out are the outer shells that can change the logarithm of a likelihood by no
    more than ``options.scoring_tolerance`` in total.

    Parameters
    ----------
    model : HalfModel
        Of half 1: its map and noise spectra.
    n_particles_per_group : ndarray, shape (n_noise_groups,)
        Weights of the noise spectra.
    current_size : int
        px.
    pool : WorkerPool

    Notes
    -----
    A slice adds ``|C A|^2 / (2 sigma2)`` to the score, in a shell about ``n power / (2 sigma2)``
    for a mean C^2 of 1/2, `n` pixels, and power and `sigma2` of one component.
    """
    if options.scoring_tolerance <= 0:
        return current_size
    weight = np.asarray(n_particles_per_group, float)
    sigma2 = np.average(model.sigma2_noise, axis=0, weights=weight)
    last = current_size // 2
    _, n_pixels = half_plane_rings(2 * (len(sigma2) - 1))
    power = map_power(model.map, options.n_threads)
    share = n_pixels * np.divide(power, 2 * sigma2, out=np.zeros_like(sigma2), where=sigma2 > 0)
    beyond = np.cumsum(share[1 : last + 1][::-1])[::-1]  # of shell 1, 2, ... and all higher ones
    n_needed = int(np.count_nonzero(beyond > options.scoring_tolerance))
    return 2 * max(1, n_needed)


def reuses_poses(
    controller: ControllerState, sampling: SamplingState, options: RefineOptions
) -> bool:
    """Whether this iteration may search certain particles around their last poses only."""
    first_likelihood = 2 if options.firstiter_cc else 1
    return bool(
        0 < options.reuse_poses <= 1
        and not options.always_cc
        and not (options.skip_align or options.skip_rotate or options.relax_symmetry)
        and not sampling.is_local
        and controller.iteration > first_likelihood
    )


def known_poses(poses: Poses, rows: IntArray, options: RefineOptions) -> BoolArray:
    """Tell particles whose last posterior had one clear maximum, shape (n_rows,)."""
    known: BoolArray = poses.pmax[rows] >= options.reuse_poses
    return known


def around_poses(plan: IterationPlan) -> IterationPlan:
    """Return a plan that searches three coarse steps around each pose, without a preference."""
    sampling = plan.sampling
    near = replace(sampling, is_local=True, sigma_angle=2 * sampling.fine_angular_step)
    return replace(plan, sampling=near, has_pose_prior=False)
