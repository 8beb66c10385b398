"""Sums of floating-point numbers that do not depend on the order of the terms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ExactSum"]

Float = npt.NDArray[np.float64]

_DIGIT_BITS = 32
_LOWEST = -160  # power of two of the last bit that is kept
_N_DIGITS = 9  # up to 2**128, and 2**31 times that in the highest digit


class ExactSum:
    """A vector of sums without rounding.

    Every term is cut into digits of 32 bits, which are added as integers, so that the sum is the
    same bit for bit whatever the order of the terms, also if parts of it were made elsewhere.
    Terms must be finite and below 2**159; what lies below 2**-160 is lost.
    """

    def __init__(self, n: int) -> None:
        """Start `n` sums at zero."""
        self.digits = np.zeros((_N_DIGITS, n), np.int64)  # lowest first; may be added to others'

    def add(self, terms: Float) -> None:
        """Add one term to each sum.

        Parameters
        ----------
        terms : ndarray, shape (n,), float64

        Raises
        ------
        ValueError
            If a term is not finite or too large; nothing is added then.
        """
        rest = np.array(terms, np.float64)
        if not (np.abs(rest) < 2.0**159).all():
            raise ValueError("a term is not finite or too large to be added")
        for k in range(_N_DIGITS - 1, -1, -1):
            unit = 2.0 ** (_LOWEST + _DIGIT_BITS * k)  # products with it are exact
            digit = np.trunc(rest / unit)
            self.digits[k] += digit.astype(np.int64)
            rest -= digit * unit

    def value(self) -> Float:
        """Return the sums, shape (n,)."""
        total = np.zeros(self.digits.shape[1])
        carried = self.digits.copy()
        for k in range(_N_DIGITS - 1):  # the same digits for the same sum, however it was made
            carry = (carried[k] + (1 << 31)) >> _DIGIT_BITS
            carried[k] -= carry << _DIGIT_BITS
            carried[k + 1] += carry
        for k in range(_N_DIGITS):  # from the lowest, which loses least
            total += np.ldexp(carried[k].astype(np.float64), _LOWEST + _DIGIT_BITS * k)
        return total
