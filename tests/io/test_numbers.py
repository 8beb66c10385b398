import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aurefine.errors import StarError
from aurefine.io.numbers import format_real, format_reals, round_like_star

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    "value, text",
    [
        (9571.6027603, " 9571.602760"),
        (-0.311709, "    -0.31171"),
        (1234567.8, "1.234568e+06"),
        (-0.00012345678, "-1.23457e-04"),
        (100000.0, "100000.00000"),
        (99999.999999, "99999.999999"),
        (-100000.0, "-100000.0000"),
        (-99999.999999, "-100000.0000"),
        (0.0, "    0.000000"),
        (0.001, "    0.001000"),
        (0.0009999, "9.999000e-04"),
        (7.7e-8, "7.700000e-08"),
        (1e-99, "1.000000e-99"),
        (1e99, "1.000000e+99"),
        (math.inf, "         inf"),
    ],
)
def test_number_is_written_as_relion_does(value, text):
    assert format_real(value) == text


@pytest.mark.parametrize("value", [1e-120, -1e-120, 5e-324])
def test_number_below_the_smallest_exponent_becomes_zero(value):
    assert float(format_real(value)) == 0.0


@pytest.mark.parametrize(
    "value", [1.234e100, -1.234e100, 9.9999999e99, -9.9999999e99, 1.79769313e308]
)
def test_three_digit_exponent_is_not_cut(value):
    assert float(format_real(value)) == pytest.approx(value, rel=1e-4)


def test_nan_is_refused():
    with pytest.raises(StarError, match="value 2 of 2 is NaN"):
        format_reals([1.0, math.nan])


@given(arrays(np.float64, st.integers(0, 20), elements=finite))
def test_text_has_twelve_characters_and_the_digits_that_fit(values):
    for value, text in zip(values, format_reals(values), strict=True):
        assert len(text) == 12
        assert float(text) == pytest.approx(value, rel=6e-5, abs=6e-6)


@given(arrays(np.float64, st.integers(0, 20), elements=finite))
def test_rounding_twice_changes_nothing(values):
    once = round_like_star(values)
    assert (round_like_star(once) == once).all()


@given(arrays(np.float32, (3, 4), elements=st.floats(width=32, allow_nan=False)))
def test_rounding_keeps_the_shape_and_gives_float64(values):
    rounded = round_like_star(values)
    assert rounded.shape == values.shape
    assert rounded.dtype == np.float64
    assert (np.isinf(rounded) == np.isinf(values)).all()
