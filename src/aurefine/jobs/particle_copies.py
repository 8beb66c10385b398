"""Rows of a particle table that show the same particle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["COPY_DISTANCE", "confirm_copies", "find_copies"]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COPY_DISTANCE = 30.0  # Å, centres of two particles of one micrograph that are closer are one
_SAME = 0.5  # correlation above which two images show the same pixels of a micrograph
_N_CONFIRMED = 500  # pairs of images that are looked at
_COORDINATES = ("rlnCoordinateX", "rlnCoordinateY")
_PIXEL_SIZES = ("rlnMicrographOriginalPixelSize", "rlnMicrographPixelSize", "rlnImagePixelSize")


def find_copies(
    particles: pd.DataFrame, optics: pd.DataFrame, distance: float = COPY_DISTANCE
) -> IntArray:
    """Number the particles so that rows of one particle have one number.

    Two rows belong together if they name the same image, or if their centres (coordinates less
    offsets) lie within a distance in one micrograph; chains of neighbours count as one.

    Parameters
    ----------
    particles, optics : DataFrame
        Tables of a particle file, optics groups numbered from 1.
    distance : float
        Å; 0 for the same image only.

    Returns
    -------
    ndarray, shape (n_particles,), int64
        Row in which each particle appears first.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(particles)
    pairs = [np.empty((0, 2), np.int64)]
    if "rlnImageName" in particles:
        code, _ = pd.factorize(particles["rlnImageName"])
        order = np.argsort(code, kind="stable")
        same = code[order[1:]] == code[order[:-1]]
        pairs.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
    if distance > 0:
        pairs.append(_near_pairs(particles, optics, distance))
    edges = np.concatenate(pairs)
    if not len(edges):
        return np.arange(n)
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    numbers: IntArray = first[label].astype(np.int64)
    return numbers


def confirm_copies(
    copies: IntArray,
    names: npt.NDArray[np.object_],
    boxes: IntArray,
    read: Callable[[IntArray], npt.NDArray[np.float32]],
) -> IntArray:
    """Keep only the copies whose images show the same pixels, up to a shift.

    Coordinates alone can mislead: they may be made up, or belong to tilted views.

    Parameters
    ----------
    copies : ndarray, shape (n_particles,)
        From `find_copies`.
    names : ndarray of str, shape (n_particles,)
        Of the images.
    boxes : ndarray, shape (n_particles,)
        Their sizes [px].
    read : callable
        Gives the images of rows of one size, shape (n, box, box).

    Returns
    -------
    ndarray, shape (n_particles,), int64
        As `copies`. Of many pairs only some are looked at; if they show nothing of each other,
        no pair counts.
    """
    rows = np.flatnonzero(copies != np.arange(len(copies)))
    to_see = rows[(names[rows] != names[copies[rows]]) & (boxes[rows] == boxes[copies[rows]])]
    if not len(to_see):
        return copies
    seen = to_see[np.linspace(0, len(to_see) - 1, min(len(to_see), _N_CONFIRMED)).astype(int)]
    is_same = np.array([_correlation(read(np.array([row, copies[row]]))) > _SAME for row in seen])
    confirmed = copies.copy()
    dropped = seen[~is_same] if is_same.any() else to_see
    confirmed[dropped] = dropped
    return confirmed


def _correlation(pair: npt.NDArray[np.float32]) -> float:
    """Highest correlation of two images over all shifts."""
    centred = pair - pair.mean(axis=(1, 2), keepdims=True)
    norm = float(np.sqrt((centred**2).sum(axis=(1, 2), dtype=np.float64).prod()))
    if norm == 0:
        return 0.0
    transform = np.fft.rfft2(centred)
    product = np.fft.irfft2(transform[0] * transform[1].conj(), s=pair.shape[1:])
    return float(product.max() / norm)


def _near_pairs(particles: pd.DataFrame, optics: pd.DataFrame, distance: float) -> IntArray:
    from scipy.spatial import cKDTree

    names = ("rlnMicrographName", *_COORDINATES)
    pixel_label = next((label for label in _PIXEL_SIZES if label in optics), None)
    if pixel_label is None or any(name not in particles for name in names):
        return np.empty((0, 2), np.int64)
    group = particles["rlnOpticsGroup"].to_numpy(np.int64) - 1
    pixel_size = optics[pixel_label].to_numpy(float)[group]
    centres = np.stack([particles[label].to_numpy(float) for label in _COORDINATES], axis=1)
    if not np.any(centres):  # all at the origin: nobody knows where they are
        return np.empty((0, 2), np.int64)
    centres = centres * pixel_size[:, None]
    for axis, label in enumerate(("rlnOriginXAngst", "rlnOriginYAngst")):
        if label in particles:
            centres[:, axis] -= particles[label].to_numpy(float)
    micrograph, _ = pd.factorize(particles["rlnMicrographName"])
    # micrographs lie in planes too far apart to have neighbours
    points = np.column_stack([centres, micrograph * (4.0 * distance)])
    pairs: IntArray = cKDTree(points).query_pairs(distance, output_type="ndarray")
    return pairs.astype(np.int64)
