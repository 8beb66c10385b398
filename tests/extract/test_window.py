"""Windows of a micrograph and the rule at its edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.extract.window import (
    cut_windows,
    grey_level,
    window_corners,
    windows_off_micrograph,
    windows_over_edge,
)

MICROGRAPH = np.arange(20 * 30, dtype=np.int16).reshape(20, 30)


def test_fractions_of_coordinates_are_cut_towards_zero():
    corners = window_corners(np.array([[10.9, 5.2], [-0.9, -1.9]]), 4)
    np.testing.assert_array_equal(corners, [[8, 3], [-2, -3]])


@given(
    x=st.integers(-4, 33),
    y=st.integers(-4, 23),
    box=st.sampled_from([2, 4, 8, 40]),
)
def test_outside_pixels_take_the_nearest_inside_value(x, y, box):
    corners = window_corners(np.array([[x, y]], dtype=float), box)
    if windows_off_micrograph(corners, box, MICROGRAPH.shape)[0]:
        return
    rows = np.clip(np.arange(box) + y - box // 2, 0, 19)
    columns = np.clip(np.arange(box) + x - box // 2, 0, 29)
    window = cut_windows(MICROGRAPH, corners, box)[0]
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window, MICROGRAPH[np.ix_(rows, columns)])


def test_window_outside_is_refused():
    with pytest.raises(ValueError, match="completely outside"):
        cut_windows(MICROGRAPH, np.array([[30, 0]]), 4)


def test_edge_tests_agree_with_the_number_of_pixels_outside():
    box = 4
    corners = np.array([[-4, 0], [-3, 0], [0, 0], [26, 16], [27, 16], [26, 17], [26, 20]])
    off = windows_off_micrograph(corners, box, MICROGRAPH.shape)
    over = windows_over_edge(corners, box, MICROGRAPH.shape)
    np.testing.assert_array_equal(off, [True, False, False, False, False, False, True])
    np.testing.assert_array_equal(over, [True, True, False, False, True, True, True])


def test_grey_level_is_subtracted_while_cutting():
    corners = np.array([[-2, 3], [28, 18]])
    plain = cut_windows(MICROGRAPH, corners, 8)
    np.testing.assert_array_equal(cut_windows(MICROGRAPH, corners, 8, level=100.0), plain - 100)


def test_grey_level_is_near_the_mean_and_ignores_nan():
    micrograph = np.random.default_rng(1).normal(1000, 10, (640, 640)).astype(np.float32)
    micrograph[:200, :32] = np.nan
    # 400 pixels are used, so that the estimate is good to 0.5
    assert grey_level(micrograph)[0] == pytest.approx(1000, abs=2)


def test_grey_level_of_a_spoilt_micrograph_is_zero():
    assert grey_level(np.full((64, 64), np.nan, dtype=np.float32)) == (0, 0)
