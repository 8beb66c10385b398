"""What happened in each iteration, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.refine.state import RefinementState

__all__ = ["History"]


class History:
    """Collects one row and one FSC curve per iteration."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: list[dict[str, Any]] = []
        self._fsc: list[npt.NDArray[np.float64]] = []

    def __len__(self) -> int:
        """Count the iterations."""
        return len(self._rows)

    def add(self, state: RefinementState) -> None:
        """Remember an iteration."""
        controller, sampling, model = state.controller, state.sampling, state.models[0]
        self._fsc.append(model.fsc)
        self._rows.append(
            {
                "iteration": controller.iteration,
                "resolution": 1 / controller.current_frequency,  # Å
                "fsc_resolution": _fsc_resolution(model.fsc, state.pixel_size),  # Å
                "current_size": controller.current_size,  # px
                "accuracy_angles": controller.accuracy_angles,  # degrees
                "accuracy_offsets": controller.accuracy_offsets,  # Å
                "changes_angles": controller.changes_angles,  # degrees
                "changes_offsets": controller.changes_offsets,  # Å
                "angular_step": sampling.fine_angular_step,  # degrees
                "offset_step": sampling.fine_offset_step,  # Å
                "offset_range": sampling.offset_range,  # Å
                "is_local": sampling.is_local,
                "pmax": model.average_pmax,
                "n_significant": float(state.poses.n_significant.mean()),
                "seconds": sum(state.times.seconds.values()),
                "peak_memory": state.times.peak_memory,  # GiB
                **{f"seconds {name}": value for name, value in state.times.seconds.items()},
            }
        )

    def frame(self) -> pd.DataFrame:
        """One row per iteration."""
        return pd.DataFrame(self._rows)

    def fsc(self) -> npt.NDArray[np.float64]:
        """FSC curves, shape (n_iterations, n_shells)."""
        return np.array(self._fsc)


def _fsc_resolution(fsc: npt.NDArray[np.float64], pixel_size: float) -> float:
    """Resolution [Å] of the last shell before the FSC falls below 0.143."""
    below = np.flatnonzero(fsc[1:] < 0.143)
    shell = int(below[0]) if len(below) else len(fsc) - 1
    return 2 * (len(fsc) - 1) * pixel_size / shell if shell else np.inf
