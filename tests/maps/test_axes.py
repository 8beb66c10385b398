"""Maps are brought to the axes of their symmetry from any orientation."""

import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler, rotation_angle
from aurefine.geometry.symmetry import point_group
from aurefine.maps.axes import align_to_axes, average_mates, move_map

N, PIXEL = 36, 4.0


def symmetric_map(group, rotation, shift_px):
    """Blobs in all asymmetric units, turned about the centre and then moved."""
    rng = np.random.default_rng(3)
    # unequal blobs well away from the axes, within 45 Å of the centre
    blobs = rng.normal(size=(5, 3))
    blobs *= rng.uniform(22, 45, (5, 1)) / np.linalg.norm(blobs, axis=1, keepdims=True)
    grid = (np.arange(N) - N // 2) * PIXEL
    z, y, x = np.meshgrid(grid, grid, grid, indexing="ij")
    density = np.zeros((N, N, N))
    for blob, weight in zip(blobs, (1.0, 0.8, 1.3, 0.6, 1.1), strict=True):
        for matrix in group.matrices:
            px, py, pz = rotation @ (matrix @ blob) + np.asarray(shift_px) * PIXEL
            density += weight * np.exp(-((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2) / 128)
    return density.astype(np.float32)


@pytest.mark.parametrize(("name", "seed"), [("C3", 1), ("D2", 2), ("I1", 4)])
def test_any_orientation_is_brought_to_the_axes(name, seed):
    group = point_group(name)
    rng = np.random.default_rng(seed)
    turn = matrix_from_euler(*rng.uniform(-180, 180, 3))
    values = symmetric_map(group, turn, rng.uniform(-1.5, 1.5, 3))
    found = align_to_axes(values, PIXEL, group, diameter=120)
    assert found.before < 0.7
    assert found.after > 0.97
    moved = move_map(values, PIXEL, found)
    averaged = average_mates(moved, group)  # would blur blobs that do not coincide
    assert np.corrcoef(moved.ravel(), averaged.ravel())[0, 1] > 0.99


def test_a_map_on_its_axes_stays_as_it_is():
    group = point_group("D2")
    values = symmetric_map(group, np.eye(3), (0, 0, 0))
    found = align_to_axes(values, PIXEL, group, diameter=120)
    assert rotation_angle(found.rotation, np.eye(3)) < 0.3
    assert np.linalg.norm(found.centre) < 0.1 * PIXEL


def test_a_map_without_the_symmetry_is_told_by_its_correlation():
    values = symmetric_map(point_group("C1"), np.eye(3), (0, 0, 0))
    assert align_to_axes(values, PIXEL, point_group("D3"), diameter=120).after < 0.7


def test_averaging_a_symmetric_map_keeps_it():
    group = point_group("D3")
    values = symmetric_map(group, np.eye(3), (0, 0, 0))
    averaged = average_mates(values, group)
    assert np.corrcoef(values.ravel(), averaged.ravel())[0, 1] > 0.9999
