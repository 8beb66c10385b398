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
    shell = shell_index(n)
    inside = (shell > 0) & (shell <= n // 2)
    k = np.fft.fftfreq(n, 1 / n)
    z, y, x = (c[inside] for c in np.broadcast_arrays(
        k[:, None, None], k[None, :, None], np.arange(n // 2 + 1)[None, None, :]
    ))  # fmt: skip
    sphere = full_sphere(_PIXEL_ORDER)
    pixel = np.asarray(healpix.vec2pix(1 << _PIXEL_ORDER, x, y, z, nest=True), dtype=np.int64)
    n_shells, n_pixels = n // 2 + 1, sphere.n_directions
    place = shell[inside].astype(np.int64) * n_pixels + pixel
    weight = np.broadcast_to(hermitian_weight(n), shell.shape)[inside]

    def binned(values: npt.NDArray[np.floating]) -> Float:
        sums = np.bincount(place, weight * values[inside], minlength=n_shells * n_pixels)
        return np.asarray(sums, dtype=np.float64).reshape(n_shells, n_pixels)

    cross = binned((a * b.conj()).real)
    power_a, power_b = binned(np.abs(a) ** 2), binned(np.abs(b) ** 2)
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
