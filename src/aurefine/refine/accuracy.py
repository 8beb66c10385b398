"""Estimated accuracy of angles and offsets (spec 5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from aurefine.kernels.accuracy import smallest_offset_error, smallest_rotation_error
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.refine.batch import mean_squared_ctf, transfer_function
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel, Poses

__all__ = ["Accuracy", "estimate_accuracy"]

Float = npt.NDArray[np.float64]

_N_PARTICLES = 100
_TOGETHER = 12  # particles whose weights one thread makes at a time
_LOG_RATIO = float(np.log(100.0))  # two poses differ when their likelihoods do by this factor


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mean smallest detectable errors and what each shell contributes to detecting rotations."""

    angles: float  # degrees
    offsets: float  # Å
    orientability: Float  # (n_box // 2 + 1,), sums to one


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

    def estimate(own: npt.NDArray[np.int64]) -> list[tuple[float, float, Float]]:
        """Errors and contributions of shells for particles of one optics group."""
        optics = int(particles.optics[own[0]])
        geometry, mean_ctf2 = shared[optics]
        pixels = geometry.pixels
        n = geometry.n_coarse if plan.options.strict_highres_exp > 0 else pixels.n_pixels
        shell = geometry.model_shell[pixels.shell[:n]]
        sigma2 = model.sigma2_noise[particles.noise_group[own][:, None], shell]
        power = transfer_function(particles, own, plan, geometry)[:, :n]
        if mean_ctf2 is not None and particles.optics_groups[optics].is_premultiplied:
            power = power * mean_ctf2[particles.noise_group[own], :n]  # it is CTF² already
        else:
            power = power**2
        usable = (sigma2 > 0) & (pixels.shell[:n] > 0) & (geometry.valid[:n] > 0)
        weights = np.zeros((len(own), n), np.float32)
        np.divide(power, 2 * sigma2, out=weights, where=usable, casting="same_kind")
        slice_x, slice_y = geometry.slice_x[:n], geometry.slice_y[:n]
        phases = [2 * np.pi * index[:n] / geometry.box for index in (pixels.x, pixels.y)]
        found = []
        for row, weight in zip(own.tolist(), weights, strict=True):
            u = np.random.Generator(np.random.Philox(key=[seed, row])).random(2)
            angles = (float(poses.rot[row]), float(poses.tilt[row]), float(poses.psi[row]))
            by_shell = np.zeros(n_shells)
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
            offset = smallest_offset_error(
                projector.volume,
                *angles,
                phases[int(u[1] >= 0.5)],
                slice_x,
                slice_y,
                weight,
                _LOG_RATIO,
            )
            found.append((rotation, offset * geometry.pixel_size, by_shell))
        return found

    groups = [rows[particles.optics[rows] == group] for group in np.unique(particles.optics[rows])]
    pieces = [
        own[part] for own in groups for part in even_parts(len(own), -(-len(own) // _TOGETHER))
    ]
    found = list(chain.from_iterable(pool.map(estimate, pieces)))
    orientability = np.mean([f[2] for f in found], axis=0)
    return Accuracy(
        angles=float(np.mean([f[0] for f in found])),
        offsets=float(np.mean([f[1] for f in found])),
        orientability=orientability / max(orientability.sum(), 1e-30),
    )
