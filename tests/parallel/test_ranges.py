"""Contiguous parts of ranges: nothing is left out, and work is balanced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.parallel.ranges import balanced_ranges, n_pieces


@given(sizes=st.lists(st.integers(0, 50), max_size=200), n_tasks=st.integers(1, 64))
def test_balanced_ranges_hold_each_group_once(sizes, n_tasks):
    ranges = balanced_ranges(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), n_tasks)
    assert [group for a, b in ranges for group in range(a, b)] == list(range(len(sizes)))
    assert len(ranges) <= n_tasks
    assert all(b > a for a, b in ranges)


def test_the_last_ranges_are_the_shortest():
    members = np.diff(balanced_ranges(np.arange(0, 30001, 3), 32)).ravel()
    assert members[0] / members[-1] == pytest.approx(4, rel=0.05)
    assert (np.diff(members) <= 1).all()


def test_little_work_is_one_piece_and_much_work_the_most():
    assert [n_pieces(n, 256, 64) for n in (0, 255, 256, 10**6)] == [1, 1, 2, 64]
