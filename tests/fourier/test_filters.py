import numpy as np
import pytest

from aurefine.fourier import apply_bfactor, highpass_filter, lowpass_filter
from aurefine.fourier.filters import bfactor_profile, lowpass_profile


def test_lowpass_profile_is_one_half_at_the_cut_off_and_two_shells_wide():
    profile = lowpass_profile(64, 2.0, 16.0)  # cut-off at shell 8
    r = np.array([0.0, 6.9, 7.0, 7.5, 8.0, 9.0, 9.1])
    expected = [1, 1, 1, 0.5 + 0.5 * np.cos(np.pi / 4), 0.5, 0, 0]
    np.testing.assert_allclose(profile(r), expected, atol=1e-12)


def test_whole_shell_rounds_the_cut_off():
    exact = lowpass_profile(64, 2.0, 15.2)  # shell 8.42
    rounded = lowpass_profile(64, 2.0, 15.2, whole_shell=True)
    assert rounded(np.array([8.0])) == pytest.approx(0.5)
    assert exact(np.array([64 * 2.0 / 15.2])) == pytest.approx(0.5)


def test_an_edge_of_no_width_is_a_step():
    profile = lowpass_profile(32, 1.0, 4.0, edge_shells=0)
    np.testing.assert_array_equal(profile(np.array([8.0, 8.01])), [1, 0])


def test_bfactor_profile_falls_to_zero_beyond_nyquist():
    profile = bfactor_profile(20, 1.5, 80.0)
    expected = [1, np.exp(-80 / 4 * (10 / 30) ** 2), 0]
    np.testing.assert_allclose(profile(np.array([0.0, 10.0, 10.01])), expected)


@pytest.mark.parametrize("shape, as_images", [((12, 12, 12), False), ((12, 12, 12), True)])
def test_lowpass_and_highpass_add_up_to_the_input(shape, as_images):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    low = lowpass_filter(values, 2.0, 8.0, as_images=as_images)
    high = highpass_filter(values, 2.0, 8.0, as_images=as_images)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low + high, values, atol=2e-6)


def test_a_stack_is_filtered_image_by_image():
    stack = np.random.default_rng(1).normal(size=(3, 10, 10))
    filtered = apply_bfactor(stack, 1.0, 30.0, as_images=True)
    np.testing.assert_allclose(filtered[1], apply_bfactor(stack[1], 1.0, 30.0), atol=1e-12)


def test_filtering_keeps_the_mean_of_a_map():
    values = np.random.default_rng(1).normal(size=(10, 10, 10))
    assert lowpass_filter(values, 1.0, 5.0).mean() == pytest.approx(values.mean())


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="positive pixel size"):
        lowpass_filter(np.zeros((4, 4, 4)), 0.0, 10.0)
    with pytest.raises(ValueError, match="edge width"):
        lowpass_filter(np.zeros((4, 4, 4)), 1.0, 10.0, -1)
    with pytest.raises(ValueError, match="positive pixel size"):
        apply_bfactor(np.zeros((4, 4, 4)), -1.0, 10.0)
    with pytest.raises(ValueError, match="not a cubic map"):
        lowpass_filter(np.zeros((3, 4, 4)), 1.0, 10.0)
    with pytest.raises(ValueError, match="not a square"):
        lowpass_filter(np.zeros((4, 5)), 1.0, 10.0)
