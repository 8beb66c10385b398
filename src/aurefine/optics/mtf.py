"""Modulation transfer function of detectors (spec 1.6)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.io.star import read_star
from aurefine.optics.groups import OpticsGroup

__all__ = ["MtfCurve", "mtf_correction", "mtf_values", "read_mtf"]

Float = npt.NDArray[np.float64]

_COLUMNS = ("rlnResolutionInversePixel", "rlnMtfValue")


@dataclass(frozen=True, slots=True, eq=False)
class MtfCurve:
    """Sampled modulation transfer function.

    Attributes
    ----------
    frequency : ndarray, shape (n,), float64
        Ascending, in 1/pixel of the detector frames.
    value : ndarray, shape (n,), float64
        Positive.
    """

    frequency: Float
    value: Float


def read_mtf(path: str | os.PathLike[str]) -> MtfCurve:
    """Read the MTF of a detector from a STAR file.

    Parameters
    ----------
    path : path
        STAR file with the columns ``rlnResolutionInversePixel`` and ``rlnMtfValue``.

    Returns
    -------
    MtfCurve

    Raises
    ------
    StarError
        If the table is missing, incomplete, not ascending or not positive.
    """
    name = os.fspath(path)
    for block in read_star(path).blocks.values():
        if isinstance(block, pd.DataFrame) and all(label in block.columns for label in _COLUMNS):
            return _checked_curve(block, name)
    raise StarError(
        f"{name}: no table with the columns {_COLUMNS[0]} and {_COLUMNS[1]}. "
        "Give the STAR file with the detector's MTF."
    )


def mtf_values(curve: MtfCurve, frequency: npt.ArrayLike, original_pixel_size: float) -> Float:
    """MTF at spatial frequencies, by linear interpolation; constant beyond its ends.

    Parameters
    ----------
    curve : MtfCurve
    frequency : array_like, shape (...)
        1/Å.
    original_pixel_size : float
        Å, of the detector frames.

    Returns
    -------
    ndarray, shape (...), float64
    """
    if not original_pixel_size > 0:
        raise ValueError(f"original_pixel_size must be positive, not {original_pixel_size}")
    in_pixels = np.asarray(frequency, dtype=np.float64) * original_pixel_size
    return np.asarray(np.interp(in_pixels, curve.frequency, curve.value))


def mtf_correction(
    groups: Sequence[OpticsGroup],
    curves: Mapping[str, MtfCurve],
    index: int,
    frequency: npt.ArrayLike,
) -> Float | None:
    """Factor that brings images of one optics group to the average MTF of all groups.

    Parameters
    ----------
    groups : sequence of OpticsGroup
        All groups of the data set.
    curves : mapping
        MTF by file name, for every file named by a group; a group without a file has MTF 1.
    index : int
        Position of the group in `groups`.
    frequency : array_like, shape (...)
        1/Å.

    Returns
    -------
    ndarray, shape (...), float64, or None
        Average MTF divided by the MTF of the group; None if all groups share one MTF file,
        because then it is left to postprocessing.

    Raises
    ------
    StarError
        If a group with an MTF has no original pixel size.
    """
    if len({group.mtf_file for group in groups}) < 2:
        return None
    values = []
    for group in groups:
        if not group.mtf_file:
            values.append(np.ones(np.shape(frequency)))
            continue
        if group.original_pixel_size <= 0:
            raise StarError(
                f"data_optics, group {group.number}: column rlnMicrographOriginalPixelSize is "
                f"missing or not positive, but the MTF {group.mtf_file} refers to it. "
                "Give the pixel size of the detector frames in Å, or remove rlnMtfFileName."
            )
        values.append(mtf_values(curves[group.mtf_file], frequency, group.original_pixel_size))
    correction: Float = np.mean(values, axis=0) / values[index]
    return correction


def _checked_curve(table: pd.DataFrame, path: str) -> MtfCurve:
    frequency, value = (table[label].to_numpy(dtype=np.float64) for label in _COLUMNS)
    if len(frequency) < 2 or np.any(np.diff(frequency) <= 0):
        raise StarError(
            f"{path}: column {_COLUMNS[0]} must hold at least two ascending frequencies."
        )
    if np.any(value < 1e-10):
        row = int(np.argmax(value < 1e-10))
        raise StarError(
            f"{path}: row {row + 1}, column {_COLUMNS[1]}: found {value[row]:g}, but images are "
            "divided by the MTF, so it must be positive. Remove the rows where it is zero."
        )
    return MtfCurve(frequency, value)
