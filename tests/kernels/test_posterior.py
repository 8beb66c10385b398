import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aurefine.kernels import posterior, reference

FRACTION = 0.999


@settings(deadline=None)
@given(
    values=hnp.arrays(np.float32, st.integers(1, 1100), elements=st.floats(-200, 0, width=32)),
    maximum=st.floats(-1, 50, width=32),
)
def test_exponential_is_accurate_to_a_millionth(values, maximum):
    fast = values.copy()
    posterior.exponentiate(fast, np.float32(maximum))
    x = (values - np.float32(maximum)).astype(np.float64)
    exact = np.exp(x)
    # close to the cut at exp(-80) either answer is right
    kept = x > -79.99
    assert np.allclose(fast[kept], exact[kept], rtol=1e-6, atol=0)
    assert not fast[x < -80.01].any()


def test_exponential_of_the_maximum_is_one():
    values = np.array([-3.25, 7.5, 7.25], np.float32)
    posterior.exponentiate(values, np.float32(7.5))
    assert values[1] == 1


# whole numbers times a power of two: every sum is exact, so that ties cannot depend on the order
exact_weights = st.builds(
    lambda numbers, power: np.array(numbers, np.float32) * np.float32(2.0**power),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1 << 20)), min_size=1, max_size=300),
    st.integers(-60, 20),
)


@settings(deadline=None, max_examples=300)
@given(
    weights=exact_weights,
    fraction=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.999, 1.0]),
    max_points=st.sampled_from([-1, 0, 1, 2, 7, 299, 300]),
)
def test_threshold_equals_the_sorted_definition(weights, fraction, max_points):
    found = posterior.significance_threshold(weights, fraction, max_points)
    assert found == reference.significance_threshold(weights, fraction, max_points)


@pytest.mark.parametrize("n", [1, 2, 513, 20_000])
def test_threshold_of_a_broad_posterior_equals_the_sorted_definition(n):
    weights = np.exp(-np.random.default_rng(n).exponential(12, n)).astype(np.float32)
    fast, total = posterior.significance_threshold(weights, FRACTION, -1)
    slow, expected = reference.significance_threshold(weights, FRACTION, -1)
    assert fast == slow
    assert total == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("fraction", [0.0, 0.9, 1.0])
def test_threshold_far_below_the_largest_weight_equals_the_sorted_definition(fraction):
    """Weights that are told apart by sorting only, as they share a bin."""
    small = np.float32(2.0) ** np.arange(-70, -30, dtype=np.float32)
    weights = np.concatenate([small, np.float32([0.0, 2.0**-20])])
    for largest in (0.0, 1.0, 2.0**-24):  # the second makes all others small
        some = np.append(weights, np.float32(largest))
        fast, total = posterior.significance_threshold(some, fraction, len(some) - 5)
        slow, expected = reference.significance_threshold(some, fraction, len(some) - 5)
        assert fast == slow
        assert total == pytest.approx(expected, rel=1e-12)


def test_there_may_be_no_weights():
    threshold, total = posterior.significance_threshold(np.zeros(0, np.float32), FRACTION, -1)
    assert threshold > 0
    assert total == 0


def test_threshold_without_any_weight_selects_nothing():
    weights = np.zeros(5, np.float32)
    threshold, total = posterior.significance_threshold(weights, FRACTION, -1)
    assert (total, (weights >= threshold).sum()) == (0, 0)


@pytest.mark.parametrize("max_points", [-1, 1, 10])
@pytest.mark.parametrize("n_particles, n_points", [(1, 1), (3, 700)])
def test_significant_points_equal_the_reference(n_particles, n_points, max_points):
    rng = np.random.default_rng(0)
    log_weights = rng.normal(scale=6, size=(n_particles, n_points)).astype(np.float32)
    fast = posterior.significant_points(log_weights.copy(), FRACTION, max_points)
    slow = reference.significant_points(log_weights.copy(), FRACTION, max_points)
    assert np.array_equal(fast[0], slow[0])
    assert np.array_equal(fast[1], slow[1])


def test_equal_weights_are_all_significant():
    first, points = posterior.significant_points(np.zeros((1, 900), np.float32), FRACTION, -1)
    assert first.tolist() == [0, 900]
    assert np.array_equal(points, np.arange(900))


@pytest.fixture
def scores():
    """Pairs of three particles with their cross terms, norm terms and log priors."""
    rng = np.random.default_rng(1)
    first = np.array([0, 4, 5, 12])
    return (
        first,
        rng.normal(scale=4, size=(12, 4, 8)).astype(np.float32),
        rng.uniform(0, 4, (12, 8)).astype(np.float32),
        rng.normal(size=12).astype(np.float32),
    )


