"""Maps on exactly the grid that is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.fourier import fourier_resize_map, window_map
from aurefine.maps.matching import match_grid


def _blob(n, pixel_size, width=12.0):
    x = (np.arange(n) - n // 2) * pixel_size
    square = (x[:, None, None] - 20) ** 2 + x[:, None] ** 2 + (x + 10) ** 2
    return np.exp(-square / (2 * width**2))


# the second is the trap: 360 px of 0.885 Å re-extracted with 128 px
@pytest.mark.parametrize("wanted", [4.2, 0.885 * 360 / 128, 1.5, 3.54 * 1.9921875])
def test_a_blob_stays_where_it_is_in_angstrom(wanted):
    box = int(150 / wanted)
    matched = match_grid(_blob(64, 3.54), 3.54, box=box, wanted=wanted)
    np.testing.assert_allclose(matched, _blob(box, wanted), atol=2e-4)


@pytest.mark.parametrize("size", [24, 60])
def test_it_is_fourier_rescaling_where_that_reaches_the_pixel_size(size):
    # without corners beyond Nyquist, which padding drops
    values = fourier_resize_map(np.random.default_rng(1).normal(size=(20,) * 3), 36)
    matched = match_grid(values, 2.0, box=32, wanted=2.0 * 36 / size)
    expected = window_map(fourier_resize_map(values, size), 32)
    np.testing.assert_allclose(matched, expected, atol=1e-10)


@given(n=st.integers(8, 14), box=st.integers(6, 18))
def test_the_same_pixel_size_only_changes_the_box(n, box):
    values = np.random.default_rng(n).normal(size=(n, n, n)).astype(np.float32)
    matched = match_grid(values, 3.0, box=box, wanted=3.0)
    assert matched.dtype == np.float32
    np.testing.assert_allclose(matched, window_map(values, box), atol=1e-5)


def test_outside_the_old_box_is_nothing():
    matched = match_grid(np.ones((8, 8, 8)), 2.0, box=20, wanted=1.9)
    assert not matched[0].any()
    assert not matched[..., -1].any()
    assert matched[10, 10, 10] == pytest.approx(1)
