"""Sums of back-projected images that do not depend on the order of additions (spec 4.1).

They are 32-bit integers with a scale for each zone of shells, made so that an ordinary weight
fills 25 to 28 of the bits and data at most 30, which makes rounding about as fine as that of
float32.  Sums that leave the range, in directions with many views or at strong features, are
kept exactly by carries (see `aurefine.kernels.fixed_point`), so that no sum is ever wrong.

The scales are powers of two and come only from what is known of a half before its first batch:
number of particles, noise spectra and reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aurefine.geometry.directions import pixel_angles
from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels.fixed_point import add_words, words_to_floats
from aurefine.kernels.slices import extract_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.refine.batch import transfer_function
from aurefine.refine.half_volume import give_back, over_planes, zero_half_volume
from aurefine.refine.memory import n_sum_copies
from aurefine.refine.particles import ParticleSet
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.plan import IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.state import HalfModel

__all__ = [
    "ExactVolume",
    "VolumeScales",
    "add_carries",
    "add_copies",
    "as_floats",
    "empty_volume",
    "exact_values",
    "store_values",
    "volume_scales",
    "volumes_for",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_USUAL_BITS = np.array([30, 28])  # of ordinary sums of data and weights
_SPREAD_BITS = 3  # by which the sums of one zone may differ
_CTF_PARTICLES = 64
_PIECES = 16  # that volumes are added in
_NO_DATA = -200.0  # logarithm that stands for nothing


@dataclass(frozen=True, slots=True)
class VolumeScales:
    """Powers of two that sums are multiplied by, zone by zone from the origin outwards."""

    limits: Float32  # (n_zones - 1,), squared radii [voxels] where the next zone begins
    data: Float32  # (n_zones,)
    weight: Float32  # (n_zones,)

    @property
    def arrays(self) -> tuple[Float32, Float32, Float32]:
        """What the kernels take."""
        return self.limits, self.data, self.weight


@dataclass(slots=True)
class ExactVolume:
    """Scaled sums: `words` plus 2^32 times the carries."""

    words: npt.NDArray[np.int32]  # (edge, edge, (edge + 1) // 2, 3): real, imaginary, weight
    scales: VolumeScales
    carry_index: IntArray  # (n_carries,), ascending, into the flattened words
    carry: IntArray  # (n_carries,), not zero
    copies: list[ExactVolume] = field(default_factory=list)  # of other threads, to be added


def empty_volume(radius: int, scales: VolumeScales) -> ExactVolume:
    """Sums at zero for a padded transform of `radius` [voxels]."""
    nothing = np.zeros(0, np.int64)
    return ExactVolume(zero_half_volume(radius, 3, np.int32), scales, nothing, nothing)


def add_carries(volume: ExactVolume, index: IntArray, carry: IntArray) -> None:
    """Add carries that `insert_slices` returned."""
    if not len(index):
        return
    joined = np.concatenate([volume.carry_index, index])
    unique, inverse = np.unique(joined, return_inverse=True)
    total = np.zeros(len(unique), np.int64)
    np.add.at(total, inverse, np.concatenate([volume.carry, carry]))
    volume.carry_index, volume.carry = unique[total != 0], total[total != 0]


def volumes_for(volume: ExactVolume, n_threads: int) -> list[ExactVolume]:
    """Return the volume and, as far as memory allows, one copy more for each further thread.

    Each of them takes a part of the contributions, until `add_copies`.
    """
    words = volume.words
    for _ in range(n_sum_copies(words.nbytes, n_threads) - len(volume.copies)):
        nothing = np.zeros(0, np.int64)
        radius = words.shape[2] - 2
        copy = zero_half_volume(radius, words.shape[3], words.dtype)
        volume.copies.append(ExactVolume(copy, volume.scales, nothing, nothing))
    return [volume, *volume.copies]


def add_copies(volume: ExactVolume, pool: WorkerPool) -> None:
    """Add what the copies hold to the volume itself, and forget them."""
    flat = volume.words.reshape(-1)
    parts = even_parts(len(flat), _PIECES)
    while volume.copies:
        copy = volume.copies.pop()
        more = copy.words.reshape(-1)

        def add(part: slice, more: npt.NDArray[np.int32] = more) -> tuple[IntArray, IntArray]:
            carries: tuple[IntArray, IntArray] = add_words(flat[part], more[part])
            return carries

        for part, (index, carry) in zip(parts, pool.map(add, parts), strict=True):
            add_carries(volume, part.start + index, carry)
        add_carries(volume, copy.carry_index, copy.carry)


def exact_values(volume: ExactVolume, start: int, stop: int) -> IntArray:
    """Exact scaled sums of a part of the flattened volume, carries included, as int64."""
    values: IntArray = volume.words.reshape(-1)[start:stop].astype(np.int64)
    a, b = np.searchsorted(volume.carry_index, [start, stop])
    values[volume.carry_index[a:b] - start] += volume.carry[a:b] << 32
    return values


def store_values(volume: ExactVolume, start: int, stop: int, values: IntArray) -> None:
    """Replace a part of the flattened volume by exact scaled sums."""
    words = values.astype(np.int32)  # the low 32 bits
    volume.words.reshape(-1)[start:stop] = words
    carry = (values - words) >> 32
    kept = (volume.carry_index < start) | (volume.carry_index >= stop)
    volume.carry_index, volume.carry = volume.carry_index[kept], volume.carry[kept]
    index = np.flatnonzero(carry)
    add_carries(volume, start + index, carry[index])


def as_floats(volume: ExactVolume, pool: WorkerPool) -> Float32:
    """Turn finished sums into float32 in the same memory, shape as `words`.

    The exact volume must not be used afterwards.
    """
    words = volume.words
    edge, _, n_x, _ = words.shape
    floats: Float32 = words.view(np.float32)
    voxel, component = np.divmod(volume.carry_index, 3)
    exact = words.reshape(-1)[volume.carry_index] + np.ldexp(volume.carry.astype(float), 32)
    over_planes(
        pool,
        edge,
        lambda first, last: words_to_floats(words, volume.scales.arrays, first, last, floats),
    )
    z, y, x = np.unravel_index(voxel, (edge, edge, n_x))
    radius2 = (z - edge // 2) ** 2 + (y - edge // 2) ** 2 + x**2
    zone = np.searchsorted(volume.scales.limits, radius2, side="right")
    scale = np.where(component == 2, volume.scales.weight[zone], volume.scales.data[zone])
    floats.reshape(-1)[volume.carry_index] = exact / scale
    give_back(floats)
    return floats


def volume_scales(
    half: int, particles: ParticleSet, model: HalfModel, projector: Projector, plan: IterationPlan
) -> VolumeScales:
    """Choose scales from the size that the sums of a whole half will probably have.

    Parameters
    ----------
    half : int
        1 or 2.
    particles : ParticleSet
        Of both halves, whatever part of them is summed here.

    Notes
    -----
    A shell s of N slices with evenly spread views leaves N / (2 p^3 s) samples in each voxel, p
    being the padding.  The weight of a sample is CTF^2 / sigma2.  Data are the weight times the
    reference, or noise whose variance is the sum of the weights.
    """
    sigma2 = model.sigma2_noise[:, : plan.current_size // 2 + 1]
    n_groups, n_shells = sigma2.shape
    own = np.flatnonzero(particles.half == half)
    n_particles = np.bincount(particles.noise_group[own], minlength=n_groups)
    density = np.maximum(1, 2 * projector.padding**3 * np.arange(n_shells))
    samples = n_particles[:, None] * _mean_transfer2(own, particles, plan, n_shells) / density
    inverse = np.divide(1.0, sigma2, out=np.zeros_like(sigma2), where=sigma2 > 0)
    factor = np.ones_like(sigma2) if plan.options.no_map else inverse
    weight = (samples * factor).sum(axis=0)
    noise = np.sqrt((samples * factor**2 * sigma2).sum(axis=0))
    if plan.use_correlation:  # the reference may have any greyscale, images are mostly noise
        signal = (samples * factor * np.sqrt(2 * sigma2)).sum(axis=0)
    else:
        signal = weight * _amplitude(projector, plan)
    return _zones(np.maximum(noise, signal), weight, projector.padding)


def _mean_transfer2(
    rows: IntArray, particles: ParticleSet, plan: IterationPlan, n_shells: int
) -> Float:
    """Mean square of the CTF in each shell, from a few particles spread over the half."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _CTF_PARTICLES)).astype(np.int64)]
    total, count = np.zeros(n_shells), np.zeros(n_shells)
    for geometry in plan.geometries:
        shell = np.minimum(geometry.model_shell[geometry.pixels.shell], n_shells - 1)
        for optics in geometry.group_rows:
            chosen = some[particles.optics[some] == optics]
            if not len(chosen):
                continue
            transfer = transfer_function(particles, chosen, plan, geometry)
            if particles.optics_groups[optics].is_premultiplied:  # CTF² already
                transfer = transfer * transfer.mean(axis=0)
            else:
                transfer = transfer**2
            total += np.bincount(shell, transfer.sum(axis=0, dtype=float), n_shells)
            count += np.bincount(shell, None, n_shells) * len(chosen)
    mean: Float = np.divide(total, count, out=np.ones(n_shells), where=count > 0)
    return mean