def normalised(kernel, scores, ranges, fraction=FRACTION):
    first, cross, norms, priors = scores
    cross = cross.copy()
    n = len(first) - 1
    best, probability, log_total = np.zeros(n, np.int64), np.zeros(n), np.zeros(n)
    for a, b in ranges:
        kernel(first, cross, norms, priors, fraction, best, probability, log_total, a, b)
    return cross, best, probability, log_total


@pytest.mark.parametrize("ranges", [[(0, 3)], [(2, 3), (0, 2)], [(1, 1), (0, 3)]])
def test_normalised_posterior_equals_the_reference(scores, ranges):
    fast = normalised(posterior.normalise_posterior, scores, ranges)
    slow = normalised(reference.normalise_posterior, scores, [(0, 3)])
    for found, expected in zip(fast, slow, strict=True):
        assert np.allclose(found, expected, rtol=3e-6)


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.999])
def test_significant_weights_sum_to_the_fraction_or_a_little_more(scores, fraction):
    weights, _, _, _ = normalised(posterior.normalise_posterior, scores, [(0, 3)], fraction)
    first = scores[0]
    for p in range(3):
        own = np.sort(weights[first[p] : first[p + 1]].ravel())
        smallest = own[own > 0][0]
        assert fraction < own.sum(dtype=float) + 1e-6 <= 1 + 2e-6
        assert own.sum(dtype=float) - smallest <= fraction + 1e-6


def test_best_sample_has_the_largest_weight(scores):
    weights, best, probability, _ = normalised(posterior.normalise_posterior, scores, [(0, 3)])
    assert weights.ravel()[best] == pytest.approx(probability, rel=1e-6)
    first = scores[0]
    largest = [weights[a:b].max() for a, b in itertools.pairwise(first)]
    assert probability == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize("shift", [-900.0, 3e3])
def test_posterior_does_not_depend_on_a_constant(scores, shift):
    """A constant shifts the log total only, far beyond the range of exp."""
    first, cross, norms, priors = scores
    moved = first, cross + np.float32(shift), norms, priors
    weights, best, _, log_total = normalised(posterior.normalise_posterior, scores, [(0, 3)])
    found, found_best, _, found_total = normalised(posterior.normalise_posterior, moved, [(0, 3)])
    assert np.array_equal(best, found_best)
    # the scores themselves are rounded to a unit in the last place of the shift
    assert np.allclose(found, weights, rtol=1e-3, atol=1e-4)
    assert found_total - shift == pytest.approx(log_total, abs=1e-3)


def selected(kernel, scores, ranges):
    first, cross, norms, _ = scores
    cross = cross.copy()
    n = len(first) - 1
    best, correlation = np.zeros(n, np.int64), np.zeros(n)
    for a, b in ranges:
        kernel(first, cross, norms, np.array([2.0, 3.0, 0.5]), best, correlation, a, b)
    return cross, best, correlation


@pytest.mark.parametrize("ranges", [[(0, 3)], [(1, 3), (0, 1)]])
def test_best_correlation_equals_the_reference(scores, ranges):
    scores[2][3, 2] = 0  # a slice without power
    fast = selected(posterior.select_best_correlation, scores, ranges)
    slow = selected(reference.select_best_correlation, scores, [(0, 3)])
    for found, expected in zip(fast, slow, strict=True):
        assert np.allclose(found, expected, rtol=1e-6)


def test_best_correlation_gets_all_the_weight(scores):
    weights, best, _ = selected(posterior.select_best_correlation, scores, [(0, 3)])
    assert np.flatnonzero(weights).tolist() == best.tolist()
    assert weights.ravel()[best].tolist() == [1, 1, 1]


@pytest.mark.parametrize("n_child, n_children", [(1, 1), (4, 8), (3, 5)])
@pytest.mark.parametrize("ranges", [[(0, 3)], [(2, 3), (0, 1), (1, 2)]])
def test_offset_moments_equal_the_reference(n_child, n_children, ranges):
    rng = np.random.default_rng(2)
    first = np.array([0, 4, 4, 9])
    weights = rng.random((9, n_child, n_children)).astype(np.float32)
    offset = rng.integers(0, 6, 9)
    distance2 = rng.random((3, 6 * n_child))
    found = np.full(9, np.nan), np.full(3, np.nan)
    expected = np.empty(9), np.empty(3)
    for first_particle, last in ranges:
        posterior.offset_moments(first, weights, offset, distance2, *found, first_particle, last)
    reference.offset_moments(first, weights, offset, distance2, *expected, 0, 3)
    for a, b in zip(found, expected, strict=True):
        assert a == pytest.approx(b, rel=1e-12)
    assert found[1][1] == 0  # a particle without pairs
