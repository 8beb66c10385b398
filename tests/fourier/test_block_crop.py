import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.fourier import fourier_resize_images
from aurefine.fourier.block_crop import BlockCrop


def _images(n_images, box, seed=1):
    return np.random.default_rng(seed).normal(size=(n_images, box, box)).astype(np.float32)


@given(half=st.integers(1, 40), more=st.integers(1, 40))
def test_products_give_what_transforms_in_double_precision_give(half, more):
    images = _images(2, 2 * (half + more))
    expected = fourier_resize_images(images.astype(np.float64), 2 * half)
    cropped = BlockCrop(2, 2 * (half + more), 2 * half)(images)
    assert cropped.dtype == np.float32
    np.testing.assert_allclose(cropped, expected, atol=4e-6)


@pytest.mark.parametrize(("box", "size"), [(360, 256), (360, 90), (512, 256), (362, 254)])
def test_large_boxes_are_cropped_to_single_precision(box, size):
    images = _images(1, box)
    expected = fourier_resize_images(images.astype(np.float64), size)
    error = np.std(BlockCrop(1, box, size)(images) - expected) / np.std(expected)
    assert error < 1e-6


def test_the_sine_of_the_new_nyquist_frequency_is_kept():
    n, m = 12, 8
    wave = np.sin(np.pi * m / n * np.arange(n))
    image = np.outer(wave, wave).astype(np.float32)
    cropped = BlockCrop(1, n, m)(image[None])[0]
    np.testing.assert_allclose(cropped, fourier_resize_images(image, m), atol=1e-6)
    assert np.abs(cropped).max() > 0.2


def test_windows_of_a_picture_need_no_copy():
    picture = _images(1, 40)[0]
    windows = [picture[3:23, 5:25], picture[20:40, :20]]
    crop = BlockCrop(2, 20, 8)
    expected = crop(np.stack(windows)).copy()
    np.testing.assert_array_equal(crop(windows), expected)


def test_a_level_is_subtracted():
    images = _images(2, 20)
    crop = BlockCrop(2, 20, 8)
    expected = crop(images) - np.float32(1.5)
    np.testing.assert_array_equal(crop(images, level=1.5), expected)


def test_the_memory_serves_smaller_batches_and_other_images():
    crop = BlockCrop(3, 10, 6)
    for n_images in (3, 2):
        images = _images(n_images, 10, seed=n_images)
        np.testing.assert_array_equal(crop(images), BlockCrop(n_images, 10, 6)(images))


@pytest.mark.parametrize(("box", "size"), [(9, 4), (8, 3), (8, 8), (8, 0)])
def test_only_smaller_even_boxes_can_be_cropped_to(box, size):
    with pytest.raises(ValueError, match="smaller even size"):
        BlockCrop(1, box, size)
