"""Rows of one particle: by image name, by place, and confirmed by their pixels."""

import numpy as np
import pandas as pd
import pytest

from aurefine.jobs.particle_copies import confirm_copies, find_copies
from aurefine.refine.initialise import assign_halves

OPTICS = pd.DataFrame({"rlnOpticsGroup": [1], "rlnMicrographOriginalPixelSize": [2.0]})


def table(x, *, micrograph=None, names=None, **columns):
    n = len(x)
    return pd.DataFrame(
        {
            "rlnCoordinateX": np.asarray(x, float),
            "rlnCoordinateY": np.full(n, 100.0),
            "rlnMicrographName": micrograph or ["a.mrc"] * n,
            "rlnImageName": names or [f"{i + 1:06d}@p.mrcs" for i in range(n)],
            "rlnOpticsGroup": 1,
            **columns,
        }
    )


def test_rows_closer_than_the_distance_are_one_particle():
    # 14 px of 2 Å are 28 Å, 16 px are 32 Å
    assert find_copies(table([0, 14, 100, 116]), OPTICS, 30.0).tolist() == [0, 0, 2, 3]


def test_the_same_place_in_another_micrograph_is_another_particle():
    assert find_copies(table([5, 5], micrograph=["a", "b"]), OPTICS, 30.0).tolist() == [0, 1]


def test_offsets_move_the_centre():
    # the particle lies at the coordinate less the offset
    frame = table([0, 20], rlnOriginXAngst=[0.0, 40.0])
    assert find_copies(frame, OPTICS, 30.0).tolist() == [0, 0]


def test_chains_of_neighbours_are_one_particle():
    assert find_copies(table([28, 14, 0, 90]), OPTICS, 30.0).tolist() == [0, 0, 0, 3]


def test_rows_of_one_image_are_one_particle_without_coordinates():
    frame = pd.DataFrame({"rlnImageName": ["1@a", "2@a", "1@a"], "rlnOpticsGroup": 1})
    assert find_copies(frame, OPTICS, 30.0).tolist() == [0, 1, 0]


def test_coordinates_that_are_all_zero_mean_nothing():
    frame = table([0, 0]).assign(rlnCoordinateY=0.0)
    assert find_copies(frame, OPTICS, 30.0).tolist() == [0, 1]


@pytest.mark.parametrize("shift", [0, 3])
def test_copies_are_confirmed_by_the_pixels_they_share(shift):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 32, 32)).astype(np.float32)
    images[1] = np.roll(images[0], shift, axis=1)
    names = np.array([f"{i}@a" for i in range(4)], dtype=object)
    copies = np.array([0, 0, 2, 2])
    confirmed = confirm_copies(copies, names, np.full(4, 32), lambda rows: images[rows])
    assert confirmed.tolist() == [0, 0, 2, 3]


def test_copies_are_always_in_one_half():
    copies = np.arange(200)
    copies[100:] = np.arange(100)
    for seed in range(5):
        half = assign_halves(None, 200, seed, copies)
        assert np.array_equal(half[:100], half[100:])
        assert np.array_equal(half[:100], assign_halves(None, 200, seed)[:100])
