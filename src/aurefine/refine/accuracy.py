"""Estimated accuracy of angles and offsets (spec 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.kernels.accuracy import smallest_offset_error, smallest_rotation_error
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import mean_squared_ctf, transfer_function
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel, Poses

__all__ = ["Accuracy", "estimate_accuracy"]

_N_PARTICLES = 100
_LOG_RATIO = float(np.log(100.0))  # two poses differ when their likelihoods do by this factor


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mean smallest detectable errors and what each shell contributes to detecting rotations."""

    angles: float  # degrees
    offsets: float  # Å
    orientability: npt.NDArray[np.float64]  # (n_box // 2 + 1,), sums to one


def estimate_accuracy(
    rows: npt.NDArray[np.int64],
    particles: ParticleSet,
    poses: Poses,
    model: HalfModel,
    projector: Projector,
    plan: IterationPlan,
    seed: int,
    pool: WorkerPool,
) -> Accuracy:
    """Estimate how well poses can be told apart, from half 1.

    Parameters
    ----------
    rows : ndarray
        Particles of half 1 in processing order; the first 100 are used.
    projector : Projector
        Of half 1's map.

    Returns
    -------
    Accuracy
    """
    rows = rows[:_N_PARTICLES]
    shared = {}
    for kind in plan.geometries:
        mean = mean_squared_ctf(particles, plan, kind)
        shared.update(dict.fromkeys(kind.group_rows, (kind, mean)))
    n_shells = plan.box // 2 + 1

    def estimate(row: int) -> tuple[float, float, npt.NDArray[np.float64]]:
        optics = int(particles.optics[row])
        geometry, mean_ctf2 = shared[optics]
        pixels = geometry.pixels
        n = geometry.n_coarse if plan.options.strict_highres_exp > 0 else pixels.n_pixels
        shell = geometry.model_shell[pixels.shell[:n]]
        sigma2 = model.sigma2_noise[particles.noise_group[row], shell]
        power = transfer_function(particles, np.array([row]), plan, geometry)[0, :n]
        if mean_ctf2 is not None and particles.optics_groups[optics].is_premultiplied:
            power = power * mean_ctf2[particles.noise_group[row], :n]  # it is CTF² already
        else:
            power = power**2
        weight = np.zeros(n, np.float32)
        usable = (sigma2 > 0) & (pixels.shell[:n] > 0)
        usable &= geometry.valid[:n] > 0
        weight[usable] = power[usable] / (2 * sigma2[usable])
        u = np.random.Generator(np.random.Philox(key=[seed, row])).random(2)
        by_shell = np.zeros(n_shells)
        angles = (float(poses.rot[row]), float(poses.tilt[row]), float(poses.psi[row]))
        slice_x, slice_y = geometry.slice_x[:n], geometry.slice_y[:n]
        rotation = smallest_rotation_error(
            projector.volume,
            *angles,
            min(2, int(3 * u[0])),
            slice_x,
            slice_y,
            weight,
            shell,
            _LOG_RATIO,
            by_shell,
        )
        index = pixels.x if u[1] < 0.5 else pixels.y
        offset = smallest_offset_error(
            projector.volume,
            *angles,
            2 * np.pi * index[:n].astype(np.float64) / geometry.box,
            slice_x,
            slice_y,
            weight,
            _LOG_RATIO,
        )
        return rotation, offset * geometry.pixel_size, by_shell

    found = pool.map(estimate, rows.tolist())
    orientability = np.mean([f[2] for f in found], axis=0)
    return Accuracy(
        angles=float(np.mean([f[0] for f in found])),
        offsets=float(np.mean([f[1] for f in found])),
        orientability=orientability / max(orientability.sum(), 1e-30),
    )