def _amplitude(projector: Projector, plan: IterationPlan) -> Float:
    """Root mean square of the reference by shell, from a few slices."""
    pixels = fourier_pixels(plan.box, plan.current_size)
    rot, tilt = pixel_angles(np.arange(12), 0)
    rotations = matrix_from_euler(rot, tilt, np.zeros(12)).astype(np.float32)
    slices = np.empty((12, 2 * pixels.n_pixels), np.float32)
    x, y = (projector.padding * np.stack([pixels.x, pixels.y])).astype(np.float32)
    extract_slices(projector.volume, rotations, x, y, slices)
    power = (slices.astype(float) ** 2).mean(axis=0).reshape(2, -1).sum(axis=0)
    n = plan.current_size // 2 + 1
    shell = np.minimum(pixels.shell, n - 1)
    mean = np.bincount(shell, power, n) / np.maximum(np.bincount(shell, minlength=n), 1)
    root: Float = np.sqrt(mean)
    return root


def _zones(data: Float, weight: Float, padding: float) -> VolumeScales:
    """Join neighbouring shells whose expected sums differ little."""
    with np.errstate(divide="ignore"):
        bits = np.maximum(np.log2(np.stack([data, weight])), _NO_DATA)  # (2, n_shells)
    starts = [0]
    low = high = bits[:, 0]
    largest = []
    for shell in range(1, bits.shape[1]):
        new_low, new_high = np.minimum(low, bits[:, shell]), np.maximum(high, bits[:, shell])
        if np.all(new_high - new_low <= _SPREAD_BITS):
            low, high = new_low, new_high
        else:
            largest.append(high)
            starts.append(shell)
            low = high = bits[:, shell]
    largest.append(high)
    top = np.array(largest)  # (n_zones, 2)
    exponent = np.where(top > _NO_DATA, np.clip(_USUAL_BITS - np.ceil(top), -100, 100), 0)
    scale = np.ldexp(1.0, exponent.astype(np.int64)).astype(np.float32)
    limits = ((np.array(starts[1:]) - 0.5) * padding) ** 2
    return VolumeScales(
        limits.astype(np.float32),
        np.ascontiguousarray(scale[:, 0]),
        np.ascontiguousarray(scale[:, 1]),
    )
