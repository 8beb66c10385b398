"""Random inputs for kernels."""

import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler


@pytest.fixture
def random_rotations():
    """Function (n, seed) -> float32 rotation matrices, shape (n, 3, 3)."""

    def make(n, seed=0):
        rng = np.random.default_rng(seed)
        rot, psi = rng.uniform(-180, 180, (2, n))
        tilt = np.rad2deg(np.arccos(rng.uniform(-1, 1, n)))
        return matrix_from_euler(rot, tilt, psi).astype(np.float32).reshape(n, 3, 3)

    return make


@pytest.fixture
def random_volume():
    """Function (radius, seed, channels) -> (flat float32 volume, edge); zero beyond the radius."""

    def make(radius, seed=0, channels=2):
        rng = np.random.default_rng(seed)
        edge = 2 * (radius + 1) + 1
        values = rng.normal(size=(edge, edge, radius + 2, channels)).astype(np.float32)
        axis = np.arange(edge) - edge // 2
        x = np.arange(radius + 2)
        r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + x**2
        values[r2 > radius**2] = 0
        return values.reshape(-1), edge

    return make


@pytest.fixture
def random_pixels():
    """Function (n, radius, seed) -> float32 coordinates within a disc, the first one DC."""

    def make(n, radius, seed=0):
        rng = np.random.default_rng(seed)
        r = radius * np.sqrt(rng.random(n))
        angle = rng.uniform(-np.pi / 2, np.pi / 2, n)
        x, y = r * np.cos(angle), r * np.sin(angle)
        if n:
            x[0] = y[0] = 0
        return x.astype(np.float32), y.astype(np.float32)

    return make
