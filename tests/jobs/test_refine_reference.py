"""Maps that a refinement starts from: symmetry, size, mask."""

from functools import cache

import numpy as np
import pytest

from aurefine.errors import MrcError
from aurefine.geometry.symmetry import point_group
from aurefine.io import read_map, write_map
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.refine_reference import load_mask, load_references, symmetry_correlation

GROUPS = ["C2", "C4", "C7", "D2", "D3", "D4", "T", "O", "I", "I1", "I2", "I3", "I4"]
PIXEL = 4.0


@cache
def blobs(name, box=48, radius=14):
    """Map, not to be changed, of a ball at a general position and all its symmetry mates."""
    direction = np.array([0.3, 0.45, 0.84])
    centres = radius * point_group(name).matrices @ (direction / np.linalg.norm(direction))
    grid = np.mgrid[:box, :box, :box] - box // 2
    density = np.zeros((box, box, box), np.float32)
    for x, y, z in centres:
        distance2 = (grid[0] - z) ** 2 + (grid[1] - y) ** 2 + (grid[2] - x) ** 2
        density += np.exp(-distance2 / (2 * 2.5**2)).astype(np.float32)
    density.flags.writeable = False
    return density


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("resolution", [20, 50])
def test_a_symmetric_map_correlates_with_its_mates(name, resolution):
    matrices = point_group(name).matrices
    assert symmetry_correlation(blobs(name), PIXEL, matrices, resolution) > 0.95


@pytest.mark.parametrize(
    ("made", "asked"), [("C1", "C2"), ("C2", "D2"), ("D2", "D4"), ("D2", "T"), ("T", "O"),
                        ("O", "I"), ("I1", "I2"), ("I3", "I4"), ("C3", "C2")]
)  # fmt: skip
def test_another_symmetry_is_told_apart(made, asked):
    matrices = point_group(asked).matrices
    assert symmetry_correlation(blobs(made), PIXEL, matrices, 40) < 0.6


def test_a_larger_box_gives_the_same_answer():
    for made, low, high in (("D2", 0.95, 1.0), ("C2", -1.0, 0.6)):
        density = np.kron(blobs(made), np.ones((3, 3, 3), np.float32))  # 144 px
        matrices = point_group("D2").matrices
        assert low < symmetry_correlation(density, PIXEL / 3, matrices, 30) <= high


def test_a_ball_has_every_symmetry():
    axis = np.arange(48) - 24.0
    distance2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    ball = np.exp(-distance2 / 50).astype(np.float32)
    assert symmetry_correlation(ball, PIXEL, point_group("O").matrices, 40) > 0.99


def test_noise_does_not_hide_a_symmetry():
    rng = np.random.default_rng(0)
    density = blobs("D3") + rng.normal(scale=0.5, size=(48,) * 3).astype(np.float32)
    assert symmetry_correlation(density, PIXEL, point_group("D3").matrices, 40) > 0.8


def test_the_reference_of_the_small_set_is_d2(shared_data):
    density, pixel_size = read_map(shared_data / "d2-small/reference.mrc")
    matrices = point_group("D2").matrices
    assert symmetry_correlation(density, pixel_size, matrices, 50) > 0.95


def settings(path, **more):
    return RunSettings(output_root="run", reference=str(path), **more)


def test_each_half_may_have_its_own_reference(tmp_path):
    first, second = blobs("C1"), blobs("C2")
    write_map(tmp_path / "ref_half1.mrc", first, PIXEL)
    write_map(tmp_path / "ref_half2.mrc", second, PIXEL)
    for name in ("ref_half1.mrc", "ref_half2.mrc"):
        maps = load_references(settings(tmp_path / name), 48, PIXEL, pytest.fail)
        assert np.array_equal(maps[0], first)
        assert np.array_equal(maps[1], second)


def test_a_wrong_header_can_be_overruled(tmp_path):
    write_map(tmp_path / "ref.mrc", blobs("C1"), 1.0)
    with pytest.raises(MrcError, match="--rescale_ref"):
        load_references(settings(tmp_path / "ref.mrc"), 48, PIXEL, pytest.fail)
    told = settings(tmp_path / "ref.mrc", reference_pixel_size=PIXEL)
    assert load_references(told, 48, PIXEL, pytest.fail)[0].shape == (48, 48, 48)


def test_a_reference_with_an_odd_box_can_be_rescaled(tmp_path):
    write_map(tmp_path / "ref.mrc", blobs("C1", box=49), PIXEL)
    messages = []
    trusting = settings(tmp_path / "ref.mrc", trust_reference_size=True)
    maps = load_references(trusting, 48, PIXEL, messages.append)
    assert maps[0].shape == (48, 48, 48)
    assert "rescaled" in messages[0]


def test_a_trusted_reference_of_the_same_box_is_taken_as_it_is(tmp_path):
    write_map(tmp_path / "ref.mrc", blobs("C1"), 1.01 * PIXEL)
    messages = []
    trusting = settings(tmp_path / "ref.mrc", trust_reference_size=True)
    maps = load_references(trusting, 48, PIXEL, messages.append)
    np.testing.assert_array_equal(maps[0], blobs("C1"))
    assert "as it is" in messages[0]


def test_a_mask_is_clipped_with_a_message(tmp_path):
    write_map(tmp_path / "mask.mrc", 2 * blobs("C1") - 0.1, PIXEL)
    messages = []
    mask = load_mask(str(tmp_path / "mask.mrc"), 48, PIXEL, messages.append)
    assert mask.min() == 0
    assert mask.max() == 1
    assert "clipped" in messages[0]


def test_no_mask_is_none():
    assert load_mask("", 48, PIXEL, pytest.fail) is None


def test_box_with_a_sphere_that_meets_no_voxel():
    assert symmetry_correlation(blobs("D2", box=90), PIXEL, point_group("D2").matrices, 40) > 0.95
