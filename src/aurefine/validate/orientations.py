"""How evenly an orientation distribution samples Fourier space, and what that does to a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import full_sphere
from aurefine.geometry.symmetry import PointGroup

__all__ = ["FourierSampling", "fourier_sampling", "orientation_efficiency", "point_spread_widths"]

Float = npt.NDArray[np.float64]

_VIEW_ORDER = 5  # HEALPix order that viewing directions are counted in, 1.8 degrees
_MAP_ORDER = 4  # of the sampling map, 3.7 degrees
_WIDTH_ORDER = 2  # of the directions that the point spread is measured in
_N_RADII = 96


@dataclass(frozen=True, slots=True)
class FourierSampling:
    """How often each direction of Fourier space is seen, on a HEALPix grid of the sphere.

    Attributes
    ----------
    directions : ndarray, shape (n, 3)
        Unit vectors in the frame of the map.
    sampling : ndarray, shape (n,)
        Number of central slices through the direction over their mean; 1 everywhere if even.
    ring : int
        Radius [Fourier pixels] that the slices are one pixel thick at.
    """

    directions: Float
    sampling: Float
    ring: int

    @property
    def empty_fraction(self) -> float:
        """Share of the directions that no slice passes."""
        return float((self.sampling <= 0).mean())

    @property
    def scf(self) -> float:
        """Sampling compensation factor: the even sampling that would give the same mean SSNR.

        The harmonic mean of the sampling (Baldwin and Lyumkis 2020), with a hundredth of the mean
        in directions that are not seen: 1 for an even distribution, below about 0.8 for views
        around one axis, and near 0 if much is empty.
        """
        return float(1 / np.mean(1 / np.maximum(self.sampling, 0.01)))


def fourier_sampling(views: npt.ArrayLike, group: PointGroup, *, ring: int = 20) -> FourierSampling:
    """Count the central slices through every direction of Fourier space.

    Parameters
    ----------
    views : array-like, shape (n_particles, 3)
        Viewing directions.
    group : PointGroup
        Each particle counts in all its symmetry mates.
    ring : int
        Radius [Fourier pixels] of the shell that is looked at: diameter of the particle over the
        resolution of interest.

    Returns
    -------
    FourierSampling

    Notes
    -----
    A slice contains a direction if its plane passes within half a Fourier pixel. Views are binned
    in steps of 1.8 degrees first, so that the time hardly depends on the number of particles.
    """
    import healpix

    unit = np.asarray(views, dtype=np.float64)
    if unit.ndim != 2 or unit.shape[1] != 3 or not len(unit):
        raise ValueError(f"views must have shape (n, 3) with n above 0, not {unit.shape}")
    sphere = full_sphere(_VIEW_ORDER)
    counts = np.zeros(sphere.n_directions)
    for matrix in group.matrices:
        x, y, z = (unit @ matrix).T
        pixel = healpix.vec2pix(1 << _VIEW_ORDER, x, y, z, nest=True)
        counts += np.bincount(np.asarray(pixel), minlength=sphere.n_directions)
    seen = np.flatnonzero(counts)
    poles, weight = sphere.vectors[seen], counts[seen]
    directions = full_sphere(_MAP_ORDER).vectors
    half_width = 0.5 / max(ring, 1)
    sampling = np.empty(len(directions))
    for start in range(0, len(directions), 256):
        part = slice(start, start + 256)
        distance = np.abs(directions[part] @ poles.T)
        # bins of views have a width too: a linear edge as wide as they are
        share = np.clip((half_width - distance) / 0.032 + 0.5, 0, 1)
        sampling[part] = share @ weight
    return FourierSampling(directions, sampling / sampling.mean(), int(ring))


def point_spread_widths(
    sampling: FourierSampling, *, diameter: float = 160.0, resolution: float = 4.0,
    bfactor: float = 160.0,
) -> tuple[Float, Float]:  # fmt: skip
    """Half-width of the point spread function in many directions.

    Parameters
    ----------
    sampling : FourierSampling
    diameter, resolution : float
        Of the particle, and limit of the transform [Å].
    bfactor : float
        Fall-off ``exp(-bfactor k² / 4)`` of the signal [Å²].

    Returns
    -------
    directions : ndarray, shape (n, 3)
    widths : ndarray, shape (n,)
        Distance at which the function falls to half of its peak [Å].

    Notes
    -----
    Slices crowd towards the origin as 1/k, so the weight of a direction u at frequency k is
    ``sampling(u) exp(-B k²/4) / k``. The value at distance r along n is its transform, a sum over u
    of a function of ``r (n . u)`` alone.
    """
    k = np.linspace(1 / diameter, 1 / resolution, 400)  # 1/Å
    weight = k * np.exp(-0.25 * bfactor * k**2)
    x = np.linspace(0, 6 * resolution, 1200)
    kernel = np.cos(2 * np.pi * x[:, None] * k) @ weight  # (n_x,)
    kernel /= weight.sum()
    directions = full_sphere(_WIDTH_ORDER).vectors
    radii = np.linspace(0, 5.9 * resolution, _N_RADII)
    share = sampling.sampling / sampling.sampling.sum()
    widths = np.empty(len(directions))
    for i, direction in enumerate(directions):
        distance = np.abs(sampling.directions @ direction)  # (n_u,)
        profile = np.interp(np.outer(radii, distance), x, kernel) @ share
        below = np.flatnonzero(profile < 0.5)
        if not len(below):
            widths[i] = radii[-1]
            continue
        b = int(below[0])
        step = (profile[b - 1] - 0.5) / (profile[b - 1] - profile[b])
        widths[i] = radii[b - 1] + step * (radii[b] - radii[b - 1])
    return directions, widths


def orientation_efficiency(widths: npt.ArrayLike) -> float:
    """Efficiency of an orientation distribution, ``1 - 2 sd / mean`` of the point spread widths.

    As of Naydenova and Russo (2017): 1 for an even distribution, above 0.8 good, below 0.5 such
    that a map is badly smeared in some direction.
    """
    values = np.asarray(widths, dtype=np.float64)
    return float(1 - 2 * values.std() / values.mean())
