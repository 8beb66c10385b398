import numpy as np
import pytest

from aurefine.imaging import background_weight
from aurefine.kernels import images as fast
from aurefine.kernels import reference
from aurefine.refine.pixels import fourier_pixels


def masked_images(kernel, n, n_images, fill, shift=(0, 0), radius=None):
    rng = np.random.default_rng(0)
    raw = rng.normal(1, 1, (n_images, n, n)).astype(np.float32)
    factors = rng.uniform(0.5, 2, n_images).astype(np.float32)
    background = background_weight(n, 2, n / 4 if radius is None else radius, 2)
    shift_x, shift_y = (np.full(n_images, s, np.int64) for s in shift)
    shifted, masked = np.full((2, n_images, n, n), np.nan, np.float32)
    kernel(raw, factors, shift_x, shift_y, background, fill, shifted, masked)
    return shifted, masked


@pytest.mark.parametrize("n", [2, 16, 30])
@pytest.mark.parametrize("n_images", [0, 1, 3])
@pytest.mark.parametrize("shift", [(0, 0), (1, -1), (-5, 0), (0, 40), (-40, 2)])
@pytest.mark.parametrize("has_fill", [False, True])
def test_masked_images_equal_the_reference(n, n_images, shift, has_fill):
    shape = (n_images, n, n) if has_fill else (0, 0, 0)
    fill = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = masked_images(fast.shift_and_mask, n, n_images, fill, shift)
    expected = masked_images(reference.shift_and_mask, n, n_images, fill, shift)
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b).max(initial=0) < 1e-5


def test_a_mask_larger_than_the_box_changes_nothing():
    fill = np.empty((0, 0, 0), np.float32)
    shifted, masked = masked_images(fast.shift_and_mask, 16, 2, fill, radius=100)
    assert np.array_equal(shifted, masked)


def test_the_background_becomes_its_mean():
    fill = np.empty((0, 0, 0), np.float32)
    shifted, masked = masked_images(fast.shift_and_mask, 16, 2, fill)
    outside = background_weight(16, 2, 4, 2) == 1
    assert np.ptp(masked[:, outside], axis=1) == pytest.approx(0, abs=1e-6)
    inside = background_weight(16, 2, 4, 2) == 0
    assert np.array_equal(shifted[:, inside], masked[:, inside])


def test_a_shift_moves_towards_larger_indices():
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 3, 2] = 1
    shifted, masked = np.empty((2, 1, 8, 8), np.float32)
    fast.shift_and_mask(
        image,
        np.ones(1, np.float32),
        np.array([3]),
        np.array([1]),
        np.zeros((8, 8), np.float32),
        np.empty((0, 0, 0), np.float32),
        shifted,
        masked,
    )
    assert np.argwhere(shifted[0]).tolist() == [[4, 5]]


@pytest.fixture
def transforms():
    rng = np.random.default_rng(2)
    return (rng.normal(size=(3, 40)) + 1j * rng.normal(size=(3, 40))).astype(np.complex64)


@pytest.mark.parametrize("n_pixels", [0, 1, 33])
@pytest.mark.parametrize("n_images", [0, 1, 3])
def test_gathered_pixels_equal_the_reference(transforms, n_images, n_pixels):
    rng = np.random.default_rng(3)
    index = rng.integers(0, 40, n_pixels)
    scale = np.exp(1j * rng.uniform(-3, 3, n_pixels)).astype(np.complex64)
    found, expected = np.empty((2, n_images, 2, n_pixels), np.float32)
    fast.gather_pixels(transforms[:n_images], index, scale, found)
    reference.gather_pixels(transforms[:n_images], index, scale, expected)
    assert np.abs(found - expected).max(initial=0) < 1e-6


@pytest.mark.parametrize("n_images", [0, 1, 3])
@pytest.mark.parametrize("box, size", [(8, 8), (14, 10), (32, 2)])
def test_shifted_transforms_equal_the_reference(n_images, box, size):
    rng = np.random.default_rng(5)
    pixels = fourier_pixels(box, size)
    images = rng.normal(size=(n_images, 2, pixels.n_pixels)).astype(np.float32)
    expected = images.copy()
    shifts = rng.uniform(-0.7, 0.7, (n_images, 2))
    fast.shift_transforms(images, pixels.x, pixels.y, shifts, box)
    reference.shift_transforms(expected, pixels.x, pixels.y, shifts, box)
    assert np.abs(images - expected).max(initial=0) < 2e-6


@pytest.mark.parametrize("n_images", [0, 1, 3])
def test_ring_power_equals_the_reference(transforms, n_images):
    ring = np.random.default_rng(4).integers(-1, 6, 40)
    found, expected = np.full((2, n_images, 7), np.nan)
    fast.ring_power(transforms[:n_images], ring, 0.3, found)
    reference.ring_power(transforms[:n_images], ring, 0.3, expected)
    assert found == pytest.approx(expected, rel=1e-6)
