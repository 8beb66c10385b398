"""Real numbers as text, in the 12 characters that RELION gives them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import StarError

__all__ = ["format_real", "format_reals", "round_like_star"]

_SMALLEST = 1e-99  # a three-digit exponent does not fit
_FORMATS = ("%12.6f", "%12.5f", "%12.6e", "%12.5e")


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
    array = np.array(values, dtype=np.float64)  # (n,), a copy
    magnitude = np.abs(array)
    if np.isnan(magnitude).any():
        index = int(np.flatnonzero(np.isnan(magnitude))[0])
        raise StarError(f"value {index + 1} of {len(array)} is NaN; a STAR file can not hold it.")
    tiny = magnitude < _SMALLEST
    array[tiny] = 0.0
    magnitude[tiny] = 0.0
    is_scientific = ((magnitude < 1e-3) & (magnitude > 0)) | (magnitude > 1e5)
    code = (array < 0) + 2 * is_scientific
    cells = array.tolist()
    if not code.any():
        texts = [f"{value:12.6f}" for value in cells]
    else:
        texts = [_FORMATS[k] % value for k, value in zip(code.tolist(), cells, strict=True)]
    for index in np.flatnonzero(magnitude >= 99999.0).tolist():
        if magnitude[index] >= 9e99:  # the exponent has, or gets by rounding, three digits
            texts[index] = _format_huge(cells[index])
        texts[index] = texts[index][:12]
    return texts


def _format_huge(value: float) -> str:
    digits = 5 if value < 0 else 6
    text = f"{value:12.{digits}e}"
    if len(text) == 12:  # also infinity
        return text
    # the shorter mantissa must not round up to a number that does not exist
    return f"{min(max(value, -1.7976e308), 1.79769e308):12.{digits - 1}e}"


def round_like_star(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
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
    array: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    texts: list[Any] = format_reals(array.ravel())
    return np.array([float(text) for text in texts], dtype=np.float64).reshape(array.shape)
