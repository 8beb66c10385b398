"""Background normalisation and dust removal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.extract.normalise import make_background, normalise_images, remove_dust


def _images(n=3, box=32, seed=0):
    return np.random.default_rng(seed).normal(size=(n, box, box)).astype(np.float32)


def _outside(box, radius):
    y, x = np.mgrid[:box, :box] - box // 2
    return x**2 + y**2 > radius**2


@settings(deadline=None)
@given(
    level=st.floats(-50, 50),
    slope=st.floats(-1, 1),
    scale=st.floats(0.01, 100),
    radius=st.integers(0, 14),
)
def test_background_has_mean_zero_deviation_one_and_no_plane(level, slope, scale, radius):
    y, x = np.mgrid[:32, :32]
    images = (scale * (_images() + level + slope * x - 0.3 * slope * y)).astype(np.float32)
    normalise_images(images, make_background(32, radius))
    outside = _outside(32, radius)
    values = images[:, outside].astype(np.float64)
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((values * x[outside]).mean(axis=1), 0, atol=3e-4)


def test_plane_is_the_least_squares_fit_to_the_background():
    images = _images(1)
    expected = images[0].astype(np.float64)
    outside = _outside(32, 10)
    y, x = np.mgrid[:32, :32] - 16
    design = np.stack([np.ones_like(x), x, y], axis=-1).astype(float)
    plane = design @ np.linalg.lstsq(design[outside], expected[outside], rcond=None)[0]
    expected -= plane
    expected /= expected[outside].std()
    normalise_images(images, make_background(32, 10))
    np.testing.assert_allclose(images[0], expected, atol=1e-6)


def test_without_plane_only_the_mean_goes():
    images = _images(1) + np.linspace(0, 5, 32, dtype=np.float32)
    outside = _outside(32, 10)
    values = images[0][outside].astype(np.float64)
    expected = (images[0] - values.mean()) / values.std()
    normalise_images(images, make_background(32, 10), subtract_plane=False)
    np.testing.assert_allclose(images[0], expected, atol=1e-6)


def test_constant_images_become_zero_and_are_reported():
    images = np.full((2, 16, 16), 7.25, dtype=np.float32)
    images[1] = _images(1, 16)[0]
    is_constant = normalise_images(images, make_background(16, 5))
    np.testing.assert_array_equal(is_constant, [True, False])
    np.testing.assert_allclose(images[0], 0, atol=1e-6)


def test_constant_images_keep_their_level_without_plane():
    images = np.full((1, 16, 16), 7.25, dtype=np.float32)
    assert normalise_images(images, make_background(16, 5), subtract_plane=False).all()
    np.testing.assert_array_equal(images, np.float32(7.25))


def test_faint_noise_on_a_high_level_is_not_lost():
    images = _images(1) * np.float32(0.5) + np.float32(20000)
    normalise_images(images, make_background(32, 10))
    assert images[0][_outside(32, 10)].std() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("radius", [-1, 17])
def test_circle_must_fit_into_the_box(radius):
    with pytest.raises(ValueError, match="does not fit into a box of 32 px"):
        make_background(32, radius)


def test_background_must_have_pixels():
    with pytest.raises(ValueError, match="no background pixels"):
        make_background(1, 0)


@pytest.mark.parametrize(("white", "black", "expected"), [(5, -1, 2), (-1, 5, 1), (5, 5, 3)])
def test_dust_is_counted_and_replaced_by_background_noise(white, black, expected):
    images = _images(1)
    dusty = images.copy()
    dusty[0, 3, 4] = dusty[0, 16, 16] = 60
    dusty[0, 5, 6] = -60
    generators = [np.random.default_rng(1)]
    background = make_background(32, 10)
    n = remove_dust(dusty, background, white=white, black=black, generators=generators)
    assert n == expected
    assert (np.abs(dusty) > 30).sum() == 3 - expected
    assert (dusty != images).sum() == 3
