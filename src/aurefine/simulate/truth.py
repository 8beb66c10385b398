"""The true parameters of simulated particles, drawn from one random stream per particle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry.euler import angles_from_direction
from aurefine.simulate.settings import SimulationSettings

__all__ = ["Truth", "draw_truth", "random_stream"]

Float = npt.NDArray[np.float64]

MICROGRAPH_SIZE_PX = 4096  # of the invented micrographs, for the coordinates
_STREAMS = {"micrograph": 1, "pose": 2, "noise": 3}


@dataclass(frozen=True, slots=True)
class Truth:
    """True parameters, one entry per particle; Å and degrees.

    Attributes
    ----------
    micrograph, optics_group : ndarray, shape (n_particles,), int64
        Numbers from 0.
    rot, tilt, psi : ndarray, shape (n_particles,), float64
        Orientation.
    offset_x, offset_y : ndarray, shape (n_particles,), float64
        Correction as in rlnOriginXAngst: the particle lies at minus this from the box centre.
    defocus_u, defocus_v, defocus_angle, phase_shift : ndarray, shape (n_particles,), float64
        CTF.
    coordinate_x, coordinate_y : ndarray, shape (n_particles,), float64
        Position of the box in an invented micrograph [px].
    half_set : ndarray, shape (n_particles,), int64
        1 or 2, alternating: a fixed split for oracles.
    micrograph_scale, micrograph_noise : ndarray, shape (n_micrographs,), float64
        Factors on the signal and on the noise.
    """

    micrograph: npt.NDArray[np.int64]
    optics_group: npt.NDArray[np.int64]
    rot: Float
    tilt: Float
    psi: Float
    offset_x: Float
    offset_y: Float
    defocus_u: Float
    defocus_v: Float
    defocus_angle: Float
    phase_shift: Float
    coordinate_x: Float
    coordinate_y: Float
    half_set: npt.NDArray[np.int64]
    micrograph_scale: Float
    micrograph_noise: Float

    def __len__(self) -> int:
        return self.micrograph.size


def random_stream(seed: int, purpose: str, index: int) -> np.random.Generator:
    """Return the random stream of one particle or micrograph, whatever thread asks for it.

    Parameters
    ----------
    seed : int
        Of the simulation.
    purpose : str
        ``"micrograph"``, ``"pose"`` or ``"noise"``.
    index : int
        Number of the micrograph or particle, from 0.
    """
    key = np.array([seed % 2**64, (_STREAMS[purpose] << 56) | index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def draw_truth(settings: SimulationSettings, phase_shifts: Sequence[float] = (0.0,)) -> Truth:
    """Draw the true parameters of all particles.

    Parameters
    ----------
    settings : SimulationSettings
        Distributions and seed.
    phase_shifts : sequence of float
        Phase shift of each optics group, to which micrographs belong in turn.

    Returns
    -------
    truth : Truth
    """
    n = settings.n_particles
    n_micrographs = min(settings.n_micrographs, n)
    per_micrograph = np.array(
        [_draw_micrograph(settings, index) for index in range(n_micrographs)]
    )  # (n_micrographs, 5)
    scale, noise = per_micrograph[:, 0], per_micrograph[:, 1]
    micrograph = np.arange(n) * n_micrographs // n
    drawn = np.array([_draw_pose(settings, index) for index in range(n)])  # (n, 8)
    mean, half_difference, angle = per_micrograph[micrograph, 2:].T
    mean = mean + drawn[:, 5]
    optics_group = micrograph % len(phase_shifts)
    return Truth(
        micrograph=micrograph,
        optics_group=optics_group,
        rot=drawn[:, 0],
        tilt=drawn[:, 1],
        psi=drawn[:, 2],
        offset_x=drawn[:, 3],
        offset_y=drawn[:, 4],
        defocus_u=mean + half_difference,
        defocus_v=mean - half_difference,
        defocus_angle=angle,
        phase_shift=np.asarray(phase_shifts, dtype=np.float64)[optics_group],
        coordinate_x=drawn[:, 6],
        coordinate_y=drawn[:, 7],
        half_set=1 + np.arange(n) % 2,
        micrograph_scale=scale,
        micrograph_noise=noise,
    )


def _draw_micrograph(settings: SimulationSettings, index: int) -> list[float]:
    rng = random_stream(settings.seed, "micrograph", index)
    spreads = [settings.micrograph_scale_sd, settings.micrograph_noise_sd]
    scale, noise = np.exp(rng.normal(size=2) * spreads)
    mean = rng.uniform(settings.defocus_min, settings.defocus_max)
    half_difference = 0.5 * abs(rng.normal(0.0, settings.astigmatism))
    return [scale, noise, mean, half_difference, rng.uniform(0.0, 180.0)]


def _draw_pose(settings: SimulationSettings, index: int) -> list[float]:
    rng = random_stream(settings.seed, "pose", index)
    direction = _draw_direction(rng, settings)
    rot, tilt = angles_from_direction(direction)
    psi = rng.uniform(-180.0, 180.0)
    if settings.uniform_shifts:
        offset = rng.uniform(-settings.shift, settings.shift, 2)
    else:
        offset = rng.normal(0.0, settings.shift, 2)
    defocus = rng.normal(0.0, settings.defocus_spread)
    place = rng.uniform(0.05, 0.95, 2) * MICROGRAPH_SIZE_PX
    return [float(rot), float(tilt), psi, *offset.tolist(), defocus, *place.tolist()]


def _draw_direction(rng: np.random.Generator, settings: SimulationSettings) -> Float:
    """Unit vector: uniform, or von Mises-Fisher about one of the preferred axes."""
    is_preferred = rng.random() < settings.view_fraction
    cosine, azimuth, choice = rng.uniform(-1.0, 1.0), rng.uniform(0.0, 2 * np.pi), rng.random()
    axis: Sequence[float] = (0.0, 0.0, 1.0)
    if settings.view_axes and is_preferred:
        axis = settings.view_axes[int(choice * len(settings.view_axes))]
        kappa = settings.view_concentration
        uniform = 0.5 * (cosine + 1.0)
        if kappa > 0:
            cosine = 1.0 + np.log(uniform + (1.0 - uniform) * np.exp(-2.0 * kappa)) / kappa
    z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    helper = np.eye(3)[np.argmin(np.abs(z))]
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    sine = np.sqrt(max(0.0, 1.0 - cosine**2))
    return np.asarray(cosine * z + sine * (np.cos(azimuth) * x + np.sin(azimuth) * np.cross(z, x)))
