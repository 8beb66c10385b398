"""How the two half sets exchange what they may, wherever they are worked on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from aurefine.io.file_array import release_pages

__all__ = ["SAME_PROCESS", "Links"]

Array = npt.NDArray[Any]

_PLANES = 16  # that are added at a time


class Links(Protocol):
    """Exchange of arrays between the halves; arguments are by half, as far as they are here."""

    def swap(self, own: Mapping[int, Array]) -> dict[int, Array]:
        """Return the array of the other half for each half that is here."""
        ...

    def meet(self, own: Mapping[int, Array]) -> tuple[Array, Array] | None:
        """Return the arrays of both halves where half 1 is, None elsewhere."""
        ...

    def add(self, own: Mapping[int, Array]) -> None:
        """Add the array of half 2 to that of half 1, in place where half 1 is."""


class _SameProcess:
    """Both halves are here."""

    def swap(self, own: Mapping[int, Array]) -> dict[int, Array]:
        return {1: own[2], 2: own[1]}

    def meet(self, own: Mapping[int, Array]) -> tuple[Array, Array] | None:
        return own[1], own[2]

    def add(self, own: Mapping[int, Array]) -> None:
        for start in range(0, len(own[1]), _PLANES):
            part = slice(start, start + _PLANES)
            own[1][part] += own[2][part]
            release_pages(own[2])


SAME_PROCESS: Links = _SameProcess()
