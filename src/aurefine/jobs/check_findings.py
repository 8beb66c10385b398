"""What a check found, what it means and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Finding", "some_rows"]

IntArray = npt.NDArray[np.int64]

_N_NAMED = 8  # rows that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with the input of a refinement."""

    level: Literal["error", "warning"]  # error: the run would be useless
    topic: str  # short name, such as ``pixel_size``
    found: str
    meaning: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    rows: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # of the file, from 0

    @property
    def text(self) -> str:
        """All three sentences."""
        return f"{self.found} {self.meaning} {self.remedy}"


def some_rows(rows: Sequence[int] | IntArray) -> str:
    """Name the first rows of a list, counted from 1, as files are."""
    named = ", ".join(str(row + 1) for row in rows[:_N_NAMED])
    more = f" and {len(rows) - _N_NAMED} more" if len(rows) > _N_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{more}"
