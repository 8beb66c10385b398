"""Contiguous parts of a range."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_ranges", "even_parts", "n_pieces"]

_LARGEST, _SMALLEST = 1.6, 0.4  # of balanced ranges, over the mean: no thread waits long at the end


def even_parts(n_items: int, n_parts: int) -> list[slice]:
    """Cut 0..n_items into parts whose lengths differ by one at most; some are empty if too many."""
    bounds = [n_items * k // max(n_parts, 1) for k in range(n_parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def n_pieces(n_items: int, few: int, most: int) -> int:
    """Into how many pieces work is cut; what a piece is does not depend on threads."""
    return min(1 + n_items // few, most)


def balanced_ranges(first: npt.NDArray[np.int64], n_tasks: int) -> list[tuple[int, int]]:
    """Cut groups (or particles) of pairs into at most `n_tasks` runs, the last ones the shortest.

    Parameters
    ----------
    first : ndarray, shape (n_groups + 1,)
    n_tasks : int
    """
    n = len(first) - 1
    cost = first[:-1] + 4 * np.arange(n)
    total = first[-1] + 4 * n
    share = np.linspace(_LARGEST, _SMALLEST, n_tasks)
    bounds = np.searchsorted(cost, np.cumsum(share[:-1]) * total / share.sum())
    bounds = np.concatenate([[0], bounds, [n]])
    unique = np.unique(bounds)
    return list(pairwise(unique.tolist()))
