import numpy as np
import pytest

from aurefine.fourier import rfft_images, ring_index
from aurefine.imaging import power_by_ring


def test_power_is_the_mean_over_stored_coefficients():
    transforms = rfft_images(np.random.default_rng(1).normal(size=(3, 12, 12)))
    power = power_by_ring(transforms)
    ring = ring_index(12)
    expected = [(np.abs(transforms[:, ring == s]) ** 2).mean(axis=1) for s in range(7)]
    np.testing.assert_allclose(power, np.transpose(expected))


def test_white_noise_has_a_flat_spectrum_of_its_variance():
    images = np.random.default_rng(1).normal(size=(200, 32, 32)).astype(np.float32)
    power = power_by_ring(rfft_images(images)).mean(axis=0) / 32**2
    # 200 images: relative error 0.1 in the smallest rings
    np.testing.assert_allclose(power, 1, atol=0.3)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="transforms"):
        power_by_ring(np.zeros((12, 7), dtype=complex))
