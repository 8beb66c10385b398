"""Contrast transfer function of particles (spec 1.5): the NumPy version is the specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.optics.aberrations import symmetric_phase
from aurefine.optics.groups import OpticsGroup
from aurefine.optics.wavelength import electron_wavelength

__all__ = [
    "CtfParameters",
    "check_ctf_columns",
    "ctf_values",
    "electron_wavelength",
    "phase_coefficients",
]

Float = npt.NDArray[np.float64]

TINY_CTF = 1e-8  # smaller values are replaced by this, with their sign


@dataclass(frozen=True, slots=True, eq=False)
class CtfParameters:
    """CTF parameters that differ between particles; every array has shape (n_particles,).

    Attributes
    ----------
    defocus_u, defocus_v : ndarray, float64
        Å, positive for underfocus.
    defocus_angle : ndarray, float64
        Degrees from +x towards +y (increasing row index) to the U direction.
    bfactor : ndarray, float64
        Å².
    scale : ndarray, float64
    phase_shift : ndarray, float64
        Degrees.
    """

    defocus_u: Float
    defocus_v: Float
    defocus_angle: Float
    bfactor: Float
    scale: Float
    phase_shift: Float

    def __len__(self) -> int:
        return len(self.defocus_u)

    @classmethod
    def from_table(cls, particles: pd.DataFrame, path: str = "particle table") -> CtfParameters:
        """Take the parameters from a particle table; absent columns get their defaults.

        Parameters
        ----------
        particles : DataFrame
            Particle table with RELION's labels as columns.
        path : str
            Name of the file, for messages.

        Raises
        ------
        StarError
            If a value is not a finite number.
        """
        n = len(particles)

        def column(label: str, default: Float) -> Float:
            if label not in particles.columns:
                return default
            values = np.asarray(pd.to_numeric(particles[label], errors="coerce"), dtype=np.float64)
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise StarError(
                    f"{path}: data_particles, row {bad[0] + 1}, column {label}: found "
                    f"{particles[label].iloc[bad[0]]!r}, expected a finite number. "
                    "Repeat the CTF estimation of this micrograph, or remove the particle."
                )
            return values

        defocus_u = column("rlnDefocusU", np.zeros(n))
        return cls(
            defocus_u=defocus_u,
            defocus_v=column("rlnDefocusV", defocus_u),
            defocus_angle=column("rlnDefocusAngle", np.zeros(n)),
            bfactor=column("rlnCtfBfactor", np.zeros(n)),
            scale=column("rlnCtfScalefactor", np.ones(n)),
            phase_shift=column("rlnPhaseShift", np.zeros(n)),
        )

    def take(self, rows: npt.ArrayLike | slice) -> CtfParameters:
        """Parameters of some particles, by indices, mask or slice."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return CtfParameters(*(getattr(self, item.name)[index] for item in fields(self)))


def phase_coefficients(group: OpticsGroup, parameters: CtfParameters) -> Float:
    """Coefficients of the CTF argument as a polynomial in the frequency.

    Parameters
    ----------
    group : OpticsGroup
    parameters : CtfParameters

    Returns
    -------
    ndarray, shape (n_particles, 5), float64
        ``c`` of ``chi = c0 x² + c1 x y + c2 y² + c3 (x² + y²)² + c4`` in radians, x and y
        in 1/Å; without gamma_even.
    """
    wavelength = electron_wavelength(group.voltage)
    angle = np.deg2rad(parameters.defocus_angle)
    cos_angle, sin_angle = np.cos(angle), np.sin(angle)
    u, v = parameters.defocus_u, parameters.defocus_v
    quadratic = np.pi * wavelength
    c = np.empty((len(parameters), 5))
    c[:, 0] = quadratic * (u * cos_angle**2 + v * sin_angle**2)
    c[:, 1] = quadratic * 2.0 * (u - v) * sin_angle * cos_angle
    c[:, 2] = quadratic * (u * sin_angle**2 + v * cos_angle**2)
    c[:, 3] = -0.5 * np.pi * 1e7 * group.spherical_aberration * wavelength**3
    # arcsin(Q0) is arctan(Q0 / sqrt(1 - Q0^2)), and holds for Q0 = 1 too
    c[:, 4] = np.deg2rad(parameters.phase_shift) + np.arcsin(group.amplitude_contrast)
    return c


