"""Directions turned in the plane of the image."""

import numpy as np
import pytest

from aurefine.geometry.sampling import (
    child_pixels,
    oversampled_psi,
    oversampled_rotations,
    perturbation_rotation,
    psi_angles,
    upright_rotations,
)
from aurefine.kernels.rotations import turn_in_plane

ORDER, STEP = 2, 15.0


@pytest.mark.parametrize("oversampling", [0, 1, 2])
def test_turned_directions_are_the_children_of_orientations(oversampling):
    rng = np.random.default_rng(oversampling)
    pixels, psi = rng.integers(0, 192, 20), psi_angles(STEP)
    direction, angle = rng.integers(0, 20, 50), rng.integers(0, len(psi), 50)
    perturbation = perturbation_rotation(0.3, STEP)
    upright = upright_rotations(
        child_pixels(pixels, oversampling), ORDER + oversampling, perturbation
    )
    angles = np.deg2rad(oversampled_psi(psi, STEP, oversampling))
    found = np.empty((50, 8**oversampling, 3, 3), np.float32)
    turn_in_plane(upright, direction, angle, np.cos(angles), np.sin(angles), found)
    expected = oversampled_rotations(
        pixels[direction], psi[angle], ORDER, STEP, oversampling, perturbation
    )
    assert np.array_equal(found, expected.astype(np.float32))


def test_nothing_is_turned():
    found = np.empty((0, 1, 3, 3), np.float32)
    none = np.empty(0, np.int64)
    turn_in_plane(np.empty((0, 1, 3, 3)), none, none, np.ones((1, 1)), np.zeros((1, 1)), found)
    assert found.size == 0
