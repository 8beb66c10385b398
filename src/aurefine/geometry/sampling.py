"""Sampling of orientations and offsets: coarse grids, their children, random perturbation.

The grids of directions and the neighbourhoods of local searches are re-exported here, so
that a caller needs this module only (spec 3.4-3.6).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import (
    DirectionGrid,
    angular_step,
    asymmetric_unit,
    child_pixels,
    direction_index,
    full_sphere,
    grid_from_angles,
    pixel_angles,
)
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.local import neighbourhoods, psi_windows

__all__ = [
    "DirectionGrid",
    "angular_step",
    "asymmetric_unit",
    "child_pixels",
    "coarse_offsets",
    "coarse_rotations",
    "direction_index",
    "full_sphere",
    "grid_from_angles",
    "neighbourhoods",
    "next_perturbation",
    "oversampled_offsets",
    "oversampled_psi",
    "oversampled_rotations",
    "perturbation_rotation",
    "psi_angles",
    "psi_windows",
    "upright_rotations",
]

Float = npt.NDArray[np.float64]


def psi_angles(psi_step: float) -> Float:
    """In-plane angles [degrees]: ``ceil(360 / psi_step)`` equal steps from 0."""
    if not psi_step > 0:
        raise ValueError(f"psi_step must be positive, not {psi_step}")
    n_psi = max(1, math.ceil(360.0 / psi_step - 1e-9))
    return np.arange(n_psi, dtype=np.float64) * (360.0 / n_psi)


def oversampled_psi(psi: npt.ArrayLike, psi_step: float, oversampling: int) -> Float:
    """In-plane angles at the centres of the ``2**oversampling`` parts of each step.

    Parameters
    ----------
    psi : array_like, shape (n,)
        Coarse angles in degrees.
    psi_step : float
        Coarse step in degrees.
    oversampling : int

    Returns
    -------
    ndarray, shape (n, 2**oversampling), float64
        Degrees. The coarse angle itself is not among them unless `oversampling` is 0.
    """
    return np.asarray(psi, dtype=np.float64)[..., None] + _subdivided(psi_step, oversampling)


def perturbation_rotation(perturbation: float, step: float) -> Float:
    """Rotation R of one iteration; every sampled orientation becomes ``A @ R`` (spec 3.5).

    Parameters
    ----------
    perturbation : float
        Current value of the random perturbation, in units of the step.
    step : float
        Coarse angular step in degrees, for coarse and oversampled orientations alike.

    Returns
    -------
    ndarray, shape (3, 3), float64
    """
    angle = perturbation * step
    return matrix_from_euler(angle, angle, angle)


def next_perturbation(previous: float, factor: float, rng: np.random.Generator) -> float:
    """Perturbation of the next iteration: a step of U(factor/2, factor), wrapped.

    Parameters
    ----------
    previous : float
        Perturbation of the previous iteration, 0 at the start.
    factor : float
        ``--perturb``; 0 switches the perturbation off.
    rng : numpy.random.Generator
        Must be in the same state in every process.

    Returns
    -------
    float
        In [-factor, factor].
    """
    if factor <= 0:
        return 0.0
    value = previous + rng.uniform(0.5 * factor, factor)
    return float((value + factor) % (2.0 * factor) - factor)


def coarse_rotations(
    pixel: npt.ArrayLike, psi: npt.ArrayLike, order: int, perturbation_matrix: npt.ArrayLike
) -> Float:
    """Perturbed rotation matrices of coarse orientations.

    Parameters
    ----------
    pixel : array_like of int, shape (n,)
        Nested HEALPix indices of the directions.
    psi : array_like, shape (n,)
        In-plane angles in degrees.
    order : int
        HEALPix order of `pixel`.
    perturbation_matrix : array_like, shape (3, 3)
        See `perturbation_rotation`.

    Returns
    -------
    ndarray, shape (n, 3, 3), float64
        ``A @ R``.
    """
    pixels = np.asarray(pixel)[:, None]
    angles = np.asarray(psi, dtype=np.float64)[:, None]
    return _compose(pixels, angles, order, perturbation_matrix)[:, 0]


def oversampled_rotations(
    pixel: npt.ArrayLike,
    psi: npt.ArrayLike,
    order: int,
    psi_step: float,
    oversampling: int,
    perturbation_matrix: npt.ArrayLike,
) -> Float:
    """Perturbed rotation matrices of all children of coarse orientations.

    Parameters
    ----------
    pixel : array_like of int, shape (n,)
        Nested HEALPix indices of the coarse directions.
    psi : array_like, shape (n,)
        Coarse in-plane angles in degrees.
    order : int
        Coarse HEALPix order.
    psi_step : float
        Coarse step of the in-plane angle in degrees.
    oversampling : int
    perturbation_matrix : array_like, shape (3, 3)
        See `perturbation_rotation`; made with the coarse step.

    Returns
    -------
    ndarray, shape (n, 8**oversampling, 3, 3), float64
        Children in the order child pixel (slow), in-plane angle (fast).
    """
    children = child_pixels(pixel, oversampling)  # (n, 4**os)
    angles = oversampled_psi(psi, psi_step, oversampling)  # (n, 2**os)
    return _compose(children, angles, order + oversampling, perturbation_matrix)


def coarse_offsets(offset_range: float, offset_step: float) -> Float:
    """Grid of in-plane offsets inside a circle.

    Parameters
    ----------
    offset_range, offset_step : float
        Radius and spacing in Å.

    Returns
    -------
    ndarray, shape (n, 2), float64
        Offsets (x, y) in Å, x slowest; multiples of the step with
        ``x**2 + y**2 <= offset_range**2``.
    """
    if not offset_step > 0 or offset_range < 0:
        raise ValueError(
            f"offset step must be positive and range not negative: {offset_step}, {offset_range}"
        )
    n = math.ceil(offset_range / offset_step)
    index = np.arange(-n, n + 1) * offset_step
    x, y = np.meshgrid(index, index, indexing="ij")
    inside = x**2 + y**2 <= offset_range**2 + 0.001
    return np.stack([x[inside], y[inside]], axis=-1)


def oversampled_offsets(offsets: npt.ArrayLike, offset_step: float, oversampling: int) -> Float:
    """Offsets at the centres of the ``4**oversampling`` parts of each grid cell.

    Parameters
    ----------
    offsets : array_like, shape (n, 2)
        Coarse offsets (x, y) in Å.
    offset_step : float
        Coarse step in Å.
    oversampling : int

    Returns
    -------
    ndarray, shape (n, 4**oversampling, 2), float64
        Å; x slowest within a cell. The perturbation is not included.
    """
    parts = _subdivided(offset_step, oversampling)
    x, y = np.meshgrid(parts, parts, indexing="ij")
    cell = np.stack([x.ravel(), y.ravel()], axis=-1)
    children: Float = np.asarray(offsets, dtype=np.float64)[..., None, :] + cell
    return children


def _subdivided(step: float, oversampling: int) -> Float:
    """Centres of the ``2**oversampling`` equal parts of a step around 0."""
    n_parts = 2**oversampling
    parts: Float = step * ((np.arange(n_parts) + 0.5) / n_parts - 0.5)
    return parts


def upright_rotations(
    pixel: npt.ArrayLike, order: int, perturbation_matrix: npt.ArrayLike
) -> Float:
    """Perturbed rotation matrices of directions, for an in-plane angle of 0.

    Parameters
    ----------
    pixel : array_like of int, shape (...)
        Nested HEALPix indices.
    order : int
    perturbation_matrix : array_like, shape (3, 3)
        See `perturbation_rotation`.

    Returns
    -------
    ndarray, shape (..., 3, 3), float64
    """
    rot, tilt = pixel_angles(pixel, order)
    matrices: Float = matrix_from_euler(rot, tilt, 0.0) @ np.asarray(perturbation_matrix)
    return matrices


def _compose(
    pixel: npt.NDArray[np.integer], psi: Float, order: int, perturbation_matrix: npt.ArrayLike
) -> Float:
    """Matrices of every pixel (n, a) with every in-plane angle (n, b): (n, a * b, 3, 3).

    The in-plane angle only mixes the first two rows, so the trigonometry of the direction
    and the perturbation are done once per pixel.
    """
    upright = upright_rotations(pixel, order, perturbation_matrix)  # (n, a, 3, 3)
    radians = np.deg2rad(psi)[:, None, :, None]  # (n, 1, b, 1)
    cos_psi, sin_psi = np.cos(radians), np.sin(radians)
    first, second, third = np.moveaxis(upright[:, :, None], -2, 0)  # each (n, a, 1, 3)
    n, n_pixels = pixel.shape
    matrices = np.empty((n, n_pixels, psi.shape[1], 3, 3))
    matrices[..., 0, :] = cos_psi * first + sin_psi * second
    matrices[..., 1, :] = cos_psi * second - sin_psi * first
    matrices[..., 2, :] = third
    return matrices.reshape(n, -1, 3, 3)
