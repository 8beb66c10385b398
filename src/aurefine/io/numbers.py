"""Real numbers as text, in the 12 characters that RELION gives them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aurefine.errors import StarError

__all__ = ["format_real", "format_reals", "round_like_star"]

_WIDTH = 12  # characters
_SMALLEST = 1e-99  # a three-digit exponent does not fit
_FORMATS = ("%12.6f", "%12.5f", "%12.6e", "%12.5e")
_FEW = 200  # numbers, below which it is faster to format them one by one
_POWERS = np.array([float(f"1e{k}") for k in range(23)])  # those that are exact
_TIE = 1e-3  # distance from a tie, in the last digit; far more than the error of a product

Float = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class _Decimals(NamedTuple):
    """Numbers that have the usual digits, shape (n,): sign * number * 10**exponent."""

    rows: Ints  # among all numbers
    is_negative: Bools
    is_scientific: Bools
    number: Ints
    digits: Ints  # behind the point
    exponent: Ints  # of the last digit


def format_real(value: float) -> str:
    """Format one real number as RELION does: 12 wide, scientific when very small or large.

    Numbers closer to zero than 1e-99 become 0; from 1e100 on the mantissa is shortened.

    Raises
    ------
    StarError
        If the value is not a number (NaN).
    """
    return format_reals(np.array([value], dtype=np.float64))[0]


def format_reals(values: npt.ArrayLike) -> list[str]:
    """Format real numbers as RELION does.

    Parameters
    ----------
    values : array-like, shape (n,), real

    Returns
    -------
    texts : list of str, length n
        At most 12 characters each, right-aligned.

    Raises
    ------
    StarError
        If a value is not a number (NaN).
    """
    array = _checked(values)
    if len(array) < _FEW:
        return [_format(value) for value in array.tolist()]
    found = _decimals(array)
    usual = np.zeros(len(array), f"U{_WIDTH}")
    usual[found.rows] = _texts(found)
    texts: list[str] = usual.tolist()
    for index in _others(found, len(array)):
        texts[index] = _format(float(array[index]))
    return texts


def round_like_star(values: npt.ArrayLike) -> Float:
    """Give the numbers that a reader gets back after these were written to a STAR file.

    Parameters
    ----------
    values : array-like, any shape, real

    Returns
    -------
    rounded : ndarray, same shape, float64
        Bit for bit what `read_star` returns for what `write_star` wrote; applying it twice
        changes nothing.

    Raises
    ------
    StarError
        If a value is not a number (NaN).
    """
    shape = np.shape(values)
    array = _checked(np.ravel(values))
    if len(array) < _FEW:
        return np.array([float(_format(value)) for value in array.tolist()]).reshape(shape)
    found = _decimals(array)
    power = _POWERS[np.abs(found.exponent)]
    # one rounding of exact numbers, as in reading the text
    magnitude = np.where(found.exponent < 0, found.number / power, found.number * power)
    rounded = np.empty(len(array))
    rounded[found.rows] = np.where(found.is_negative, -magnitude, magnitude)
    for index in _others(found, len(array)):
        rounded[index] = float(_format(float(array[index])))
    return rounded.reshape(shape)


def _checked(values: npt.ArrayLike) -> Float:
    """Copy numbers; those next to zero become zero."""
    array: Float = np.array(values, dtype=np.float64)
    if np.isnan(array).any():
        index = int(np.flatnonzero(np.isnan(array))[0])
        raise StarError(f"value {index + 1} of {len(array)} is NaN; a STAR file can not hold it.")
    array[np.abs(array) < _SMALLEST] = 0.0
    return array


def _decimals(array: Float) -> _Decimals:
    """Return the digits of the numbers for which one product surely gives the right ones."""
    everything = np.abs(array)
    is_usual = (everything == 0) | ((everything > 1e-15) & (everything < 1e20))
    index = np.flatnonzero(is_usual)
    magnitude, is_negative = everything[index], array[index] < 0
    is_scientific = ((magnitude < 1e-3) & (magnitude > 0)) | (magnitude > 1e5)
    digits = 6 - is_negative.astype(np.int64)
    leading = np.zeros(len(index), np.int64)
    leading[is_scientific] = np.floor(np.log10(magnitude[is_scientific]))
    exponent = leading - digits
    power = _POWERS[np.abs(exponent)]
    scaled = np.where(exponent < 0, magnitude * power, magnitude / power)
    below = np.floor(scaled)
    rest = scaled - below
    number = below.astype(np.int64) + (rest > 0.5)
    least = np.where(is_scientific, _POWERS[digits], 0)
    most = np.where(is_scientific, 10, 99999) * _POWERS[digits]
    is_sure = (np.abs(rest - 0.5) > _TIE) & (number >= least) & (number < most)
    columns = index, is_negative, is_scientific, number, digits, exponent
    return _Decimals(*(column[is_sure] for column in columns))


def _others(found: _Decimals, n: int) -> list[int]:
    """List the numbers that have to be formatted one by one."""
    is_left = np.ones(n, bool)
    is_left[found.rows] = False
    left: list[int] = np.flatnonzero(is_left).tolist()
    return left


class _Pieces(NamedTuple):
    """Texts of four characters that numbers are put together from, and where each kind begins."""

    texts: npt.NDArray[np.str_]
    four: int  # 0000 to 9999
    blank_four: int  # the same without zeros at the front
    one_point: int  # 0.00 to 9.99
    minus: int  # a sign and up to three digits; nothing in place 1000
    two_point: int  # 00.0 to 99.9; in place 1000, -0.0 to -9.9
    exponent: int  # e-99 to e+99


@lru_cache(maxsize=1)
def _pieces() -> _Pieces:
    kinds = (
        [f"{k:04d}" for k in range(10_000)],
        ["    ", *(f"{k:4d}" for k in range(1, 10_000))],
        [f"{k // 100}.{k % 100:02d}" for k in range(1000)],
        ["   -", *(f"{-k:4d}" for k in range(1, 1000)), "    "],
        [f"{k // 10:02d}.{k % 10}" for k in range(1000)] + [f"-{k / 10:.1f}" for k in range(100)],
        [f"e{k:+03d}" for k in range(-99, 100)],
    )
    begins = np.cumsum([0, *map(len, kinds[:-1])]).tolist()
    return _Pieces(np.array([text for kind in kinds for text in kind]), *begins)


def _texts(found: _Decimals) -> npt.NDArray[np.str_]:
    """Put texts together from three pieces each, shape (n,)."""
    pieces = _pieces()
    left, last = np.divmod(found.number, 10**4)
    first, middle = np.divmod(left, 1000)
    is_short = 1000 * (left < 100)  # if negative, the sign stands before the last digit

    def chosen(plain: Ints, negative: Ints, scientific: Ints, both: Ints) -> npt.NDArray[np.str_]:
        place = np.where(
            found.is_scientific,
            np.where(found.is_negative, both, scientific),
            np.where(found.is_negative, negative, plain),
        )
        return pieces.texts[place]

    four = pieces.four + last
    one_point, signed = pieces.one_point + middle, pieces.two_point + middle + is_short
    minus = pieces.minus + np.maximum(first, is_short)
    end = pieces.exponent + 99 + found.exponent + found.digits
    parts = np.empty((len(left), 3), "U4")
    parts[:, 0] = chosen(pieces.blank_four + first, minus, one_point, signed)
    parts[:, 1] = chosen(one_point, signed, four, four)
    parts[:, 2] = chosen(four, four, end, end)
    return parts.view(f"U{_WIDTH}")[:, 0]


def _format(value: float) -> str:
    """Format any number."""
    magnitude = abs(value)
    is_scientific = 0 < magnitude < 1e-3 or magnitude > 1e5
    text = _FORMATS[(value < 0) + 2 * is_scientific] % value
    if magnitude >= 9e99:  # the exponent has, or gets by rounding, three digits
        text = _format_huge(value)
    return text[:_WIDTH]


def _format_huge(value: float) -> str:
    digits = 5 if value < 0 else 6
    text = f"{value:12.{digits}e}"
    if len(text) == _WIDTH:  # also infinity
        return text
    # the shorter mantissa must not round up to a number that does not exist
    return f"{min(max(value, -1.7976e308), 1.79769e308):12.{digits - 1}e}"
