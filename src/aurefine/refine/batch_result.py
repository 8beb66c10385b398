"""What the alignment of a batch finds for each particle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BatchResult", "join_results"]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """New poses of the particles of a batch; one entry per particle."""

    rows: IntArray
    rot: Float
    tilt: Float
    psi: Float
    offset_x: Float
    offset_y: Float
    norm_correction: Float
    log_likelihood: Float
    pmax: Float
    n_significant: IntArray


def join_results(parts: Sequence[BatchResult]) -> BatchResult:
    """Put the particles of several results one after the other."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in BatchResult.__slots__
    }
    return BatchResult(**columns)
