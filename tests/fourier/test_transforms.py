import numpy as np
import pytest

from aurefine.fourier import (
    centred_irfft_images,
    centred_irfft_map,
    centred_rfft_images,
    centred_rfft_map,
    irfft_images,
    irfft_map,
    rfft_images,
    rfft_map,
)

PAIRS = [
    (rfft_map, irfft_map, (8, 8, 8)),
    (centred_rfft_map, centred_irfft_map, (7, 7, 7)),
    (rfft_images, irfft_images, (3, 10, 10)),
    (centred_rfft_images, centred_irfft_images, (3, 9, 9)),
]


@pytest.mark.parametrize("forward, inverse, shape", PAIRS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_inverse_restores_values_and_dtype(forward, inverse, shape, dtype, tolerance):
    values = np.random.default_rng(2).normal(size=shape).astype(dtype)
    restored = inverse(forward(values, workers=1), shape[-1])
    assert restored.dtype == dtype
    np.testing.assert_allclose(restored, values, atol=10 * tolerance)


@pytest.mark.parametrize("n", [6, 7])
def test_a_point_at_the_origin_has_a_flat_transform_without_phase(n):
    point = np.zeros((n, n, n), dtype=np.float32)
    point[n // 2, n // 2, n // 2] = 1
    np.testing.assert_allclose(centred_rfft_map(point), 1, atol=1e-6)
    np.testing.assert_allclose(centred_rfft_images(point[n // 2]), 1, atol=1e-6)
