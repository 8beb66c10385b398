"""Sampling of Fourier space: even, around one axis, along one axis."""

import numpy as np
import pytest

from aurefine.geometry.symmetry import point_group
from aurefine.validate.orientations import (
    fourier_sampling,
    orientation_efficiency,
    point_spread_widths,
)


def even(n=20_000, seed=0):
    views = np.random.default_rng(seed).normal(size=(n, 3))
    return views / np.linalg.norm(views, axis=1, keepdims=True)


def side_views(n=20_000):
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)


def top_views(spread, n=20_000):
    views = np.array([0, 0, 1]) + np.random.default_rng(2).normal(scale=spread, size=(n, 3))
    return views / np.linalg.norm(views, axis=1, keepdims=True)


def efficiency(views, name="C1"):
    return orientation_efficiency(
        point_spread_widths(fourier_sampling(views, point_group(name)))[1]
    )


def test_an_even_distribution_samples_evenly():
    found = fourier_sampling(even(), point_group("C1"))
    assert found.sampling.mean() == pytest.approx(1)
    assert found.sampling.std() < 0.06  # shot noise of about 500 slices through each direction
    assert found.scf > 0.98
    assert efficiency(even()) > 0.97


def test_side_views_see_everything_but_unevenly():
    found = fourier_sampling(side_views(), point_group("C1"))
    assert found.empty_fraction == 0
    # slices with poles on a circle pass a direction at polar angle t as often as 1/sin(t), whose
    # harmonic mean over the sphere is (2/pi) (4/pi) = 0.81, less what the thickness cuts off
    assert found.scf == pytest.approx(0.81, abs=0.03)


def test_top_views_leave_a_cone_empty():
    found = fourier_sampling(top_views(0.05), point_group("C1"))
    assert found.empty_fraction > 0.5
    empty = found.directions[found.sampling <= 0]
    assert np.abs(empty[:, 2]).min() > 0.15
    assert found.scf < 0.05


def test_efficiency_falls_with_the_spread_of_views():
    values = [
        efficiency(views) for views in (even(), top_views(0.6), top_views(0.3), top_views(0.1))
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5


def test_top_views_smear_the_map_along_the_view():
    directions, widths = point_spread_widths(fourier_sampling(top_views(0.1), point_group("C1")))
    along = np.abs(directions[:, 2]) > 0.9
    assert widths[along].min() > 1.3 * widths[~along & (np.abs(directions[:, 2]) < 0.3)].max()


def test_symmetry_spreads_the_views():
    views = top_views(0.1)
    assert efficiency(views, "O") > 0.8 > efficiency(views)


def test_the_time_does_not_depend_on_repeats():
    once = fourier_sampling(even(500), point_group("D2"))
    many = fourier_sampling(np.tile(even(500), (3, 1)), point_group("D2"))
    assert np.allclose(once.sampling, many.sampling)
