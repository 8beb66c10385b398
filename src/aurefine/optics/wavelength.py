"""Relativistic wavelength of electrons."""

import math

__all__ = ["electron_wavelength"]


def electron_wavelength(voltage: float) -> float:
    """Wavelength [Å] of electrons accelerated by a voltage [kV]."""
    volts = 1000.0 * voltage
    return 12.2643247 / math.sqrt(volts * (1.0 + 0.978466e-6 * volts))
