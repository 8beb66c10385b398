"""Counting sort of sparse pairs."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["sort_pairs"]


@njit(nogil=True, cache=True, forceinline=True)
def sort_pairs(group, n_groups):
    """Sort pairs by group, keeping their order inside a group.

    Parameters
    ----------
    group : int64, shape (n_pairs,)
        Values 0 .. n_groups - 1.
    n_groups : int

    Returns
    -------
    first : int64, shape (n_groups + 1,)
        Pairs of group g are ``order[first[g]:first[g + 1]]``.
    order : int64, shape (n_pairs,)
    """
    first = np.zeros(n_groups + 1, np.int64)
    for i in range(group.size):
        first[group[i] + 1] += 1
    for g in range(n_groups):
        first[g + 1] += first[g]
    place = first[:-1].copy()
    order = np.empty(group.size, np.int64)
    for i in range(group.size):
        g = group[i]
        order[place[g]] = i
        place[g] += 1
    return first, order
