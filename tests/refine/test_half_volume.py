from pathlib import Path

import numpy as np
import pytest

from aurefine.refine import half_volume
from aurefine.refine.half_volume import (
    give_back,
    half_volume_voxels,
    occupied_voxels,
    row_reach,
    zero_half_volume,
)

RADIUS = 100


@pytest.fixture
def sparse(monkeypatch):
    monkeypatch.setattr(half_volume, "_SMALL", 0)


def resident(volume):
    """Resident bytes of the mappings that hold a volume."""
    address, total, is_inside = volume.ctypes.data, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        word = line.split()[0]
        if not word.endswith(":"):
            first, last = (int(part, 16) for part in word.split("-"))
            is_inside = first < address + volume.nbytes and last > address
        elif is_inside and word == "Rss:":
            total += 1024 * int(line.split()[1])
    return total


def sphere(radius):
    edge = 2 * (radius + 1) + 1
    axis2 = (np.arange(edge) - edge // 2) ** 2
    return axis2[:, None, None] + axis2[None, :, None] + np.arange(radius + 2) ** 2


def test_a_sphere_with_its_margin_lies_in_the_rows_of_the_reach():
    edge = 2 * (RADIUS + 1) + 1
    inside = sphere(RADIUS) <= (RADIUS + 3**0.5) ** 2
    z, y = np.nonzero(inside.any(axis=2))
    assert np.all(np.abs(y - edge // 2) <= row_reach(edge)[z])


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_corners_take_no_memory(sparse, n_components):
    volume = zero_half_volume(RADIUS, n_components, np.float32)
    before = resident(volume)
    volume[:] = 1
    full = resident(volume) - before
    outside = np.abs(np.arange(len(volume)) - len(volume) // 2) > row_reach(len(volume))[:, None]
    volume[outside] = 0
    give_back(volume)
    share = (resident(volume) - before) / full
    assert share == pytest.approx(occupied_voxels(RADIUS) / half_volume_voxels(RADIUS), abs=0.03)
    assert np.array_equal(
        volume[..., 0] == 1, np.broadcast_to(~outside[..., None], volume.shape[:3])
    )


def test_small_volumes_are_plain_arrays():
    volume = zero_half_volume(10, 3, np.int32)
    assert volume.shape == (23, 23, 12, 3)
    assert volume.flags.owndata or volume.base is None
    assert occupied_voxels(10) == half_volume_voxels(10) == 23 * 23 * 12


def test_a_large_volume_saves_a_fifth():
    share = occupied_voxels(256) / half_volume_voxels(256)
    assert 0.78 < share < 0.82
