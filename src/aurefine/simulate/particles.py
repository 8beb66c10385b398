"""Images of particles: projection, aberrations, CTF, noise and normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.extract.normalise import Background, make_background, normalise_images
from aurefine.geometry.euler import matrix_from_euler
from aurefine.optics.aberrations import antisymmetric_phase
from aurefine.optics.ctf import CtfParameters, ctf_values
from aurefine.optics.groups import OpticsGroup
from aurefine.simulate.projector import Projector, image_frequencies
from aurefine.simulate.settings import SimulationSettings
from aurefine.simulate.truth import Truth, random_stream

__all__ = ["ParticleSimulator", "noise_power"]

_N_FOR_SIGNAL = 64  # particles from which the average signal variance is taken
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """What all images of one optics group share; arrays are (box, box // 2 + 1)."""

    group: OpticsGroup
    projector: Projector
    sx: npt.NDArray[np.float64]
    sy: npt.NDArray[np.float64]
    aberration: npt.NDArray[np.complex64]  # and the move of the centre to index box // 2
    noise_amplitude: npt.NDArray[np.float32]  # of unit variance per pixel
    envelope: npt.NDArray[np.float32]
    hermitian_weight: npt.NDArray[np.float32]
    relative_signal: float
    background: Background


class ParticleSimulator:
    """Makes the image of any particle, independent of the order in which they are asked for.

    Parameters
    ----------
    projectors : sequence of Projector
        One per optics group, in its box, pixel size and magnification.
    groups : sequence of OpticsGroup
        Optical parameters; their order is that of ``truth.optics_group``.
    settings : SimulationSettings
        Noise and envelope.
    truth : Truth
        Parameters of the particles.

    Notes
    -----
    A pixel of another size collects another part of the same dose: the physical noise density is
    that of the first group, and as all images are normalised to a noise of 1, their signal is
    proportional to the pixel size.
    """

    def __init__(
        self,
        projectors: Sequence[Projector],
        groups: Sequence[OpticsGroup],
        settings: SimulationSettings,
        truth: Truth,
    ) -> None:
        self._settings = settings
        self._truth = truth
        self._ctf = CtfParameters(
            defocus_u=truth.defocus_u,
            defocus_v=truth.defocus_v,
            defocus_angle=truth.defocus_angle,
            bfactor=np.zeros(len(truth)),
            scale=np.ones(len(truth)),
            phase_shift=truth.phase_shift,
        )
        self._geometries = tuple(
            _make_geometry(projector, group, groups[0], settings)
            for projector, group in zip(projectors, groups, strict=True)
        )
        self.amplitude = 1.0
        self.amplitude = self._find_amplitude()

    def image(self, particle: int) -> npt.NDArray[np.float32]:
        """Return the image of one particle, shape (box, box), before normalisation."""
        geometry, ctf = self._geometry(particle), self._ctf_of(particle)
        transform = self._signal(particle, geometry, ctf)
        if self._settings.has_noise:
            transform += self._noise(particle, geometry, ctf)
        if geometry.group.is_premultiplied:
            transform *= ctf
        image = scipy.fft.irfft2(transform, s=(geometry.group.box_size,) * 2)
        return np.asarray(image, dtype=np.float32)

    def images(
        self, particles: npt.NDArray[np.int64], *, n_threads: int = 1
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield normalised images in batches, in the given order.

        Parameters
        ----------
        particles : ndarray, shape (n,), int64
            Numbers of particles whose images have one box and pixel size.
        n_threads : int
            Threads; the images do not depend on their number.

        Yields
        ------
        images : ndarray, shape (m, box, box), float32
            Background of mean 0 and standard deviation 1 (not scaled if there is no noise).
        """
        with ThreadPoolExecutor(n_threads) as pool:
            for start in range(0, len(particles), _BATCH):
                batch = [int(particle) for particle in particles[start : start + _BATCH]]
                images = np.stack(list(pool.map(self.image, batch)))
                if self._settings.has_noise:
                    background = self._geometry(batch[0]).background
                    normalise_images(images, background, subtract_plane=False)
                yield images

    def _geometry(self, particle: int) -> _Geometry:
        return self._geometries[int(self._truth.optics_group[particle])]

    def _ctf_of(self, particle: int) -> npt.NDArray[np.float32]:
        geometry = self._geometry(particle)
        values = ctf_values(
            geometry.group,
            self._ctf.take([particle]),
            geometry.sx.ravel(),
            geometry.sy.ravel(),
        )
        return values.reshape(geometry.sx.shape)

    def _signal(
        self, particle: int, geometry: _Geometry, ctf: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.complex64]:
        truth = self._truth
        matrix = matrix_from_euler(truth.rot[particle], truth.tilt[particle], truth.psi[particle])
        scale = (
            self.amplitude
            * geometry.relative_signal
            * truth.micrograph_scale[truth.micrograph[particle]]
        )
        # The stored offset is the correction: the particle lies at minus the offset
        phase = (2 * np.pi) * (
            geometry.sx * truth.offset_x[particle] + geometry.sy * truth.offset_y[particle]
        )
        transform = geometry.projector.project(np.asarray(matrix, dtype=np.float64))
        transform *= np.exp(1j * phase).astype(np.complex64)
        transform *= geometry.aberration
        transform *= np.float32(scale) * ctf
        return transform

    def _noise(
        self, particle: int, geometry: _Geometry, ctf: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.complex64]:
        settings, box = self._settings, geometry.group.box_size
        rng = random_stream(settings.seed, "noise", particle)
        level = self._truth.micrograph_noise[self._truth.micrograph[particle]]
        fraction = settings.structural_noise

        def white() -> npt.NDArray[np.complex64]:
            return np.asarray(scipy.fft.rfft2(rng.standard_normal((box, box), dtype=np.float32)))

        noise = white()
        noise *= np.float32(level * np.sqrt(1.0 - fraction)) * geometry.noise_amplitude
        if fraction > 0:
            passed = ctf * geometry.envelope
            mean_power = float((geometry.hermitian_weight * passed**2).sum()) / box**2
            noise += white() * (np.float32(level * np.sqrt(fraction / mean_power)) * passed)
        return noise

    def _find_amplitude(self) -> float:
        """Factor on the projection that gives the signal variance asked for."""
        geometry = self._geometries[0]
        particles = np.flatnonzero(self._truth.optics_group == 0)[:_N_FOR_SIGNAL]
        n_pixels = geometry.group.box_size**2
        total = 0.0
        for particle in particles.tolist():
            ctf = self._ctf_of(particle)
            power = np.abs(self._signal(particle, geometry, ctf)) ** 2
            power[0, 0] = 0.0
            total += float((geometry.hermitian_weight * power).sum()) / n_pixels**2
        wanted = self._settings.snr if self._settings.has_noise else 1.0
        return float(np.sqrt(wanted * len(particles) / total))


def noise_power(
    frequency: npt.NDArray[np.float64], settings: SimulationSettings
) -> npt.NDArray[np.float64]:
    """Return the power of the noise relative to its white part.

    Parameters
    ----------
    frequency : ndarray
        Spatial frequency [1/Å].
    settings : SimulationSettings
        Gives the height and the width of the low-frequency part.

    Returns
    -------
    power : ndarray, shape of `frequency`, float64
        ``1 + h / (1 + (s * resolution)**2)**2``.
    """
    relative = frequency * settings.noise_lowfreq_resolution
    return 1.0 + settings.noise_lowfreq / (1.0 + relative**2) ** 2


def _make_geometry(
    projector: Projector, group: OpticsGroup, first: OpticsGroup, settings: SimulationSettings
) -> _Geometry:
    box = group.box_size
    sx, sy = image_frequencies(box, group.pixel_size)
    frequency = np.hypot(sx, sy)
    weight = np.full(sx.shape, 2.0, dtype=np.float32)
    weight[:, 0] = weight[:, -1] = 1.0
    power = noise_power(frequency, settings)
    power /= (weight * power).sum() / box**2
    to_centre = (-1.0) ** np.add.outer(np.arange(box), np.arange(box // 2 + 1))
    # Corrected by exp(-i psi) in the refinement, so exp(+i psi) in the image
    aberration = np.exp(1j * antisymmetric_phase(group, sx, sy)) * to_centre
    radius = min(round(0.5 * settings.particle_diameter / group.pixel_size), box // 2)
    return _Geometry(
        group=group,
        projector=projector,
        sx=sx,
        sy=sy,
        aberration=aberration.astype(np.complex64),
        noise_amplitude=np.sqrt(power).astype(np.float32),
        envelope=np.exp(-0.25 * settings.bfactor * frequency**2).astype(np.float32),
        hermitian_weight=weight,
        relative_signal=first.pixel_size / group.pixel_size,
        background=make_background(box, radius),
    )
