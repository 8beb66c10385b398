import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.fourier import (
    hermitian_weight,
    radius_squared,
    ring_index,
    shell_index,
    sum_by_shell,
)


@pytest.mark.parametrize("n", [2, 5, 8, 17])
def test_shell_is_the_rounded_length_of_the_frequency_index(n):
    full = np.rint(np.fft.fftfreq(n) * n)
    half = np.arange(n // 2 + 1)
    r = np.sqrt(full[:, None, None] ** 2 + full[None, :, None] ** 2 + half**2)
    np.testing.assert_array_equal(shell_index(n), np.floor(r + 0.5))


def test_ring_index_is_the_central_plane_of_the_shell_index():
    np.testing.assert_array_equal(ring_index(14), shell_index(14)[0])


def test_radius_squared_needs_images_or_maps():
    with pytest.raises(ValueError, match="2 or 3"):
        radius_squared(8, ndim=1)


@given(n=st.integers(2, 13), ndim=st.sampled_from([2, 3]))
def test_hermitian_weights_count_every_coefficient_of_the_full_transform(n, ndim):
    assert hermitian_weight(n, ndim).sum() == n**ndim


@given(n=st.integers(2, 12), seed=st.integers(0, 2**20))
def test_shell_sums_agree_with_the_full_transform(n, seed):
    values = np.random.default_rng(seed).normal(size=(n, n, n)).astype(np.float32)
    half = np.abs(np.fft.rfftn(values)) ** 2
    full = np.abs(np.fft.fftn(values)) ** 2
    k = np.rint(np.fft.fftfreq(n) * n)
    r = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2)
    shell = np.floor(r + 0.5).astype(int)
    expected = np.bincount(shell.ravel(), full.ravel())[: n // 2 + 1]
    np.testing.assert_allclose(sum_by_shell(half), expected, rtol=1e-6)


def test_shell_sums_as_stored_count_every_coefficient_once():
    counts = sum_by_shell(np.ones((8, 8, 5), dtype=np.float32), hermitian=False)
    np.testing.assert_array_equal(counts, np.bincount(shell_index(8).ravel())[:5])