def ctf_values(
    group: OpticsGroup,
    parameters: CtfParameters,
    frequency_x: npt.ArrayLike,
    frequency_y: npt.ArrayLike,
    *,
    intact_first_peak: bool = False,
    phase_flipped: bool = False,
    only_flip_phases: bool = False,
) -> npt.NDArray[np.float32]:
    """Contrast transfer function of particles of one optics group.

    Parameters
    ----------
    group : OpticsGroup
    parameters : CtfParameters
    frequency_x, frequency_y : array_like, shape (n_freq,)
        Spatial frequencies in 1/Å, before the magnification matrix.
    intact_first_peak : bool
        Take 1 for sin(chi) where ``|chi| < pi / 2``.
    phase_flipped : bool
        Take the magnitude: the phases of the images were flipped already.
    only_flip_phases : bool
        Take the sign only, +1 or -1.

    Returns
    -------
    ndarray, shape (n_particles, n_freq), float32
        Never closer to zero than 1e-8. This is the CTF itself for premultiplied data too;
        the caller squares it where the model needs that.
    """
    x, y = group.magnified(frequency_x, frequency_y)
    s2 = x**2 + y**2
    c = phase_coefficients(group, parameters)
    chi = c[:, :4] @ np.stack([x**2, x * y, y**2, s2**2]) + c[:, 4:]  # (n_particles, n_freq)
    chi -= symmetric_phase(group, frequency_x, frequency_y)
    ctf = np.sin(chi)
    if intact_first_peak:
        ctf[np.abs(chi) < 0.5 * np.pi] = 1.0
    ctf *= np.exp(-0.25 * parameters.bfactor[:, None] * s2)
    if phase_flipped:
        ctf = np.abs(ctf)
    elif only_flip_phases:
        ctf = np.where(ctf < 0, -1.0, 1.0)
    ctf *= parameters.scale[:, None]
    tiny = np.abs(ctf) < TINY_CTF
    ctf[tiny] = np.where(ctf[tiny] < 0, -TINY_CTF, TINY_CTF)
    return ctf.astype(np.float32)


def check_ctf_columns(particles: pd.DataFrame, groups: Sequence[OpticsGroup], path: str) -> None:
    """Make sure that particles can be CTF-corrected.

    Parameters
    ----------
    particles : DataFrame
        Particle table with RELION's labels as columns.
    groups : sequence of OpticsGroup
    path : str
        Name of the file, for messages.

    Raises
    ------
    StarError
        If there is no defocus column, or if defocus, amplitude contrast and spherical
        aberration of a particle are all zero.
    """
    remedy = "Estimate the CTF and re-extract the particles, or switch CTF correction off."
    if "rlnDefocusU" not in particles.columns:
        raise StarError(
            f"{path}: data_particles: column rlnDefocusU is missing, but CTF correction was "
            f"asked for. {remedy}"
        )
    parameters = CtfParameters.from_table(particles, path)
    has_no_contrast = [
        group.number
        for group in groups
        if group.amplitude_contrast == 0 and group.spherical_aberration == 0
    ]
    if not has_no_contrast:
        return
    if "rlnOpticsGroup" in particles.columns:
        is_concerned = particles["rlnOpticsGroup"].isin(has_no_contrast).to_numpy()
    else:
        is_concerned = np.ones(len(particles), dtype=np.bool_)
    is_flat = is_concerned & (parameters.defocus_u == 0) & (parameters.defocus_v == 0)
    if is_flat.any():
        row = int(np.argmax(is_flat))
        raise StarError(
            f"{path}: data_particles, row {row + 1}: rlnDefocusU, rlnDefocusV, "
            "rlnAmplitudeContrast and rlnSphericalAberration are all 0, so the CTF is 0 "
            f"everywhere. {remedy}"
        )
