"""Power spectra of images, the raw material of noise spectra."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.fourier.shells import ring_index

__all__ = ["power_by_ring"]


def power_by_ring(transforms: npt.NDArray[np.complexfloating]) -> npt.NDArray[np.float64]:
    """Mean power of each image in each ring.

    Parameters
    ----------
    transforms : ndarray, shape (n_images, n, n // 2 + 1), complex
        `rfft2` of images, DC in the corner, in any normalisation.

    Returns
    -------
    ndarray, shape (n_images, n // 2 + 1), float64
        Mean of |F|² over all stored coefficients of rings 0 .. n // 2.
    """
    n = transforms.shape[-2]
    if transforms.ndim != 3 or transforms.shape[-1] != n // 2 + 1:
        raise ValueError(f"not (n_images, n, n // 2 + 1) transforms: {transforms.shape}")
    ring = ring_index(n).ravel()
    n_rings = n // 2 + 1
    count = np.bincount(ring)[:n_rings]
    power = np.empty((len(transforms), n_rings), dtype=np.float64)
    for row, transform in zip(power, transforms, strict=True):
        flat = transform.ravel()
        weights = flat.real**2 + flat.imag**2
        row[:] = np.bincount(ring, weights=weights)[:n_rings] / count
    return power
