"""How many particles are seen from each direction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.geometry.euler import direction_from_angles

__all__ = ["direction_histogram"]

Float = npt.NDArray[np.float64]


def direction_histogram(
    rot: npt.ArrayLike, tilt: npt.ArrayLike, *, symmetry: Float | None = None
) -> Float:
    """Count particles in bins of equal area on the sphere of viewing directions.

    Parameters
    ----------
    rot, tilt : array-like, shape (n_particles,)
        [degrees]
    symmetry : ndarray, shape (n_operators, 3, 3), optional
        Each particle then counts in the directions of all its symmetry mates, 1/n in each.

    Returns
    -------
    counts : ndarray, shape (n_rows, 2 * n_rows)
        Rows are equal steps of cos(tilt) from -1 to 1, columns equal steps of rot from -180°.
    """
    directions = direction_from_angles(np.asarray(rot, float), np.asarray(tilt, float))  # (n, 3)
    n = len(directions)
    n_mates = 1 if symmetry is None else len(symmetry)
    if symmetry is not None:
        directions = np.einsum("sij,nj->sni", symmetry, directions).reshape(-1, 3)
    longitude = np.rad2deg(np.arctan2(directions[:, 1], directions[:, 0]))
    sine = np.clip(directions[:, 2], -1, 1)  # of the latitude
    n_rows = int(np.clip(np.sqrt(n * np.sqrt(n_mates) / 40), 6, 36))  # about 20 per bin in C1
    rows = np.linspace(-1, 1, n_rows + 1)  # equal steps of sin(latitude): equal areas
    columns = np.linspace(-180, 180, 2 * n_rows + 1)
    counts, _, _ = np.histogram2d(sine, longitude, bins=(rows, columns))
    return np.asarray(counts / n_mates)
