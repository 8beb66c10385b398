"""What to simulate: one record, in the words of the options."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["SimulationSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Settings of a simulation that all optics groups share; lengths in Å, angles in degrees.

    Attributes
    ----------
    n_particles, n_micrographs : int
        Particles are spread evenly over the micrographs, and these over the optics groups.
    particle_diameter : float
        Diameter of the circle outside which an image is background.
    bfactor : float
        Envelope ``exp(-bfactor * s**2 / 4)`` of the signal [Å²].
    snr : float
        Variance of the CTF-multiplied projection over the box, divided by that of the noise,
        averaged over particles; 0 or less: no noise.
    noise_lowfreq, noise_lowfreq_resolution : float
        Additional noise power at zero frequency relative to the white noise, and the resolution
        at which this addition has fallen to a quarter.
    structural_noise : float
        Fraction of the noise variance that has passed the CTF, as ice and other proteins do.
    micrograph_scale_sd, micrograph_noise_sd : float
        Relative spread of intensity and noise level between micrographs.
    defocus_min, defocus_max : float
        Range of the mean defocus of micrographs, underfocus positive.
    defocus_spread : float
        Standard deviation of the defocus of particles about that of their micrograph.
    astigmatism : float
        Standard deviation of ``defocus_u - defocus_v`` of micrographs.
    shift : float
        Standard deviation of each offset, or half the width of its range.
    uniform_shifts : bool
        Whether offsets are uniform in a square instead of Gaussian.
    view_axes : tuple of (x, y, z)
        Preferred viewing directions in the map; empty: uniform views.
    view_fraction : float
        Fraction of particles that have a preferred view; the others are uniform.
    view_concentration : float
        Concentration (kappa) of preferred views about their axis; sd is about ``57 / sqrt(kappa)``.
    seed : int
        Random streams depend on it and on the number of the particle, nothing else.
    """

    n_particles: int
    particle_diameter: float
    n_micrographs: int = 10
    bfactor: float = 100.0
    snr: float = 0.05
    noise_lowfreq: float = 2.0
    noise_lowfreq_resolution: float = 40.0
    structural_noise: float = 0.1
    micrograph_scale_sd: float = 0.05
    micrograph_noise_sd: float = 0.03
    defocus_min: float = 5000.0
    defocus_max: float = 25000.0
    defocus_spread: float = 200.0
    astigmatism: float = 300.0
    shift: float = 8.0
    uniform_shifts: bool = False
    view_axes: tuple[tuple[float, float, float], ...] = ()
    view_fraction: float = 0.8
    view_concentration: float = 10.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.n_particles < 1 or self.n_micrographs < 1:
            raise ValueError("a simulation needs at least one particle and one micrograph")
        if not self.particle_diameter > 0:
            raise ValueError(f"particle diameter must be positive, found {self.particle_diameter}")
        if self.defocus_max < self.defocus_min:
            raise ValueError(
                f"defocus range ends ({self.defocus_max:g} Å) before it begins "
                f"({self.defocus_min:g} Å)"
            )
        for name in ("view_fraction", "structural_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, found {getattr(self, name)}")
        for axis in self.view_axes:
            if not 0 < math.hypot(*axis) < math.inf:
                raise ValueError(f"view axis {axis} has no direction")

    @property
    def has_noise(self) -> bool:
        """Whether noise is added."""
        return self.snr > 0
