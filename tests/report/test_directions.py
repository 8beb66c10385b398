"""The histogram of viewing directions."""

import numpy as np

from aurefine.geometry.symmetry import point_group
from aurefine.report.directions import direction_histogram


def test_even_directions_fill_bins_evenly():
    rng = np.random.default_rng(3)
    n = 40_000
    rot, tilt = rng.uniform(-180, 180, n), np.rad2deg(np.arccos(rng.uniform(-1, 1, n)))
    counts = direction_histogram(rot, tilt)
    # bins of equal area: the counts scatter as those of a Poisson process
    assert abs(counts.std() / np.sqrt(counts.mean()) - 1) < 0.1


def test_symmetry_mates_share_a_particle():
    counts = direction_histogram([20.0], [70.0], symmetry=point_group("D2").matrices)
    assert counts.sum() == 1
    assert sorted(counts[counts > 0]) == [0.25] * 4


def test_rows_run_along_the_axis():
    counts = direction_histogram([0.0, 0.0], [1.0, 179.0])
    assert counts[-1].sum() == counts[0].sum() == 1
