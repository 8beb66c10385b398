"""Iterative density compensation of the reconstruction (spec 4.6, --dont_skip_gridding)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.imaging import radius_squared_map
from aurefine.kernels.volume import wiener_transform
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.sums import HalfSums

__all__ = ["density_compensated_transform"]

_BLOB_RADIUS = 3.8  # voxels of the back-projection grid
_BLOB_ALPHA = 15.0


def _blob_transform(size: int, edge: int) -> npt.NDArray[np.float32]:
    """Fourier transform of a Kaiser-Bessel blob of order 0 over a centred box, 1 at the centre."""
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
    table = (value / value[0]).astype(np.float32)
    table[np.sqrt(r2) * edge / size > size / 2] = 0
    blob: npt.NDArray[np.float32] = table[radius_squared_map(size, 3)]
    return blob


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
    edge = len(sums.volume)
    nothing = np.zeros(1)

    def on_grid(component: int) -> npt.NDArray[np.complex64]:
        """Put one of the sums (real weight or complex data) on the grid of the transform."""
        out = np.zeros((size, size, size // 2 + 1), np.complex64)
        values = np.zeros_like(sums.volume)
        if component:
            values[..., 0] = sums.volume[..., 2]
        else:
            values[..., :2] = sums.volume[..., :2]
        values[..., 2] = 1
        wiener_transform(values, sums.padding, sums.radius, np.zeros(1), nothing, 0, edge, out)
        return out

    weight = on_grid(1)
    axis = np.fft.fftfreq(size, 1 / size).astype(np.int32)
    half = np.arange(size // 2 + 1, dtype=np.int32)
    sign = 1 - 2 * ((axis[:, None, None] + axis[None, :, None] + half[None, None, :]) % 2)
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + half[None, None, :] ** 2
    inside = r2 < sums.radius**2
    shell = np.floor(np.sqrt(r2) / sums.padding + 0.5).astype(np.int64)
    regularised = weight.real * sign + inverse_prior[np.minimum(shell, len(inverse_prior) - 1)]
    regularised = np.where(inside, regularised, 0).astype(np.float32)
    blob = np.fft.ifftshift(_blob_transform(size, edge))
    compensation = inside.astype(np.float32)
    for _ in range(n_iterations):
        product = scipy.fft.irfftn(
            (compensation * regularised).astype(np.complex64), s=(size,) * 3, workers=pool.n_threads
        )
        smooth = scipy.fft.rfftn(product * blob, workers=pool.n_threads)
        compensation = np.where(inside, compensation / np.maximum(1e-6, np.abs(smooth)), 0).astype(
            np.float32
        )
    data = on_grid(0)
    data *= compensation
    return data
