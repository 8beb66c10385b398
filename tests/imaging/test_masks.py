import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.imaging import (
    apply_circular_mask,
    normalisation_statistics,
    soft_sphere,
    soft_sphere_fill,
)


def test_soft_sphere_is_one_inside_half_in_the_edge_and_zero_outside():
    mask = soft_sphere(32, 6, 4)
    row = mask[16, 16, 16:]
    assert mask.dtype == np.float32
    np.testing.assert_allclose(row[[0, 6, 8, 10, 15]], [1, 1, 0.5, 0, 0], atol=1e-6)


def test_soft_sphere_without_edge_is_binary():
    assert set(np.unique(soft_sphere(16, 5, 0))) == {0, 1}


def test_negative_radius_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        soft_sphere(16, -1, 3)


@given(n=st.integers(4, 16), value=st.floats(-5, 5))
def test_filling_leaves_a_constant_map_alone(n, value):
    filled = soft_sphere_fill(np.full((n, n, n), value), n / 4, 2)
    np.testing.assert_allclose(filled, value, atol=1e-6)


def test_filling_replaces_the_outside_by_its_weighted_mean():
    values = np.random.default_rng(1).normal(size=(20, 20, 20)).astype(np.float32)
    weight = 1 - soft_sphere(20, 5, 3)
    mean = (weight * values).sum() / weight.sum()
    filled = soft_sphere_fill(values, 5, 3)
    assert filled.dtype == np.float32
    assert filled[0, 0, 0] == pytest.approx(mean, abs=1e-6)
    np.testing.assert_array_equal(filled[weight == 0], values[weight == 0])
    np.testing.assert_allclose(filled, values * (1 - weight) + weight * mean, atol=1e-6)


def test_filling_without_an_outside_changes_nothing():
    values = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(soft_sphere_fill(values, 20, 3), values)


def test_images_fade_to_their_own_mean_background():
    images = np.random.default_rng(2).normal(size=(3, 24, 24)).astype(np.float32)
    images += np.arange(3, dtype=np.float32)[:, None, None]
    masked = apply_circular_mask(images, 6, 5)
    assert masked.dtype == np.float32
    np.testing.assert_array_equal(masked[:, 12, 6:19], images[:, 12, 6:19])
    corner = masked[:, 0, 0]
    np.testing.assert_allclose(corner, [0, 1, 2], atol=0.2)
    np.testing.assert_allclose(masked[:, 0], np.broadcast_to(corner[:, None], (3, 24)), atol=1e-6)


def test_images_fade_to_given_noise():
    images = np.zeros((2, 16, 16), dtype=np.float32)
    noise = np.random.default_rng(2).normal(size=images.shape).astype(np.float32)
    masked = apply_circular_mask(images, 4, 2, fill=noise)
    np.testing.assert_array_equal(masked[:, 0], noise[:, 0])
    assert masked[0, 8, 8] == 0


def test_a_mask_larger_than_the_image_leaves_it_unmasked():
    images = np.random.default_rng(2).normal(size=(2, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(apply_circular_mask(images, 30, 5), images)


def test_background_statistics_ignore_the_particle():
    images = np.random.default_rng(3).normal(5.0, 2.0, size=(2, 64, 64))
    images[:, 32, 32] = 1e6
    statistics = normalisation_statistics(images, 20)
    # 2800 background pixels: standard error 0.04
    np.testing.assert_allclose(statistics.mean, 5, atol=0.15)
    np.testing.assert_allclose(statistics.std, 2, atol=0.15)


def test_background_statistics_need_a_background():
    with pytest.raises(ValueError, match="no pixel lies outside"):
        normalisation_statistics(np.zeros((1, 8, 8)), 10)
