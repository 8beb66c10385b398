"""Projections of atom sets and maps by non-uniform Fourier sums.

The refinement takes trilinear slices of a padded transform; here atoms are summed in the plane
of the image, and maps are evaluated with a wide kernel, so that simulated images do not share
the interpolation errors of the program that is tested with them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.simulate.atoms import AtomSet, scattering_factor
from aurefine.simulate.spreading import (
    KERNEL_WIDTH,
    gather_slice,
    kernel_table,
    kernel_transform,
    spread_2d,
)

__all__ = [
    "AtomProjector",
    "MapProjector",
    "MapTransform",
    "Projector",
    "image_frequencies",
    "resample_map",
]

_N_GHOST = KERNEL_WIDTH // 2


class Projector(Protocol):
    """Gives the transform of a projection in one image geometry."""

    def project(self, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.complex64]:
        """Project along the third row of `matrix`, which takes map to image coordinates."""
        ...


def image_frequencies(
    box: int, pixel_size: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the spatial frequencies of an image transform.

    Parameters
    ----------
    box : int
        Box size [px].
    pixel_size : float
        Pixel size [Å].

    Returns
    -------
    sx, sy : ndarray, shape (box, box // 2 + 1), float64
        Frequencies [1/Å] in `rfft2` layout; the last column is positive, row ``box // 2``
        negative.
    """
    sy, sx = np.meshgrid(
        np.fft.fftfreq(box, pixel_size), np.arange(box // 2 + 1) / (box * pixel_size), indexing="ij"
    )
    return sx, sy


class AtomProjector:
    """Projects atoms: rotation, spreading in the image plane, one transform per element.

    Parameters
    ----------
    atoms : AtomSet
        The particle.
    box : int
        Even box size of the images [px].
    pixel_size : float
        Their pixel size [Å].
    bfactor : float
        Blur ``exp(-bfactor * s**2 / 4)`` [Å²].
    magnification : ndarray, shape (2, 2), optional
        Anisotropic magnification: the image shows frequency ``magnification @ s`` at `s`.
    """

    def __init__(
        self,
        atoms: AtomSet,
        box: int,
        pixel_size: float,
        *,
        bfactor: float = 0.0,
        magnification: npt.ArrayLike | None = None,
    ) -> None:
        self._atoms = atoms
        self._box = box
        m = np.eye(2) if magnification is None else np.asarray(magnification, dtype=np.float64)
        self._to_grid = m.T * (2.0 / pixel_size)  # image plane [Å] -> fine grid points
        sx, sy = image_frequencies(box, pixel_size)
        s2 = (m[0, 0] * sx + m[0, 1] * sy) ** 2 + (m[1, 0] * sx + m[1, 1] * sy) ** 2
        rows = np.fft.fftfreq(box, 1 / box).astype(np.int64)
        columns = np.arange(box // 2 + 1)
        kernel = kernel_transform(rows, 2 * box)[:, None] * kernel_transform(columns, 2 * box)
        envelope = np.exp(-0.25 * bfactor * s2) * _even_nyquist_mask(box) / kernel
        self._weights = np.stack(
            [(scattering_factor(element, s2) * envelope) for element in atoms.elements]
        ).astype(np.float32)  # (n_elements, box, box // 2 + 1)

    def project(self, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.complex64]:
        """Project the atoms.

        Parameters
        ----------
        matrix : ndarray, shape (3, 3), float64
            Takes map to image coordinates.

        Returns
        -------
        transform : ndarray, shape (box, box // 2 + 1), complex64
            Unnormalised `rfft2` with phases about the particle's centre; 0 at the Nyquist row
            and column.
        """
        box = self._box
        grid = np.zeros((len(self._atoms.elements), 2 * box, 2 * box), dtype=np.float32)
        spread_2d(
            self._atoms.coordinates,
            self._atoms.first_of_element,
            np.ascontiguousarray(self._to_grid @ np.asarray(matrix, dtype=np.float64)[:2]),
            kernel_table(),
            grid,
        )
        half = box // 2
        fine = scipy.fft.rfft(grid, axis=2)[:, :, : half + 1]
        fine = scipy.fft.fft(fine, axis=1, overwrite_x=True)
        total = fine[:, :half] * self._weights[:, :half]  # rows 0 .. half - 1
        lower = fine[:, -half:] * self._weights[:, half:]  # rows -half .. -1
        return np.concatenate([total.sum(axis=0), lower.sum(axis=0)], axis=0)


class MapTransform:
    """The fine Fourier transform of a map, shared by the projectors of all image geometries.

    Parameters
    ----------
    density : ndarray, shape (n, n, n)
        (z, y, x), centre at index ``n // 2``.
    pixel_size : float
        Pixel size [Å].
    """

    def __init__(self, density: npt.NDArray[np.floating], pixel_size: float) -> None:
        n = density.shape[0]
        if density.shape != (n, n, n) or n % 2:
            raise ValueError(f"expected a cubic map of even size, found shape {density.shape}")
        self.box = n
        self.pixel_size = pixel_size
        place = np.arange(n) - n // 2
        kernel = kernel_transform(place, 2 * n)
        padded = np.zeros((2 * n,) * 3, dtype=np.float32)
        at = place % (2 * n)
        padded[np.ix_(at, at, at)] = density / (
            kernel[:, None, None] * kernel[None, :, None] * kernel[None, None, :]
        )
        half = scipy.fft.rfftn(padded, overwrite_x=True)  # (2 n, 2 n, n + 1)
        del padded
        # Columns -ghost .. n + ghost: a point with x >= 0 then finds all its neighbours
        mirror = (-np.arange(2 * n)) % (2 * n)

        def mirrored(column: int) -> npt.NDArray[np.complex64]:
            return np.asarray(half[mirror][:, mirror, column].conj())

        before = [mirrored(k) for k in range(_N_GHOST, 0, -1)]
        after = [mirrored(n - k) for k in range(1, _N_GHOST + 1)]
        self.values = np.concatenate(
            [np.stack(before, axis=2), half, np.stack(after, axis=2)], axis=2
        ).astype(np.complex64)


class MapProjector:
    """Projects a map by a wide-kernel evaluation of its transform on the central plane.

    Parameters
    ----------
    transform : MapTransform
        The map.
    box : int
        Even box size of the images [px].
    pixel_size : float
        Their pixel size [Å]; may differ from that of the map.
    bfactor : float
        Blur ``exp(-bfactor * s**2 / 4)`` [Å²] on top of what the map has.
    magnification : ndarray, shape (2, 2), optional
        As for `AtomProjector`.
    """

    def __init__(
        self,
        transform: MapTransform,
        box: int,
        pixel_size: float,
        *,
        bfactor: float = 0.0,
        magnification: npt.ArrayLike | None = None,
    ) -> None:
        self._transform = transform
        self._box = box
        m = np.eye(2) if magnification is None else np.asarray(magnification, dtype=np.float64)
        # one image index, in fine grid points of the map's transform
        self._step = m.T * (2.0 * transform.box * transform.pixel_size / (box * pixel_size))
        sx, sy = image_frequencies(box, pixel_size)
        s2 = (m[0, 0] * sx + m[0, 1] * sy) ** 2 + (m[1, 0] * sx + m[1, 1] * sy) ** 2
        envelope = np.exp(-0.25 * bfactor * s2) * _even_nyquist_mask(box)
        self._envelope = envelope.astype(np.float32)

    def project(self, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.complex64]:
        """Project the map; the result is as that of `AtomProjector.project`.

        Frequencies beyond the Nyquist sphere of the map are 0.
        """
        box = self._box
        out = np.empty((box, box // 2 + 1), dtype=np.complex64)
        vectors = np.ascontiguousarray(self._step @ np.asarray(matrix, dtype=np.float64)[:2])
        gather_slice(
            self._transform.values,
            _N_GHOST,
            vectors,
            float(self._transform.box),  # the Nyquist radius on the twice finer grid
            kernel_table(),
            out,
        )
        out *= self._envelope
        return out


def resample_map(
    density: npt.NDArray[np.floating],
    pixel_size: float,
    new_box: int,
    new_pixel_size: float,
    *,
    bfactor: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Evaluate a map's transform on the frequencies of another box, and transform back.

    Parameters
    ----------
    density : ndarray, shape (n, n, n)
        (z, y, x), centre at index ``n // 2``.
    pixel_size : float
        Pixel size [Å].
    new_box, new_pixel_size : int, float
        Box [px] and pixel size [Å] of the result; any combination.
    bfactor : float
        Blur ``exp(-bfactor * s**2 / 4)`` [Å²].

    Returns
    -------
    density : ndarray, shape (new_box, new_box, new_box), float32
        Its sums along an axis are projections on the scale of `MapProjector`; frequencies beyond
        the Nyquist sphere of the old map, and the Nyquist planes of the new one, are 0.
    """
    n, half = density.shape[0], new_box // 2
    place = (np.arange(n) - n // 2) * pixel_size
    frequency = np.fft.fftfreq(new_box, new_pixel_size)
    frequency[half] = np.inf  # Nyquist: removed below
    wave = np.exp(-2j * np.pi * np.where(np.isinf(frequency), 0, frequency)[:, None] * place)
    wave = wave.astype(np.complex64)  # (new_box, n)
    transform = np.asarray(density, dtype=np.float32) @ wave[: half + 1].T  # (z, y, kx)
    transform = np.einsum("ky,zyx->zkx", wave, transform, optimize=True)
    transform = np.einsum("kz,zyx->kyx", wave, transform, optimize=True)
    sign = (-1.0) ** np.arange(new_box)  # the centre goes to index new_box // 2
    limit = (0.5 / pixel_size) ** 2
    f2 = frequency**2
    for layer in range(new_box):
        s2 = f2[layer] + f2[:, None] + f2[: half + 1]
        factor = np.where(s2 <= limit, np.exp(-0.25 * bfactor * np.minimum(s2, limit)), 0.0)
        factor *= sign[layer] * sign[:, None] * sign[: half + 1]
        transform[layer] *= factor.astype(np.float32)
    resampled = scipy.fft.irfftn(transform, s=(new_box,) * 3, overwrite_x=True)
    return np.asarray(resampled, dtype=np.float32)


def _even_nyquist_mask(box: int) -> npt.NDArray[np.float64]:
    """0 on the Nyquist row and column, whose sign an even box can not tell; else 1."""
    mask = np.ones((box, box // 2 + 1))
    mask[box // 2] = 0
    mask[:, box // 2] = 0
    return mask
