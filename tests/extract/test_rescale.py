"""Fourier crop and pad of particle images."""

import numpy as np
import pytest

from aurefine.extract.rescale import rescale_images


def _images(n, box, seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, box, box)) + mean).astype(np.float32)


@pytest.mark.parametrize("size", [12, 20, 40])
def test_rescaling_is_numpys_crop_of_the_double_precision_transform(size):
    images = _images(3, 32)
    half, kept = size // 2, min(size, 32) // 2
    transform = np.fft.rfft2(images.astype(np.float64))
    frequency = np.fft.fftfreq(32, 1 / 32)
    frequency[16] = 16  # the Nyquist row counts as positive
    expected = np.zeros((3, size, half + 1), dtype=complex)
    for row, fy in enumerate(frequency.astype(int)):
        for fx in range(kept + 1):
            if not -kept < fy <= kept or (size > 32 and fy**2 + fx**2 > 16**2):
                continue
            expected[:, fy % size, fx] = transform[:, row, fx]
    expected = np.fft.irfft2(expected, s=(size, size)) * (size / 32) ** 2
    rescaled = rescale_images(images, size)
    assert rescaled.dtype == np.float32
    np.testing.assert_allclose(rescaled, expected, atol=2e-6)


@pytest.mark.parametrize("size", [24, 48])
def test_grey_levels_and_the_box_centre_stay(size):
    y, x = np.mgrid[:36, :36] - 18
    blob = 5000 + np.exp(-(x**2 + y**2) / 40)[None].astype(np.float32)
    rescaled = rescale_images(blob.astype(np.float32), size)[0]
    assert rescaled.mean() == pytest.approx(blob.mean(), rel=1e-6)
    assert np.unravel_index(rescaled.argmax(), rescaled.shape) == (size // 2, size // 2)


def test_single_precision_serves_a_high_grey_level():
    images = _images(2, 36)
    high = rescale_images((images + np.float32(4096)).astype(np.float32), 24)
    # adding 4096 rounds the input to 2**-11 / 2
    np.testing.assert_allclose(high - 4096, rescale_images(images, 24), atol=6e-4)


def test_constant_images_stay_exactly_constant():
    images = np.full((1, 36, 36), 3.3, dtype=np.float32)
    np.testing.assert_array_equal(rescale_images(images, 24), np.float32(3.3))


def test_equal_size_changes_nothing():
    images = _images(2, 10)
    np.testing.assert_array_equal(rescale_images(images, 10), images)


def test_odd_boxes_are_refused():
    with pytest.raises(ValueError, match="even"):
        rescale_images(_images(1, 10), 7)
