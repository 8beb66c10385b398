import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.parallel.exact import ExactSum

numbers = st.floats(-1e30, 1e30, allow_nan=False).map(lambda x: x if abs(x) > 1e-30 else 0.0)


def total(terms):
    result = ExactSum(1)
    for term in terms:
        result.add(np.array([term]))
    return float(result.value()[0])


@given(st.lists(numbers, max_size=20))
def test_the_sum_is_as_good_as_the_exact_one(terms):
    assert total(terms) == pytest.approx(math.fsum(terms), rel=4e-16, abs=1e-40)


@given(st.lists(numbers, min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_the_terms_does_not_matter(terms, random):
    shuffled = terms.copy()
    random.shuffle(shuffled)
    assert total(shuffled) == total(terms)


def test_sums_made_elsewhere_can_be_added_digit_by_digit():
    rng = np.random.default_rng(1)
    terms = rng.normal(size=(40, 7)) * 10.0 ** rng.integers(-25, 25, (40, 7))
    here, there, all_at_once = ExactSum(7), ExactSum(7), ExactSum(7)
    for k, term in enumerate(terms):
        (here if k % 3 else there).add(term)
        all_at_once.add(term)
    here.digits += there.digits
    assert np.array_equal(here.value(), all_at_once.value())


def test_terms_of_opposite_sign_cancel():
    assert total([1e25, 1.0, -1e25]) == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e60])
def test_what_can_not_be_added_changes_nothing(bad):
    result = ExactSum(2)
    result.add(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="not finite"):
        result.add(np.array([5.0, bad]))
    assert result.value().tolist() == [1.0, 2.0]
