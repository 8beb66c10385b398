"""Move particle centres by their refined offsets, or by a point of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.geometry.euler import matrix_from_euler

__all__ = ["Recentring", "project_point", "recentre_particles", "round_half_away"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recentring:
    """What to do with the offsets of refined particles.

    `point` is the point of the reference [px of `point_pixel_size`] that must land in the box
    centre; a `point_pixel_size` of None stands for the pixel size of the particles.
    """

    reset_offsets: bool = False
    recentre: bool = False
    point: tuple[float, float, float] = (0.0, 0.0, 0.0)
    point_pixel_size: float | None = None


def round_half_away(values: Float) -> Float:
    """Round to whole numbers, halves away from zero."""
    return np.trunc(values + np.copysign(0.5, values))


def project_point(angles: Float, particle_pixel_sizes: Float, recentring: Recentring) -> Float:
    """Project the wanted centre of the reference into each image.

    Parameters
    ----------
    angles : ndarray, shape (n, 3)
        Euler angles rot, tilt, psi [degree].
    particle_pixel_sizes : ndarray, shape (n,)
        Pixel size of the images that the offsets were refined with [Å].
    recentring : Recentring

    Returns
    -------
    point : ndarray, shape (n, 2)
        x, y relative to the image origin [px of the particle images].
    """
    point = np.asarray(recentring.point, dtype=np.float64)
    if not np.any(point):
        return np.zeros((len(angles), 2))
    projected: Float = matrix_from_euler(angles[:, 0], angles[:, 1], angles[:, 2])[:, :2] @ point
    if recentring.point_pixel_size is not None:
        projected *= (recentring.point_pixel_size / particle_pixel_sizes)[:, None]
    return projected


def recentre_particles(
    coordinates: Float,
    offsets: Float,
    angles: Float,
    *,
    particle_pixel_sizes: Float,
    micrograph_pixel_sizes: Float,
    recentring: Recentring,
) -> tuple[Float, Float]:
    """Move whole pixels of the offsets into the coordinates.

    Parameters
    ----------
    coordinates : ndarray, shape (n, 2)
        Box centres x, y [px of the micrograph].
    offsets : ndarray, shape (n, 2)
        Refined offsets x, y [Å]; a particle's true centre is at ``coordinate - offset``.
    angles : ndarray, shape (n, 3)
        rot, tilt, psi [degree]; only used if `recentring` has a point.
    particle_pixel_sizes, micrograph_pixel_sizes : ndarray, shape (n,)
        Pixel sizes [Å] of the images that were refined, and of the micrograph, per particle.
    recentring : Recentring

    Returns
    -------
    coordinates, offsets : ndarray, shape (n, 2)
        New ones; with `recentring.recentre` no offset exceeds half a micrograph pixel, and the
        fraction of the coordinates is kept.
    """
    if recentring.reset_offsets:
        return coordinates.copy(), np.zeros_like(offsets)
    if not recentring.recentre:
        return coordinates.copy(), offsets.copy()
    a_part, a_mic = particle_pixel_sizes[:, None], micrograph_pixel_sizes[:, None]
    point = project_point(angles, particle_pixel_sizes, recentring)
    offsets_px = (offsets / a_part - point) * (a_part / a_mic)  # (n, 2), micrograph pixels
    whole = round_half_away(offsets_px)
    return coordinates - whole, (offsets_px - whole) * a_mic
