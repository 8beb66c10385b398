"""Voxels of maps weighted by their distance from the middle."""

import numpy as np
import pytest

from aurefine.kernels import maps, reference


@pytest.fixture(params=[5, 8])
def case(request):
    """A map, its profiles, and a larger box."""
    n = request.param
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, n, n)).astype(np.float32)
    weight, divisor = rng.uniform(0.1, 1, (2, 3 * (n // 2) ** 2 + 1)).astype(np.float32)
    return values, weight, divisor, np.zeros((2 * n,) * 3, np.float32)


@pytest.mark.parametrize("planes", [(0, 5), (2, 4), (3, 3)])
def test_blended_maps_equal_the_reference(case, planes):
    values, weight, divisor, out = case
    expected = out.copy()
    terms = np.float32(3), weight, np.float32(-0.7), divisor, *planes
    maps.blend_by_radius(values, *terms, out, 3)
    reference.blend_by_radius(values, *terms, expected, 3)
    np.testing.assert_allclose(out, expected, rtol=2e-6)
    changed = np.flatnonzero(out.any(axis=(1, 2)))
    assert np.array_equal(changed, np.arange(*planes) + 3)


def test_maps_are_blended_in_place(case):
    values, weight, divisor, _ = case
    expected = np.empty_like(values)
    terms = np.float32(1), weight, np.float32(2), divisor, 0, len(values)
    reference.blend_by_radius(values, *terms, expected, 0)
    maps.blend_by_radius(values, *terms, values, 0)
    np.testing.assert_allclose(values, expected, rtol=2e-6)


def test_a_weight_of_zero_leaves_the_bits(case):
    values, weight, divisor, _ = case
    out = np.empty_like(values)
    maps.blend_by_radius(
        values, np.float32(1), 0 * weight, np.float32(0), np.ones_like(divisor), 0, len(values),
        out, 0,
    )  # fmt: skip
    assert np.array_equal(out, values)


@pytest.mark.parametrize("planes", [(0, 5), (2, 4), (3, 3)])
def test_sums_equal_the_reference(case, planes):
    values, weight, *_ = case
    found = maps.sums_by_radius(values, weight, *planes)
    np.testing.assert_allclose(
        found, reference.sums_by_radius(values, weight, *planes), rtol=1e-5, atol=1e-6
    )
