"""The padded Fourier transform of a reference (spec 3.3)."""

from __future__ import annotations

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
    padded = _padded_map(reference, size, pool)
    transform = scipy.fft.rfftn(padded, workers=pool.n_threads, overwrite_x=True)
    del padded
    radius = int(np.floor(effective * r_max + 0.5))
    edge = 2 * (radius + 1) + 1
    out: Float32 = zero_half_volume(radius, 2, np.float32)
    inner_radius = effective * lowest_shell if lowest_shell > 0 else -1.0

    over_planes(
        pool,
        edge,
        lambda first, last: crop_transform(
            transform, float(radius), inner_radius, 1.0 / n**2, first, last, out
        ),
    )
    return Projector(flat=out.reshape(-1), edge=edge, radius=radius, padding=effective)


def _padded_map(reference: Float32, size: int, pool: WorkerPool) -> Float32:
    """Correct a map for the interpolation and put it into the middle of a larger box."""
    n = len(reference)
    start = size // 2 - n // 2
    correction = interpolation_profile(n, size)
    nothing = np.zeros_like(correction)
    one, zero = np.float32(1), np.float32(0)
    out = np.zeros((size,) * 3, np.float32)
    over_planes(
        pool,
        n,
        lambda first, last: blend_by_radius(
            reference, one, nothing, zero, correction, first, last, out, start
        ),
    )
    return out
