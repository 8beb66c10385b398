"""FSC in cones about many directions, and how round the resolution is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.fourier import hermitian_weight, rfft_map, shell_index
from aurefine.geometry.directions import full_sphere

__all__ = ["DirectionalFsc", "directional_fsc"]

Float = npt.NDArray[np.float64]

_PIXEL_ORDER = 4  # HEALPix order that Fourier voxels are binned in by direction
_CONE_ORDER = 2  # of the axes of the cones
_FIRST = 3  # shells below hold too few voxels for cones


@dataclass(frozen=True, slots=True)
class DirectionalFsc:
    """FSC in cones.

    Attributes
    ----------
    directions : ndarray, shape (n_cones, 3)
        Axes of the cones.
    fsc : ndarray, shape (n_cones, n_shells)
        The whole FSC in the lowest shells, where cones would be empty.
    total : ndarray, shape (n_shells,)
        FSC of all voxels.
    pixel_size : float
        [Å]
    threshold : float
    resolution : ndarray, shape (n_cones,)
        Where the FSC of a cone falls below the threshold [Å].
    """

    directions: Float
    fsc: Float
    total: Float
    pixel_size: float
    threshold: float
    resolution: Float

    @property
    def area_ratio(self) -> float:
        """Smallest over largest area under the curves of the cones, 1 if isotropic (cFAR)."""
        areas = np.maximum(self.fsc[:, 1:], 0).sum(axis=1)
        return float(areas.min() / max(areas.max(), 1e-30))

    @property
    def sphericity(self) -> float:
        """Sphericity of the body with radius 1 / resolution, 1 if isotropic (as in 3DFSC)."""
        from scipy.spatial import ConvexHull

        faces = ConvexHull(self.directions).simplices
        return _sphericity(self.directions / self.resolution[:, None], faces) / _sphericity(
            self.directions, faces
        )


def directional_fsc(
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    pixel_size: float,
    *,
    half_angle: float = 20.0,
    threshold: float = 0.143,
) -> DirectionalFsc:
    """Compare two half maps shell by shell in cones about directions 15 degrees apart.

    Parameters
    ----------
    first, second : ndarray, shape (n, n, n)
        Half maps, masked or not.
    pixel_size : float
        [Å]
    half_angle : float
        Of the cones [degrees].
    threshold : float

    Returns
    -------
    DirectionalFsc
    """
    import healpix

    n = len(first)
    if first.shape != (n, n, n) or second.shape != first.shape or n % 2:
        raise ValueError(f"not two equal even cubic maps: {first.shape}, {second.shape}")
    a, b = rfft_map(first), rfft_map(second)
    sphere = full_sphere(_PIXEL_ORDER)
    n_shells, n_pixels = n // 2 + 1, sphere.n_directions
    shells, weights = shell_index(n), np.broadcast_to(hermitian_weight(n), a.shape)
    k = np.fft.fftfreq(n, 1 / n)
    sums = np.zeros((3, n_shells * n_pixels))
    for plane in range(n):  # the directions of all voxels at once would need much memory
        shell = shells[plane]
        inside = (shell > 0) & (shell <= n // 2)
        y, x = np.nonzero(inside)
        pixel = healpix.vec2pix(
            1 << _PIXEL_ORDER, x.astype(float), k[y], np.full(len(x), k[plane]), nest=True
        )
        place = shell[inside].astype(np.int64) * n_pixels + np.asarray(pixel, dtype=np.int64)
        p, q, weight = a[plane][inside], b[plane][inside], weights[plane][inside]
        for total_of, values in zip(
            sums, ((p * q.conj()).real, np.abs(p) ** 2, np.abs(q) ** 2), strict=True
        ):
            np.add.at(total_of, place, weight * values)
    cross, power_a, power_b = sums.reshape(3, n_shells, n_pixels)
    directions = full_sphere(_CONE_ORDER).vectors
    cosine = np.abs(directions @ sphere.vectors.T)  # a voxel stands for its mate too
    cones = (cosine >= np.cos(np.deg2rad(half_angle)) - 1e-9).astype(np.float64)
    fsc = _ratio(cones @ cross.T, cones @ power_a.T, cones @ power_b.T)  # (n_cones, n_shells)
    total = _ratio(cross.sum(axis=1), power_a.sum(axis=1), power_b.sum(axis=1))
    fsc[:, :_FIRST] = total[:_FIRST]
    fsc[:, 0] = total[0] = 1.0
    resolution = np.array([_crossing(curve, threshold, n * pixel_size) for curve in fsc])
    return DirectionalFsc(directions, fsc, total, pixel_size, threshold, resolution)


def _ratio(cross: Float, power_a: Float, power_b: Float) -> Float:
    norm = np.sqrt(power_a * power_b)
    return np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)


def _crossing(curve: Float, threshold: float, extent: float) -> float:
    """Resolution [Å] at which a curve first falls below a threshold; Nyquist if it never does."""
    below = np.flatnonzero(curve[1:] < threshold)
    if not len(below):
        return extent / (len(curve) - 1)
    shell = int(below[0]) + 1
    high, low = curve[shell - 1], curve[shell]
    return float(extent / max(shell - 1 + (high - threshold) / (high - low), 1.0))


def _sphericity(points: Float, faces: npt.NDArray[np.integer]) -> float:
    """``pi^(1/3) (6 V)^(2/3) / A`` of the body with these triangular faces about the origin."""
    p, q, r = (points[faces[:, i]] for i in range(3))
    volume = np.abs((p * np.cross(q, r)).sum(axis=1)).sum() / 6
    area = np.linalg.norm(np.cross(q - p, r - p), axis=1).sum() / 2
    return float(np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area)
