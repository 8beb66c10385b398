"""From sums to maps and spectra (spec 4.2-4.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.geometry.symmetry import PointGroup
from aurefine.imaging import background_profile
from aurefine.kernels.maps import blend_by_radius, sums_by_radius
from aurefine.kernels.volume import (
    add_mirror_images,
    floor_sums,
    shell_sums,
    symmetrise_planes,
    wiener_transform,
)
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.gridding import density_compensated_transform
from aurefine.refine.half_volume import over_planes, row_reach, zero_half_volume
from aurefine.refine.options import RefineOptions
from aurefine.refine.projector import interpolation_profile, padded_size
from aurefine.refine.sums import HalfSums

__all__ = [
    "MapSpectra",
    "group_scales",
    "low_resolution",
    "map_spectra",
    "noise_spectra",
    "reconstruct",
    "replace_low_resolution",
    "symmetrise",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
IntArray = npt.NDArray[np.int64]

_LARGE_VOLUME = 32 << 20  # bytes of sums that are symmetrised in two steps, to save memory
_FFT_VOXELS = 1 << 16  # of the planes that one task transforms along y
_FFT_ROWS = 4  # of the half-way transform that one task takes


def symmetrise(sums: HalfSums, group: PointGroup, pool: WorkerPool) -> None:
    """Complete the plane x = 0 and sum over the operators of the point group, in place."""
    volume = sums.volume
    over_planes(
        pool, len(volume) // 2 + 1, lambda first, last: add_mirror_images(volume, first, last)
    )
    if len(group.matrices) == 1:
        return
    if sums.volume.nbytes <= _LARGE_VOLUME:
        sums.volume = _symmetrised(sums, group, slice(0, 3), pool)
        return
    for components in (slice(2, 3), slice(0, 2)):  # weights and data do not mix
        _replace(sums.volume, components, _symmetrised(sums, group, components, pool), pool)


def _replace(volume: Float32, components: slice, values: Float32, pool: WorkerPool) -> None:
    """Replace some components, in the rows that hold anything."""

    def fill(task: tuple[int, int]) -> None:
        z, y = task
        rows = slice(len(volume) // 2 - y, len(volume) // 2 + y + 1)
        volume[z, rows, :, components] = values[z, rows]

    pool.map(fill, enumerate(row_reach(len(volume)).tolist()))


def _symmetrised(sums: HalfSums, group: PointGroup, components: slice, pool: WorkerPool) -> Float32:
    """Sum some components of the volume over the operators of the point group."""
    edge = len(sums.volume)
    n_components = components.stop - components.start
    out: Float32 = zero_half_volume(edge // 2 - 1, n_components, np.float32)
    over_planes(
        pool,
        edge,
        lambda first, last: symmetrise_planes(
            sums.volume, group.matrices, sums.radius, first, last, components.start, out
        ),
    )
    return out


def low_resolution(sums: HalfSums, shell: int) -> Float32:
    """Copy the sums up to a shell (spec 4.4), shape (n_voxels, 3)."""
    box, inside = _sphere(sums, shell)
    copied: Float32 = sums.volume[box][inside]
    return copied


def replace_low_resolution(sums: HalfSums, shell: int, values: Float32) -> None:
    """Put other sums in the place of those up to a shell, in the order of `low_resolution`."""
    box, inside = _sphere(sums, shell)
    sums.volume[box][inside] = values


def _sphere(sums: HalfSums, shell: int) -> tuple[tuple[slice, ...], npt.NDArray[np.bool_]]:
    """Cube of the volume that holds all voxels up to a shell, and which of its voxels they are."""
    radius = int(np.floor(sums.padding * shell + 0.5))
    edge = len(sums.volume)
    centre = edge // 2
    lo, hi = max(0, centre - radius), min(edge, centre + radius + 1)
    z = np.arange(lo, hi) - centre
    x = np.arange(min(radius + 1, sums.volume.shape[2]))
    inside = z[:, None, None] ** 2 + z[None, :, None] ** 2 + x[None, None, :] ** 2 <= radius**2
    return (slice(lo, hi), slice(lo, hi), slice(0, len(x))), inside


@dataclass(frozen=True, slots=True)
class MapSpectra:
    """Spectra of one reconstruction, shape (n_box // 2 + 1,)."""

    sigma2_map: Float
    tau2: Float
    data_vs_prior: Float
    fourier_coverage: Float
    inverse_prior: Float  # what the Wiener filter adds to the weight


def map_spectra(
    sums: HalfSums, fsc: Float, options: RefineOptions, pool: WorkerPool, *, is_joined: bool
) -> MapSpectra:
    """Signal and noise power of the reconstruction from the gold-standard FSC (spec 4.6)."""
    n_shells = len(fsc)
    cube = sums.padding**3

    def by_shell(limits: Float) -> Float:
        found: Float = np.sum(
            over_planes(
                pool,
                len(sums.volume),
                lambda first, last: shell_sums(
                    sums.volume, sums.padding, sums.radius, n_shells, limits, first, last
                ),
            ),
            axis=0,
        )
        return found

    n_voxels, weight, _ = by_shell(np.full(n_shells, np.inf))
    sigma2 = np.divide(n_voxels, cube * weight, out=np.zeros(n_shells), where=weight > 0)
    clipped = np.maximum(fsc, 0.001)
    if is_joined:
        clipped = np.sqrt(2 * clipped / (1 + clipped))
    clipped = np.minimum(clipped, 0.999)
    ssnr = options.tau2_fudge * clipped / (1 - clipped)
    tau2 = ssnr * sigma2
    inverse = np.divide(
        1.0, cube * options.tau2_fudge * tau2, out=np.zeros(n_shells), where=tau2 > 0
    )
    limits = np.where(tau2 > 0, inverse, np.inf)
    _, _, covered = by_shell(limits)
    coverage = np.divide(covered, n_voxels, out=np.zeros(n_shells), where=n_voxels > 0)
    prior = inverse.copy()
    prior[: options.minres_map] = 0
    if options.no_map:
        prior[:] = 0
    return MapSpectra(sigma2, tau2, ssnr, coverage, prior)


def reconstruct(
    sums: HalfSums,
    box: int,
    r_max: int,
    inverse_prior: Float,
    options: RefineOptions,
    pool: WorkerPool,
) -> Float32:
    """Make a map from symmetrised sums.

    Parameters
    ----------
    sums : HalfSums
    box : int
        Box size of the map [px].
    r_max : int
        Largest shell of the data.
    inverse_prior : ndarray, shape (box // 2 + 1,)
        Added to the weight in each shell; zeros for an unregularised map.

    Returns
    -------
    ndarray, shape (box, box, box), float32
    """
    size = padded_size(box, options.padding)
    edge = len(sums.volume)
    if options.iterative_gridding:
        transform = density_compensated_transform(
            sums, size, inverse_prior, options.gridding_iterations, pool
        )

        def planes(first: int, last: int) -> Complex64:
            values: Complex64 = transform[np.arange(first, last) % size]
            return values

    else:
        floor = _mean_weights(sums, inverse_prior, r_max, pool) / 1000
        n_x = min(sums.radius, size // 2) + 1

        def planes(first: int, last: int) -> Complex64:
            values = np.zeros((last - first, size, n_x), np.complex64)
            wiener_transform(
                sums.volume,
                sums.padding,
                sums.radius,
                inverse_prior,
                floor,
                first + edge // 2,
                last + edge // 2,
                values,
            )
            return values

    found = _cropped_inverse(planes, sums.radius, size, box, pool)
    _finish_map(found, size, pool)
    return found


def _mean_weights(sums: HalfSums, inverse_prior: Float, n_rings: int, pool: WorkerPool) -> Float:
    """Average the regularised weight over rings of whole shells, shape (n_rings,)."""
    parts = over_planes(
        pool,
        len(sums.volume),
        lambda first, last: floor_sums(
            sums.volume, sums.padding, sums.radius, inverse_prior, n_rings, first, last
        ),
    )
    count, total = np.sum(parts, axis=0)
    mean: Float = np.divide(total, count, out=total, where=count > 0)
    return mean


def _finish_map(values: Float32, size: int, pool: WorkerPool) -> None:
    """Scale a map, replace what is outside the sphere by its mean, undo the interpolation."""
    box = len(values)
    factor = np.float32(box**2)
    outside = background_profile(box, 3, box / 2, 3.0)
    correction = interpolation_profile(box, size)
    parts = over_planes(pool, box, lambda first, last: sums_by_radius(values, outside, first, last))
    n_voxels, total = np.sum(parts, axis=0)
    mean = np.float32(factor * total / n_voxels) if n_voxels else np.float32(0)
    over_planes(
        pool,
        box,
        lambda first, last: blend_by_radius(
            values, factor, outside, mean, correction, first, last, values, 0
        ),
    )


def _cropped_inverse(
    planes: Callable[[int, int], Complex64],
    radius: int,
    size: int,
    box: int,
    pool: WorkerPool,
) -> Float32:
    r"""Transform back to real space and keep the middle of the padded box.

    Axis by axis, cropping after each: the padded map is never in memory, and neither is its whole
    transform.

    Parameters
    ----------
    planes : callable
        Returns planes first <= z < last of the centred transform, shape (last - first, size, n_x);
        n_x may be less than size // 2 + 1 if what follows is zero.
    radius : int
        Planes with \|z\| >= radius are zero.
    size, box : int
        Of the padded and the returned map [px].

    Returns
    -------
    ndarray, shape (box, box, box), float32
    """
    start = size // 2 - box // 2
    inner = slice(start, start + box)
    reach = min(radius, size // 2) - 1
    n_x = planes(0, 1).shape[2]
    half_way = np.zeros((size, box, n_x), np.complex64)  # (z frequency, y, x frequency)

    n_together = max(1, _FFT_VOXELS // (size * n_x))

    def along_y(first: int) -> None:
        last = min(first + n_together, reach + 1)
        found = scipy.fft.ifft(planes(first, last), axis=1, workers=1)[:, inner]
        half_way[np.arange(first, last) % size] = found

    pool.map(along_y, range(-reach, reach + 1, n_together))
    out: Float32 = np.empty((box, box, box), np.float32)

    def along_z_and_x(first: int) -> None:
        rows = slice(first, first + _FFT_ROWS)
        columns = scipy.fft.ifft(half_way[:, rows], axis=0, workers=1)[inner]
        out[:, rows] = scipy.fft.irfft(columns, n=size, axis=2, workers=1)[..., inner]

    pool.map(along_z_and_x, range(0, box, _FFT_ROWS))
    return out


def noise_spectra(sums: HalfSums, previous: Float) -> Float:
    """New noise spectra of the noise groups (spec 4.8), shape (n_noise_groups, n_shells)."""
    sigma2 = np.divide(
        sums.noise,
        2 * sums.noise_pixels,
        out=np.zeros_like(sums.noise),
        where=sums.noise_pixels > 0,
    )
    for row, (old, pixels) in enumerate(zip(previous, sums.noise_pixels, strict=True)):
        if pixels.sum() == 0:
            sigma2[row] = old
            continue
        for s in range(1, len(old)):
            if sigma2[row, s] < 1e-14:
                sigma2[row, s] = sigma2[row, s - 1]
    return sigma2


def group_scales(sums: HalfSums, n_particles: npt.NDArray[np.int64]) -> Float:
    """New intensity scales of the micrograph groups (spec 4.8), mean one over particles."""
    positive = sums.scale_power > 0
    scale = np.divide(
        sums.scale_cross, sums.scale_power, out=np.ones(len(positive)), where=positive
    )
    median = np.sort(scale)[len(scale) // 2]
    if median <= 0:
        return np.ones(len(scale))
    scale = np.clip(scale, median / 5, 5 * median)
    mean = float((scale * n_particles).sum() / max(1, n_particles.sum()))
    return scale / mean
