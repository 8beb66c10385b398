import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.kernels import reference
from aurefine.kernels.pairs import sort_pairs


@settings(deadline=None)
@given(groups=st.lists(st.integers(0, 6), max_size=40))
def test_sorted_pairs_equal_a_stable_sort(groups):
    group = np.array(groups, np.int64)
    for found, expected in zip(sort_pairs(group, 8), reference.sort_pairs(group, 8), strict=True):
        assert np.array_equal(found, expected)
