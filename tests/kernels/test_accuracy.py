import numpy as np
import pytest

from aurefine.kernels import accuracy, reference

ANGLES = (25.0, 71.0, -140.0)


@pytest.fixture
def case(random_volume, random_pixels):
    x, y = random_pixels(90, 7)
    weight = np.random.default_rng(1).uniform(0, 1, 90).astype(np.float32)
    weight[0] = 0
    shell = np.floor(np.hypot(x, y) + 0.5).astype(np.int64)
    return random_volume(7), x, y, weight, shell


# thresholds that are passed within the fine, the coarse and none of the steps
@pytest.mark.parametrize("threshold", [0.01, 3.0, 60.0, 1e9])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rotation_error_equals_the_reference(case, threshold, axis):
    volume, x, y, weight, shell = case
    fast, slow = np.zeros((2, 8))
    arguments = volume, *ANGLES, axis, x, y, weight, shell, threshold
    found = accuracy.smallest_rotation_error(*arguments, fast)
    assert found == pytest.approx(reference.smallest_rotation_error(*arguments, slow))
    assert fast == pytest.approx(slow, abs=1e-4)
    assert fast.sum() == pytest.approx(1)


@pytest.mark.parametrize("threshold", [0.01, 3.0, 60.0, 1e9])
def test_offset_error_equals_the_reference(case, threshold):
    volume, x, y, weight, _ = case
    frequency = 2 * np.pi * x.astype(float) / 24
    arguments = volume, *ANGLES, frequency, x, y, weight, threshold
    found = accuracy.smallest_offset_error(*arguments)
    assert found == pytest.approx(reference.smallest_offset_error(*arguments))


def test_search_gives_up_beyond_30_degrees_and_10_pixels(case):
    volume, x, y, weight, shell = case
    nothing = np.zeros_like(weight)
    by_shell = np.zeros(8)
    rotation = accuracy.smallest_rotation_error(
        volume, *ANGLES, 0, x, y, nothing, shell, 4.6, by_shell
    )
    offset = accuracy.smallest_offset_error(volume, *ANGLES, x.astype(float), x, y, nothing, 4.6)
    assert 30 < rotation <= 35
    assert 10 < offset <= 12
    assert not by_shell.any()
