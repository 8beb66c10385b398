"""Sums of two processes, of which the other one is played by a stand-in."""

from dataclasses import replace

import numpy as np
import pytest

from aurefine.errors import AurefineError
from aurefine.refine.exact_volume import VolumeScales, empty_volume, exact_values, store_values
from aurefine.refine.reduction import add_volumes

ONE = np.ones(1, np.float32)
SCALES = VolumeScales(np.zeros(0, np.float32), ONE, ONE)


class Team:
    """A first process whose partner has a volume."""

    rank, size = 0, 2

    def __init__(self, other, large):
        self.other, self.large = other, large
        self.n_exact = 0

    def gather(self, index):
        return [index, self.large]

    def broadcast(self, value, *, purpose=""):
        if isinstance(value, VolumeScales):
            return self.other.scales
        self.index, self.n_exact = value, len(value)
        return value

    def add_up(self, array):
        words = self.other.words.reshape(-1)
        if array.dtype == np.int64:
            array += exact_values(self.other, 0, len(words))[self.index]
        else:
            array += words


def volume_with(values):
    volume = empty_volume(4, SCALES)
    store_values(volume, 0, volume.words.size, values)
    return volume


@pytest.mark.parametrize("seed", range(4))
def test_totals_are_exact_whether_they_fit_or_not(seed):
    rng = np.random.default_rng(seed)
    n = empty_volume(4, SCALES).words.size
    mine, its = rng.integers(-(1 << 24), 1 << 24, (2, n))
    for values in (mine, its):  # some near the limit of 32 bits, some beyond
        some = rng.integers(0, n, 40)
        values[some] = rng.integers(-(1 << 36), 1 << 36, 40) >> rng.integers(0, 6, 40)
    both = np.arange(5)
    mine[both], its[both] = (1 << 30) + 7, (1 << 30) + 9  # each fits, the total does not
    volume, other = volume_with(mine), volume_with(its)
    team = Team(other, np.flatnonzero(np.abs(its) >= 1 << 30))
    add_volumes(volume, team)
    assert np.array_equal(exact_values(volume, 0, n), mine + its)
    assert team.n_exact < 100


def test_one_process_has_nothing_to_add():
    volume = volume_with(np.arange(empty_volume(4, SCALES).words.size))
    before = volume.words.copy()
    team = Team(volume, None)
    team.size = 1
    add_volumes(volume, team)
    assert np.array_equal(volume.words, before)


def test_processes_with_different_scales_are_refused():
    volume = empty_volume(4, SCALES)
    other = replace(volume, scales=replace(SCALES, data=2 * ONE))
    with pytest.raises(AurefineError, match="nodes of one kind"):
        add_volumes(volume, Team(other, None))
