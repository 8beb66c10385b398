import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.fourier import (
    fourier_resize_images,
    fourier_resize_map,
    lowpass_filter,
    window_images,
    window_map,
)


def _random_map(n, dtype=np.float32, seed=3):
    return np.random.default_rng(seed).normal(size=(n, n, n)).astype(dtype)


@given(n=st.integers(2, 10), larger=st.integers(0, 7))
def test_padding_and_cropping_back_restores_a_band_limited_map(n, larger):
    values = _random_map(n, np.float64)
    smooth = lowpass_filter(values, 1.0, 2.0 * n / max(n - 3, 0.5), edge_shells=0)
    restored = fourier_resize_map(fourier_resize_map(smooth, n + larger), n)
    np.testing.assert_allclose(restored, smooth, atol=1e-12)


@given(n=st.integers(2, 9), new=st.integers(2, 16))
def test_a_constant_map_keeps_its_value_and_dtype(n, new):
    resized = fourier_resize_map(np.full((n, n, n), 2.5, dtype=np.float32), new)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, 2.5, rtol=1e-5)


def test_index_zero_stays_in_place_when_pixels_get_finer():
    n, new = 8, 16
    phase = 2 * np.pi * np.arange(n) / n
    wave = np.broadcast_to(np.cos(2 * phase), (n, n, n))
    fine = np.cos(4 * np.pi * np.arange(new) / new)
    np.testing.assert_allclose(fourier_resize_map(wave, new)[3, 5], fine, atol=1e-12)


def test_the_origin_of_an_even_map_stays_the_origin():
    n = 12
    axis2 = (np.arange(n) - n // 2) ** 2
    blob = np.exp(-(axis2[:, None, None] + axis2[None, :, None] + axis2) / 8.0)
    for new in (8, 20):
        peak = np.unravel_index(fourier_resize_map(blob, new).argmax(), (new,) * 3)
        assert peak == (new // 2,) * 3


def test_a_stack_is_resized_image_by_image():
    stack = _random_map(10)[:4]
    for new in (6, 10, 15):
        resized = fourier_resize_images(stack, new)
        assert resized.shape == (4, new, new)
        np.testing.assert_allclose(resized[2], fourier_resize_images(stack[2], new), atol=1e-6)


def test_resize_rejects_an_empty_box():
    with pytest.raises(ValueError, match="box size"):
        fourier_resize_map(_random_map(4), 0)


@given(n=st.integers(2, 11), larger=st.integers(0, 8))
def test_window_out_and_back_restores_the_map(n, larger):
    values = _random_map(n)
    np.testing.assert_array_equal(window_map(window_map(values, n + larger), n), values)


@given(n=st.integers(2, 11), new=st.integers(2, 20))
def test_window_keeps_the_origin_and_fills_the_outside(n, new):
    values = np.ones((n, n, n), dtype=np.float32)
    values[n // 2, n // 2, n // 2] = 7
    windowed = window_map(values, new, fill=-1.0)
    assert windowed[new // 2, new // 2, new // 2] == 7
    assert np.count_nonzero(windowed != -1) == min(n, new) ** 3


def test_images_can_be_windowed_to_a_rectangle():
    stack = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    windowed = window_images(stack, (2, 6))
    assert windowed.shape == (2, 2, 6)
    np.testing.assert_array_equal(windowed[1, :, 1:5], stack[1, 1:3])


def test_images_can_be_windowed_about_another_pixel():
    images = _random_map(8)[:2]
    np.testing.assert_array_equal(window_images(images, 4, centre=5), images[:, 3:7, 3:7])
    padded = window_images(images, 12, centre=3)
    np.testing.assert_array_equal(padded[:, 3:11, 3:11], images)
    assert np.count_nonzero(padded) == np.count_nonzero(images)
    assert not window_images(images, 4, centre=30).any()
