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


def _as_printf(value):
    magnitude = abs(value)
    if magnitude < 1e-99:
        return "    0.000000"
    kind = "e" if magnitude < 1e-3 or magnitude > 1e5 else "f"
    return f"{value:12.{5 if value < 0 else 6}{kind}}"[:12]


_near_ties = st.builds(
    lambda digits, power, step: math.nextafter((digits + 0.5) * 10.0**power, step),
    st.integers(-(10**6), 10**6),
    st.integers(-21, 3),
    st.sampled_from([-math.inf, 0.0, math.inf]),
)
_near_powers = st.builds(
    lambda sign, power, below: sign * 10.0**power * (1 - below),
    st.sampled_from([-1, 1]),
    st.integers(-20, 22),
    st.sampled_from([0.0, 2.0**-53, -(2.0**-52), 1e-12, 4e-8, 5e-7]),
)
_usual = st.one_of(
    finite.filter(lambda value: abs(value) < 9e98),
    st.floats(-2e5, 2e5),
    st.floats(-1e-3, 1e-3),
    st.integers(-(10**6), 10**6).map(lambda k: k / 2**6),
    _near_ties,
    _near_powers,
)


@given(st.lists(_usual, min_size=1, max_size=30))
def test_many_numbers_are_formatted_like_each_of_them(values):
    many = np.resize(values, 300)
    expected = [_as_printf(value) for value in many.tolist()]
    assert format_reals(many) == expected
    assert round_like_star(many).tolist() == [float(text) for text in expected]
