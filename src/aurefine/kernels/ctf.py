"""Contrast transfer function, compiled; `aurefine.optics.ctf.ctf_values` is its specification."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from aurefine.optics.aberrations import symmetric_phase
from aurefine.optics.ctf import CtfParameters, phase_coefficients
from aurefine.optics.groups import OpticsGroup

__all__ = ["ctf_values", "evaluate_ctf"]

_TINY = np.float32(1e-8)
# sin(pi v) = v (P0 + P1 v^2 + ...): Taylor series, error below 4e-9 for |v| <= 1/2
_SINE = tuple(
    (-1) ** k * np.pi ** (2 * k + 1) / float(f)
    for k, f in enumerate((1, 6, 120, 5040, 362880, 39916800))
)


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
    """Contrast transfer function; see `aurefine.optics.ctf.ctf_values`, equal to 1e-5."""
    x, y = group.magnified(frequency_x, frequency_y)
    out = np.empty((len(parameters), x.size), dtype=np.float32)
    coefficients = phase_coefficients(group, parameters)
    evaluate_ctf(
        out,
        coefficients,
        parameters.bfactor,
        parameters.scale,
        x,
        y,
        symmetric_phase(group, frequency_x, frequency_y),
        intact_first_peak,
        phase_flipped,
        only_flip_phases,
    )
    return out


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def evaluate_ctf(
    out: npt.NDArray[np.float32],
    coefficients: npt.NDArray[np.float64],
    bfactor: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    frequency_x: npt.NDArray[np.float64],
    frequency_y: npt.NDArray[np.float64],
    symmetric: npt.NDArray[np.float64],
    intact_first_peak: bool,
    phase_flipped: bool,
    only_flip_phases: bool,
) -> None:
    """Fill `out` with CTF values; safe to call from several threads on different outputs.

    Parameters
    ----------
    out : ndarray, shape (n_particles, n_freq), float32
        Overwritten.
    coefficients : ndarray, shape (n_particles, 5), float64
        From `aurefine.optics.ctf.phase_coefficients`.
    bfactor, scale : ndarray, shape (n_particles,), float64
    frequency_x, frequency_y : ndarray, shape (n_freq,), float64
        1/Å, after the magnification matrix.
    symmetric : ndarray, shape (n_freq,), float64
        Phase of the symmetric aberrations in radians.
    intact_first_peak, phase_flipped, only_flip_phases : bool
    """
    for i in range(out.shape[0]):
        row = out[i]
        # the argument in half turns, so that its reduction needs no division
        c0 = coefficients[i, 0] / np.pi
        c1 = coefficients[i, 1] / np.pi
        c2 = coefficients[i, 2] / np.pi
        c3 = coefficients[i, 3] / np.pi
        c4 = coefficients[i, 4] / np.pi
        for j in range(row.size):
            x = frequency_x[j]
            y = frequency_y[j]
            s2 = x * x + y * y
            turns = c0 * x * x + c1 * x * y + c2 * y * y + c3 * s2 * s2 + c4
            turns -= symmetric[j] * (1.0 / np.pi)
            v = np.float32(turns - 2.0 * np.floor(0.5 * turns) - 1.0)  # in [-1, 1)
            if v > np.float32(0.5):
                v = np.float32(1.0) - v
            elif v < np.float32(-0.5):
                v = np.float32(-1.0) - v
            v2 = v * v
            sine = np.float32(_SINE[5])
            sine = sine * v2 + np.float32(_SINE[4])
            sine = sine * v2 + np.float32(_SINE[3])
            sine = sine * v2 + np.float32(_SINE[2])
            sine = sine * v2 + np.float32(_SINE[1])
            sine = sine * v2 + np.float32(_SINE[0])
            value = -sine * v
            if intact_first_peak and abs(turns) < 0.5:
                value = np.float32(1.0)
            row[j] = value
        if bfactor[i] != 0.0:
            decay = -0.25 * bfactor[i]
            for j in range(row.size):
                s2 = frequency_x[j] * frequency_x[j] + frequency_y[j] * frequency_y[j]
                row[j] *= np.float32(np.exp(decay * s2))
        factor = np.float32(scale[i])
        for j in range(row.size):
            value = row[j]
            if phase_flipped:
                value = abs(value)
            elif only_flip_phases:
                value = np.float32(-1.0) if value < np.float32(0.0) else np.float32(1.0)
            value *= factor
            if abs(value) < _TINY:
                value = -_TINY if value < np.float32(0.0) else _TINY
            row[j] = value
