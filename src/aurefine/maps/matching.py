"""Bring a map onto a given box and pixel size, exactly and not only about so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["match_grid"]

Real = npt.NDArray[np.floating]


def match_grid(values: Real, pixel_size: float, *, box: int, wanted: float) -> Real:
    """Sample a map on the grid of another box and pixel size, with the same origin.

    Fourier cropping gives ``n * pixel_size / m`` with a whole, even `m`, which misses most pixel
    sizes: 64 px of 3.54 Å become 2.4615 or 2.5174 Å, but never 2.4891 Å. The trigonometric
    polynomial through the voxels can be evaluated anywhere; along each axis that is a product with
    a matrix. Where both ways lead to the same grid they give the same map.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Map; the dtype is kept.
    pixel_size : float
        [Å].
    box : int
        Wanted box [px].
    wanted : float
        Wanted pixel size [Å]; frequencies above its Nyquist frequency are left out.

    Returns
    -------
    matched : ndarray, shape (box, box, box)
        Grey values are kept; what was outside the old box is 0.
    """
    matrix = _sampling_matrix(len(values), box, wanted / pixel_size).astype(values.dtype)
    matched = values
    for _ in range(3):  # the last axis becomes the first: after three rounds the order is back
        matched = np.tensordot(matrix, matched, axes=(1, 2))
    return np.ascontiguousarray(matched)


def _sampling_matrix(n: int, box: int, step: float) -> npt.NDArray[np.float64]:
    """Weights (box, n) of old pixels in new ones that are `step` old pixels wide."""
    old = np.arange(n) - n // 2
    new = (np.arange(box) - box // 2) * step
    highest = min(n / 2, n / (2 * step) * (1 + 1e-9))  # frequency [1 / box], rounding aside
    frequency = np.arange(int(highest) + 1)
    weight = np.where(frequency == 0, 1.0, 2.0)
    if n % 2 == 0:
        weight[frequency == n // 2] = 1.0  # Nyquist: half of it on either side
    phase = 2 * np.pi / n * (new[:, None] - old)  # (box, n)
    matrix = np.zeros((box, n))
    for f, w in zip(frequency, weight, strict=True):
        matrix += w * np.cos(f * phase)
    is_inside = (new >= old[0] - 0.5) & (new <= old[-1] + 0.5)
    matrix *= is_inside[:, None] / n
    return matrix
