"""The padded Fourier transform of a reference (spec 3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.kernels.maps import blend_by_radius
from aurefine.kernels.volume import crop_transform
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.half_volume import over_planes, zero_half_volume

__all__ = [
    "Projector",
    "build_projector",
    "interpolation_profile",
    "padded_size",
]

Float32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

_FFT_PLANES = 2  # of the map that one task transforms
_FFT_ROWS = 4  # of the half-way transform that one task takes


@dataclass(frozen=True, slots=True)
class Projector:
    """A half volume that slices are taken from; values scaled as 2D transforms over n_box².

    `flat` has shape (edge * edge * ((edge + 1) // 2) * 2,), interleaved complex values.
    """

    flat: Float32
    edge: int
    radius: int  # padded px
    padding: float  # padded size / box

    @property
    def volume(self) -> tuple[Float32, int]:
        """What the kernels take."""
        return self.flat, self.edge


def padded_size(box: int, padding: float) -> int:
    """Even size of the padded box [px]."""
    return 2 * int(np.floor(padding * box / 2 + 0.5))


def interpolation_profile(box: int, size: int) -> npt.NDArray[np.float32]:
    """Transform of the trilinear kernel, sinc²(r / size), by squared radius [voxels²]."""
    r2 = np.arange(3 * (box // 2) ** 2 + 1, dtype=np.float64)
    return (np.sinc(np.sqrt(r2) / size) ** 2).astype(np.float32)


def build_projector(
    reference: Float32,
    r_max: int,
    padding: float,
    pool: WorkerPool,
    *,
    lowest_shell: int = -1,
) -> Projector:
    """Prepare a map for slicing.

    Parameters
    ----------
    reference : ndarray, shape (n, n, n), float32
    r_max : int
        Largest shell in use [px of the unpadded transform].
    padding : float
        Oversampling of the transform, 1 or more.
    pool : WorkerPool
    lowest_shell : int
        Shells up to this one are set to zero; negative for none.

    Returns
    -------
    Projector
    """
    n = len(reference)
    size = padded_size(n, padding)
    effective = size / n
    radius = int(np.floor(effective * r_max + 0.5))
    inner_radius = effective * lowest_shell if lowest_shell > 0 else -1.0
    half_way = _transformed_planes(_corrected(reference, size, pool), size, radius, pool)
    edge = 2 * (radius + 1) + 1
    out: Float32 = zero_half_volume(radius, 2, np.float32)
    start = size // 2 - n // 2
    reach = half_way.shape[1] // 2

    def along_z(first: int) -> None:
        rows = half_way[:, first : first + _FFT_ROWS]
        nearest = np.abs(np.arange(first, first + rows.shape[1]) - reach).min()
        n_x = min(math.isqrt(radius**2 - int(nearest) ** 2) + 1, rows.shape[2])
        columns = np.zeros((size, rows.shape[1], n_x), np.complex64)
        columns[start : start + n] = rows[..., :n_x]
        columns = scipy.fft.fft(columns, axis=0, workers=1, overwrite_x=True)
        crop_transform(columns, first - reach, float(radius), inner_radius, 1.0 / n**2, out)

    pool.map(along_z, range(0, half_way.shape[1], _FFT_ROWS))
    return Projector(flat=out.reshape(-1), edge=edge, radius=radius, padding=effective)


def _corrected(reference: Float32, size: int, pool: WorkerPool) -> Float32:
    """Correct a map for the interpolation."""
    n = len(reference)
    correction = interpolation_profile(n, size)
    nothing = np.zeros_like(correction)
    one, zero = np.float32(1), np.float32(0)
    out = np.empty_like(reference)
    over_planes(
        pool,
        n,
        lambda first, last: blend_by_radius(
            reference, one, nothing, zero, correction, first, last, out
        ),
    )
    return out


def _transformed_planes(values: Float32, size: int, radius: int, pool: WorkerPool) -> Complex64:
    """Transform the planes of a map in the middle of a larger box, along x and y.

    Axis by axis: most of the larger box is zero, and much of its transform is not used.

    Returns
    -------
    ndarray, shape (n, 2 reach + 1, n_x), complex64
        Frequencies -reach to reach of y and 0 to n_x of x, as far as the radius or half the box.
    """
    n = len(values)
    middle = slice(size // 2 - n // 2, size // 2 - n // 2 + n)
    reach = min(radius, size // 2)
    kept = np.arange(-reach, reach + 1) % size
    out = np.empty((n, len(kept), reach + 1), np.complex64)

    def along_x_and_y(first: int) -> None:
        planes = values[first : first + _FFT_PLANES]
        rows = np.zeros((len(planes), n, size), np.float32)
        rows[..., middle] = planes
        columns = np.zeros((len(planes), size, reach + 1), np.complex64)
        columns[:, middle] = scipy.fft.rfft(rows, axis=2, workers=1)[..., : reach + 1]
        columns = scipy.fft.fft(columns, axis=1, workers=1, overwrite_x=True)
        out[first : first + len(planes)] = columns[:, kept]

    pool.map(along_x_and_y, range(0, n, _FFT_PLANES))
    return out
