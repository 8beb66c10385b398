"""Half volumes in plain NumPy: the part of `aurefine.kernels.reference` about voxels.

See that module; the docstrings of the fast kernels give shapes and units.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "add_mirror_images",
    "average_unpadded",
    "blend_by_radius",
    "crop_transform",
    "extract_slices",
    "floor_sums",
    "insert_slices",
    "shell_sums",
    "sums_by_radius",
    "symmetrise_planes",
    "wiener_transform",
    "words_to_floats",
]

Array = npt.NDArray[Any]
Volume = tuple[Array, int]
Scales = tuple[Array, Array, Array]


def extract_slices(
    volume: Volume, rotations: Array, pixel_x: Array, pixel_y: Array, out: Array
) -> None:
    """Sample central slices by trilinear interpolation; see `slices.extract_slices`."""
    flat, edge = volume
    values = _complex(flat.reshape(edge, edge, (edge + 1) // 2, 2))
    found = np.zeros((len(rotations), len(pixel_x)), complex)
    position, is_mirrored = _half_space(_slice_position(rotations, pixel_x, pixel_y))
    for corner, weight in _corners(position, edge // 2):
        found += weight * values[corner]
    found = np.where(is_mirrored, found.conj(), found)
    out[:] = np.concatenate([found.real, found.imag], axis=-1)


def insert_slices(
    volume: Volume,
    scales: Scales,
    rotations: Array,
    pixel_x: Array,
    pixel_y: Array,
    slices: Array,
    first_pixel: int,
    last_pixel: int,
) -> tuple[Array, Array]:
    """Add slices to the sums by the transpose of extraction; see `fixed_point.insert_slices`."""
    flat, edge = volume
    sums = flat.reshape(edge, edge, (edge + 1) // 2, 3)
    by_voxel = _scale_of_voxels(edge, scales)
    own = slice(first_pixel, last_pixel)
    position, is_mirrored = _half_space(_slice_position(rotations, pixel_x[own], pixel_y[own]))
    values = np.moveaxis(slices[..., own], 1, -1).astype(np.float64)  # (n_slices, n_pixels, 3)
    values[..., 1] *= np.where(is_mirrored, -1, 1)
    total = sums.astype(np.int64)
    for corner, weight in _corners(position, edge // 2):
        contribution = weight[..., None] * values * by_voxel[corner]
        np.add.at(total, corner, np.rint(contribution).astype(np.int64))
    sums[:] = total.astype(np.int32)  # the low 32 bits
    carry = ((total - sums) >> 32).ravel()
    index = np.flatnonzero(carry)
    return index, carry[index]


def add_words(words: Array, more: Array) -> tuple[Array, Array]:
    """Add sums in place; see `fixed_point.add_words`."""
    total = words.astype(np.int64) + more
    words[:] = total.astype(np.int32)  # the low 32 bits
    carry = (total - words) >> 32
    index = np.flatnonzero(carry)
    return index, carry[index]


def words_to_floats(
    words: Array, scales: Scales, first_plane: int, last_plane: int, out: Array
) -> None:
    """Divide sums by their scales; see `fixed_point.words_to_floats`."""
    planes = slice(first_plane, last_plane)
    out[planes] = words[planes] / _scale_of_voxels(len(words), scales)[planes]


def _scale_of_voxels(edge: int, scales: Scales) -> Array:
    """Scale of each word of the sums, (edge, edge, (edge + 1) // 2, 3)."""
    limits, data, weight = scales
    x, y, z = _coordinates(edge)
    zone = np.searchsorted(limits, x**2 + y**2 + z**2, side="right")
    by_voxel: Array = np.stack([data[zone], data[zone], weight[zone]], axis=-1).astype(float)
    return by_voxel


def _slice_position(rotations: Array, pixel_x: Array, pixel_y: Array) -> Array:
    """Positions x A[0] + y A[1] as (x, y, z), shape (n_slices, n_pixels, 3)."""
    plane = np.stack([pixel_x, pixel_y], axis=1).astype(np.float64)  # (n_pixels, 2)
    position: Array = plane @ rotations[:, :2].astype(np.float64)
    return position


def _half_space(position: Array) -> tuple[Array, Array]:
    """Map positions to x >= 0, and tell which ones were mirrored."""
    is_mirrored = position[..., 0] < 0
    return np.where(is_mirrored[..., None], -position, position), is_mirrored


def _corners(position: Array, centre: int) -> Iterator[tuple[tuple[Array, Array, Array], Array]]:
    """The 8 voxels around each position as indices (z, y, x), with their weights."""
    lower = np.floor(position).astype(np.int64)
    fraction = position - lower
    for step in product((0, 1), repeat=3):
        weight = np.where(step, fraction, 1 - fraction).prod(axis=-1)
        x, y, z = np.moveaxis(lower + step, -1, 0)
        # a corner without weight may lie outside the volume
        used = weight > 0
        yield (
            (
                np.where(used, z + centre, 0),
                np.where(used, y + centre, 0),
                np.where(used, x, 0),
            ),
            weight,
        )


def _complex(values: Array) -> Array:
    """Complex numbers from real and imaginary parts in the last axis."""
    result: Array = values[..., 0].astype(np.float64) + 1j * values[..., 1]
    return result


def _coordinates(edge: int) -> tuple[Array, Array, Array]:
    """x, y and z of the voxels of a half volume, each (edge, edge, (edge + 1) // 2)."""
    z, y, x = np.split(np.indices((edge, edge, (edge + 1) // 2)), 3)
    return x[0], y[0] - edge // 2, z[0] - edge // 2


def _radius(edge: int) -> Array:
    """Distance of the voxels of a half volume from the origin, (edge, edge, (edge + 1) // 2)."""
    x, y, z = _coordinates(edge)
    return np.asarray(np.sqrt(x**2 + y**2 + z**2))


def _shell(radius: Array, padding: float) -> Array:
    return np.floor(radius / padding + 0.5).astype(np.int64)


def symmetrise_planes(
    sums: Array,
    operators: Array,
    radius: int,
    first_plane: int,
    last_plane: int,
    first_component: int,
    out: Array,
) -> None:
    """Sum over the operators of a point group; see `volume.symmetrise_planes`."""
    edge = len(sums)
    z, y, x = np.nonzero(_radius(edge)[first_plane:last_plane] <= radius)
    z += first_plane
    components = slice(first_component, first_component + out.shape[3])
    out[first_plane:last_plane] = sums[first_plane:last_plane, ..., components]
    voxels = np.stack([x, y - edge // 2, z - edge // 2], axis=1)
    total = np.zeros((len(voxels), 3))
    for operator in operators:
        position, is_mirrored = _half_space(voxels @ operator.T)
        found = np.zeros_like(total)
        for corner, weight in _corners(position, edge // 2):
            found += weight[:, None] * sums[corner]
        found[:, 1] *= np.where(is_mirrored, -1, 1)
        total += found
    out[z, y, x] = total[:, components]


def add_mirror_images(sums: Array, first_plane: int, last_plane: int) -> None:
    """Complete the plane x = 0; see `volume.add_mirror_images`."""
    plane = sums[:, :, 0]
    mirrored = plane[::-1, ::-1] * np.array([1, -1, 1])
    centre = len(plane) // 2
    mirrored[centre, centre] = 0
    mirrored[:first_plane] = 0
    mirrored[last_plane : len(plane) - last_plane] = 0
    mirrored[len(plane) - first_plane :] = 0
    plane += mirrored


def shell_sums(
    sums: Array,
    padding: float,
    radius: int,
    n_shells: int,
    limits: Array,
    first_plane: int,
    last_plane: int,
) -> Array:
    """Count voxels, weights and covered voxels by shell; see `volume.shell_sums`."""
    r = _radius(len(sums))
    shell = _shell(r, padding)
    inside = (r < radius) & (shell < n_shells)
    inside[:first_plane] = inside[last_plane:] = False
    weight = sums[..., 2][inside].astype(np.float64)
    shell = shell[inside]
    terms = np.ones(len(weight)), weight, weight >= limits[shell]
    return np.stack([np.bincount(shell, values, n_shells) for values in terms])


def floor_sums(
    sums: Array,
    padding: float,
    radius: int,
    inverse_prior: Array,
    n_rings: int,
    first_plane: int,
    last_plane: int,
) -> Array:
    """Sum the regularised weight by ring; see `volume.floor_sums`."""
    r = _radius(len(sums))
    ring = np.floor(r / padding).astype(np.int64)
    inside = (r < radius) & (ring < n_rings)
    inside[:first_plane] = inside[last_plane:] = False
    weight = _regularised(sums, padding, inverse_prior)[inside]
    return np.stack([np.bincount(ring[inside], values, n_rings) for values in (None, weight)])


def average_unpadded(
    sums: Array,
    bounds: Array,
    bounds_x: Array,
    lowest: int,
    r_max: int,
    first_plane: int,
    last_plane: int,
    out: Array,
) -> None:
    """Average voxels of the padded grid; see `volume.average_unpadded`."""
    n, n_x = len(bounds) - 1, len(bounds_x) - 1
    sums = sums[bounds[0] : bounds[-1], bounds[0] : bounds[-1], : bounds_x[-1]].astype(np.float64)
    for axis, own in enumerate((bounds, bounds, bounds_x)):
        sums = np.add.reduceat(sums, own[:-1] - own[0], axis=axis)
    axis2 = (np.arange(n) + lowest) ** 2
    inside = axis2[:, None, None] + axis2[:, None] + np.arange(n_x) ** 2 <= r_max**2
    inside &= sums[..., 2] > 0
    inside[:first_plane] = inside[last_plane:] = False
    out[inside] = _complex(sums)[inside] / sums[..., 2][inside]


def _regularised(sums: Array, padding: float, inverse_prior: Array) -> Array:
    shell = np.minimum(_shell(_radius(len(sums)), padding), len(inverse_prior) - 1)
    return np.asarray(sums[..., 2] + inverse_prior[shell])


def wiener_transform(
    sums: Array,
    padding: float,
    radius: int,
    inverse_prior: Array,
    floor: Array,
    first_plane: int,
    last_plane: int,
    out: Array,
) -> None:
    """Divide sums by regularised weights; see `volume.wiener_transform`."""
    edge, n = len(sums), out.shape[1]
    r = _radius(edge)
    ring = np.minimum(np.floor(r / padding).astype(np.int64), len(floor) - 1)
    weight = np.maximum(_regularised(sums, padding, inverse_prior), floor[ring])
    x, y, z = _coordinates(edge)
    keep = (r < radius) & (weight > 0) & (np.abs(y) <= n // 2) & (np.abs(z) <= n // 2)
    keep &= (y != n // 2) & (z != n // 2) & (x < out.shape[2])
    keep[:first_plane] = False
    keep[last_plane:] = False
    x, y, z = x[keep], y[keep], z[keep]
    plane = z + edge // 2 - first_plane
    out[plane, y % n, x] = _centring(x, y, z) * _complex(sums)[keep] / weight[keep]


def crop_transform(
    transform: Array,
    radius: float,
    inner_radius: float,
    scale: float,
    first_plane: int,
    last_plane: int,
    out: Array,
) -> None:
    """Copy the sphere of a centred transform; see `volume.crop_transform`."""
    edge, n = len(out), len(transform)
    r = _radius(edge)
    x, y, z = _coordinates(edge)
    keep = (r <= radius) & (np.abs(y) <= n // 2) & (np.abs(z) <= n // 2) & (x <= n // 2)
    if inner_radius >= 0:
        keep &= r > inner_radius
    values = np.zeros(r.shape, complex)
    x, y, z = x[keep], y[keep], z[keep]
    values[keep] = scale * _centring(x, y, z) * transform[z % n, y % n, x]
    planes = slice(first_plane, last_plane)
    out[planes] = np.stack([values.real, values.imag], axis=-1)[planes]


def _centring(x: Array, y: Array, z: Array) -> Array:
    """Signs that move the origin from the corner of a box to its middle."""
    return 1 - 2 * ((x + y + z) % 2)


def blend_by_radius(
    values: Array,
    factor: float,
    weight: Array,
    other: float,
    divisor: Array,
    first_plane: int,
    last_plane: int,
    out: Array,
    first_voxel: int,
) -> None:
    """Blend voxels with a constant; see `maps.blend_by_radius`."""
    n = len(values)
    r2 = _squared_distance(n)[first_plane:last_plane]
    inner = slice(first_voxel, first_voxel + n)
    planes = slice(first_voxel + first_plane, first_voxel + last_plane)
    own = values[first_plane:last_plane] * factor * (1 - weight[r2]) + weight[r2] * other
    out[planes, inner, inner] = own / divisor[r2]


def sums_by_radius(values: Array, weight: Array, first_plane: int, last_plane: int) -> Array:
    """Sum a weight, and its product with the values; see `maps.sums_by_radius`."""
    w = weight[_squared_distance(len(values))[first_plane:last_plane]].astype(np.float64)
    return np.array([w.sum(), (w * values[first_plane:last_plane]).sum()])


def _squared_distance(n: int) -> Array:
    axis2 = (np.arange(n) - n // 2) ** 2
    return np.asarray(axis2[:, None, None] + axis2[:, None] + axis2)
