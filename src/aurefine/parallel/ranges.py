"""Contiguous parts of a range."""

from __future__ import annotations

from itertools import pairwise

__all__ = ["even_parts"]


def even_parts(n_items: int, n_parts: int) -> list[slice]:
    """Cut 0..n_items into parts whose lengths differ by one at most; some are empty if too many."""
    bounds = [n_items * k // max(n_parts, 1) for k in range(n_parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]
