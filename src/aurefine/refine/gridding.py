"""Iterative density compensation of the reconstruction (spec 4.6, --dont_skip_gridding)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.parallel.pool import WorkerPool
from aurefine.refine.sums import HalfSums

__all__ = ["density_compensated_transform"]

_BLOB_RADIUS = 3.8  # voxels of the back-projection grid
_BLOB_ALPHA = 15.0


class _Blob:
    """Fourier transform of a Kaiser-Bessel blob of order 0 over a box, 1 at the centre."""

    def __init__(self, size: int, edge: int) -> None:
        r2 = np.arange(3 * (size // 2) ** 2 + 1, dtype=np.float64)
        radius = _BLOB_RADIUS * edge / size
        argument = _BLOB_ALPHA**2 - (2 * np.pi * radius) ** 2 * r2 / size**2
        root = np.sqrt(np.abs(argument))
        inside = argument > 0
        value = np.empty_like(root)
        # (x cosh x - sinh x) / x^3 and its continuation to imaginary arguments
        x = root[inside]
        value[inside] = (x * np.cosh(x) - np.sinh(x)) / x**3
        x = np.maximum(root[~inside], 1e-6)
        value[~inside] = (np.sin(x) - x * np.cos(x)) / x**3
        self._table = (value / value[0]).astype(np.float32)
        self._table[np.sqrt(r2) * edge / size > size / 2] = 0
        self._axis2 = np.fft.fftfreq(size, 1 / size).astype(np.int64) ** 2

    def plane(self, z: int) -> npt.NDArray[np.float32]:
        """Values of one plane, with the centre of the blob in the corner of the box."""
        r2 = self._axis2[z] + self._axis2[:, None] + self._axis2
        values: npt.NDArray[np.float32] = self._table[r2]
        return values


def density_compensated_transform(
    sums: HalfSums,
    size: int,
    inverse_prior: npt.NDArray[np.float64],
    n_iterations: int,
    pool: WorkerPool,
) -> npt.NDArray[np.complex64]:
    """Transform of the map, data times iteratively found weights.

    Parameters
    ----------
    sums : HalfSums
    size : int
        Padded box [px].
    inverse_prior : ndarray, shape (n_shells,)
    n_iterations : int

    Returns
    -------
    ndarray, shape (size, size, size // 2 + 1), complex64
        In the layout of `rfftn`, centred on voxel size / 2 by alternating signs.
    """
    compensation = _compensation(sums, size, inverse_prior, n_iterations, pool)
    axis, columns = np.fft.fftfreq(size, 1 / size).astype(np.int64), np.arange(size // 2 + 1)
    sign_in_plane = 1 - 2 * ((axis[:, None] + columns) % 2)
    data = np.zeros(compensation.shape, np.complex64)

    def weigh(z: int) -> None:
        if compensation[z].any():
            plane = _plane_on_grid(sums, int(axis[z]), size)
            sign = sign_in_plane * (1 - 2 * (axis[z] % 2))
            data[z] = (plane[..., 0] + 1j * plane[..., 1]) * (sign * compensation[z])

    pool.map(weigh, range(size))
    return data


def _compensation(
    sums: HalfSums,
    size: int,
    inverse_prior: npt.NDArray[np.float64],
    n_iterations: int,
    pool: WorkerPool,
) -> npt.NDArray[np.float32]:
    """Find the factors that make the regularised weights even, shape as the transform."""
    n_x = size // 2 + 1
    axis = np.fft.fftfreq(size, 1 / size).astype(np.int64)
    in_plane2 = axis[:, None] ** 2 + np.arange(n_x) ** 2
    blob = _Blob(size, len(sums.volume))
    regularised = np.zeros((size, size, n_x), np.float32)
    compensation = np.zeros((size, size, n_x), np.float32)

    def prepare(z: int) -> None:
        r2 = in_plane2 + axis[z] ** 2
        inside = r2 < sums.radius**2
        if not inside.any():
            return
        weight = _plane_on_grid(sums, int(axis[z]), size)[..., 2]
        shell = np.floor(np.sqrt(r2) / sums.padding + 0.5).astype(np.int64)
        prior = inverse_prior[np.minimum(shell, len(inverse_prior) - 1)]
        regularised[z] = np.where(inside, weight + prior, 0)
        compensation[z] = inside

    pool.map(prepare, range(size))
    for _ in range(n_iterations):
        product = np.multiply(compensation, regularised, dtype=np.complex64)
        smooth = scipy.fft.irfftn(product, s=(size,) * 3, workers=pool.n_threads, overwrite_x=True)
        del product

        def apply_blob(z: int, values: npt.NDArray[np.float32] = smooth) -> None:
            values[z] *= blob.plane(z)

        pool.map(apply_blob, range(size))
        kernel = scipy.fft.rfftn(smooth, workers=pool.n_threads)
        del smooth

        def divide(z: int, kernel: npt.NDArray[np.complex64] = kernel) -> None:
            compensation[z] /= np.maximum(1e-6, np.abs(kernel[z]))

        pool.map(divide, range(size))
        del kernel
    return compensation


def _plane_on_grid(sums: HalfSums, z: int, size: int) -> npt.NDArray[np.float32]:
    """Put one plane of the sums on the grid of the transform, shape (size, size // 2 + 1, 3)."""
    edge, _, n_x, _ = sums.volume.shape
    out = np.zeros((size, size // 2 + 1, 3), np.float32)
    plane = z + edge // 2
    if 0 <= plane < edge:
        y = np.arange(edge) - edge // 2
        kept = np.flatnonzero((np.abs(y) <= size // 2) & (y != size // 2))
        columns = min(n_x, out.shape[1])
        out[y[kept] % size, :columns] = sums.volume[plane, kept, :columns]
    return out
