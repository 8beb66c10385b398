"""Higher-order aberrations and beam tilt as phases of the image transform (spec 1.6)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from aurefine.optics.groups import OpticsGroup
from aurefine.optics.wavelength import electron_wavelength

__all__ = ["antisymmetric_phase", "symmetric_phase", "zernike", "zernike_index"]

Float = npt.NDArray[np.float64]


def zernike_index(index: int, *, is_odd: bool) -> tuple[int, int]:
    """Order n and azimuthal number m of a coefficient in an odd or even Zernike list.

    Parameters
    ----------
    index : int
        Position in the list, from 0.
    is_odd : bool
        Whether the list is that of the antisymmetric (odd) aberrations.

    Returns
    -------
    n, m : int
        Odd lists run through n = 1, 3, 5, ..., even ones through n = 0, 2, 4, ...; within
        an order m goes from -n to n in steps of 2.
    """
    if is_odd:
        q = (math.isqrt(1 + 4 * index) - 1) // 2
        n = 2 * q + 1
        return n, 2 * (index - q * q - q) - n
    q = math.isqrt(index)
    n = 2 * q
    return n, 2 * (index - q * q - q)


def zernike(n: int, m: int, x: npt.ArrayLike, y: npt.ArrayLike) -> Float:
    """Zernike polynomial without normalisation to a radius.

    Parameters
    ----------
    n, m : int
        Order and azimuthal number, ``|m| <= n`` and n - m even.
    x, y : array_like
        Coordinates in any unit; the radius is not limited to 1.

    Returns
    -------
    ndarray, float64
        ``R(rho) cos(m theta)`` for m >= 0, ``R(rho) sin(|m| theta)`` for m < 0.
    """
    k_max, remainder = divmod(n - abs(m), 2)
    if k_max < 0 or remainder:
        raise ValueError(f"there is no Zernike polynomial with n = {n}, m = {m}")
    z = np.asarray(x, dtype=np.float64) + 1j * np.asarray(y, dtype=np.float64)
    rho2 = np.abs(z) ** 2
    azimuthal = z ** abs(m)  # rho^|m| exp(i |m| theta)
    radial = np.zeros_like(rho2)
    for k in range(k_max + 1):
        factor = (-1) ** k * math.comb(n - k, k) * math.comb(n - 2 * k, k_max - k)
        radial += factor * rho2 ** (k_max - k)
    return np.asarray(radial * (azimuthal.real if m >= 0 else azimuthal.imag))


def symmetric_phase(
    group: OpticsGroup, frequency_x: npt.ArrayLike, frequency_y: npt.ArrayLike
) -> Float:
    """Phase gamma_even that the symmetric aberrations take from the CTF argument.

    Parameters
    ----------
    group : OpticsGroup
    frequency_x, frequency_y : array_like, shape (n,)
        1/Å, before the magnification matrix.

    Returns
    -------
    ndarray, shape (n,), float64
        Radians.
    """
    x, y = group.magnified(frequency_x, frequency_y)
    return _zernike_sum(group.even_zernike, x, y, is_odd=False)


def antisymmetric_phase(
    group: OpticsGroup, frequency_x: npt.ArrayLike, frequency_y: npt.ArrayLike
) -> Float:
    """Phase psi of the antisymmetric aberrations and the beam tilt.

    Parameters
    ----------
    group : OpticsGroup
    frequency_x, frequency_y : array_like, shape (n,)
        1/Å, before the magnification matrix.

    Returns
    -------
    ndarray, shape (n,), float64
        Radians; an image transform is corrected by ``exp(-1j * psi)``.
    """
    x, y = group.magnified(frequency_x, frequency_y)
    phase = _zernike_sum(group.odd_zernike, x, y, is_odd=True)
    if group.beam_tilt_x or group.beam_tilt_y:
        wavelength = electron_wavelength(group.voltage)
        factor = -2e4 * np.pi * group.spherical_aberration * wavelength**2
        phase += factor * (x**2 + y**2) * (group.beam_tilt_x * x + group.beam_tilt_y * y)
    return phase


def _zernike_sum(coefficients: tuple[float, ...], x: Float, y: Float, *, is_odd: bool) -> Float:
    phase = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for index, coefficient in enumerate(coefficients):
        if coefficient:
            phase += coefficient * zernike(*zernike_index(index, is_odd=is_odd), x, y)
    return phase
