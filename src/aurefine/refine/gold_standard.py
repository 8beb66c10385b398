"""FSC between the halves before anything is filtered (spec 4.5a)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.kernels.volume import average_unpadded
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.half_volume import over_planes
from aurefine.refine.sums import HalfSums

__all__ = ["gold_standard_fsc", "unpadded_average"]

Float = npt.NDArray[np.float64]
Complex64 = npt.NDArray[np.complex64]
IntArray = npt.NDArray[np.int64]


def unpadded_average(sums: HalfSums, r_max: int, pool: WorkerPool) -> Complex64:
    """Weighted averages on the unpadded grid up to a shell (spec 4.5a).

    Returns
    -------
    ndarray, shape (n, n, n // 2 + 1), complex64
        The frequencies -n // 2 to n // 2 along z and y, zero where there are no data.
    """
    edge, _, n_x, _ = sums.volume.shape
    bounds, lowest = _unpadded_rows(np.arange(edge) - edge // 2, sums.padding, r_max)
    bounds_x, _ = _unpadded_rows(np.arange(n_x), sums.padding, r_max)
    n = len(bounds) - 1
    average = np.zeros((n, n, len(bounds_x) - 1), np.complex64)
    over_planes(
        pool,
        n,
        lambda first, last: average_unpadded(
            sums.volume, bounds, bounds_x, lowest, r_max, first, last, average
        ),
    )
    return average


def _unpadded_rows(padded: IntArray, padding: float, r_max: int) -> tuple[IntArray, int]:
    """Where the padded rows begin that make up each unpadded one, and where the last one ends.

    The second result is the frequency of the first unpadded row.
    """
    row = np.sign(padded) * np.floor(np.abs(padded) / padding + 0.5).astype(np.int64)
    kept = np.flatnonzero(np.abs(row) <= r_max)
    first = kept[np.diff(row[kept], prepend=row[kept[0]] - 1) != 0]
    return np.append(first, kept[-1] + 1), int(row[kept[0]])


def gold_standard_fsc(
    averages: tuple[Complex64, Complex64], r_max: int, n_shells: int, pool: WorkerPool
) -> Float:
    """FSC between the unregularised, unmasked halves (spec 4.5a), zero beyond `r_max`.

    Parameters
    ----------
    averages : pair of ndarray
        `unpadded_average` of both halves.

    Returns
    -------
    ndarray, shape (n_shells,)
    """
    n, _, n_x = averages[0].shape
    axis = np.arange(n) - n // 2
    in_plane2 = axis[:, None] ** 2 + np.arange(n_x) ** 2

    def sums_of_plane(i: int) -> Float:
        radius2 = in_plane2 + axis[i] ** 2
        shell = np.floor(np.sqrt(radius2) + 0.5).astype(np.int64)
        inside = (radius2 <= r_max**2) & (shell < n_shells)
        index = shell[inside]
        a, b = (average[i][inside].astype(np.complex128) for average in averages)
        terms = (a * b.conj()).real, _norm(a), _norm(b)
        return np.stack([np.bincount(index, values, n_shells) for values in terms])

    cross, power1, power2 = np.sum(pool.map(sums_of_plane, range(n)), axis=0)
    power = power1 * power2
    fsc = np.zeros(n_shells)
    np.divide(cross, np.sqrt(power), out=fsc, where=power > 0)
    fsc[0] = 1.0
    return fsc


def _norm(values: npt.NDArray[np.complex128]) -> Float:
    squared: Float = values.real**2 + values.imag**2
    return squared
