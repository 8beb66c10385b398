"""What happened in each iteration, as a table."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.io import read_star
from aurefine.jobs.refine_names import FileNames
from aurefine.refine.state import RefinementState

__all__ = ["History", "read_iteration"]

_UNKNOWN = 999.0  # RELION's value before the first estimate


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
                "pixel_size": state.pixel_size,  # Å
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
                "cpu_seconds": sum(state.times.cpu_seconds.values()),
                "peak_memory": state.times.peak_memory,  # GiB
                **{f"seconds {name}": value for name, value in state.times.seconds.items()},
                **{f"cpu_seconds {name}": value for name, value in state.times.cpu_seconds.items()},
            }
        )

    def restore(self, optimiser: str) -> None:
        """Remember the iterations that a continued run starts from, as far as their files exist.

        Parameters
        ----------
        optimiser : str
            The file to continue from, ``<root>_it0NN_optimiser.star``.
        """
        root, _, rest = optimiser.rpartition("_it")
        last = rest.removesuffix("_optimiser.star")
        for iteration in range(1, int(last) + 1 if last.isdigit() else 1):
            self.restore_one(FileNames(root, iteration))

    def restore_one(self, names: FileNames) -> bool:
        """Remember one iteration from its files, and return whether they could be read."""
        with contextlib.suppress(StarError, KeyError):
            row, fsc = read_iteration(names)
            if names.iteration is None:  # the files of the end do not say its number
                row["iteration"] = self._rows[-1]["iteration"] + 1 if self._rows else 1
            self._rows.append(row)
            self._fsc.append(fsc)
            return True
        return False

    def frame(self) -> pd.DataFrame:
        """One row per iteration."""
        return pd.DataFrame(self._rows)

    def stages(self) -> dict[str, tuple[float, float]]:
        """Wall and CPU seconds of each stage, summed over the iterations of this run."""
        total: dict[str, tuple[float, float]] = {}
        for row in self._rows:
            for label, wall in row.items():
                if label.startswith("seconds "):
                    name = label.removeprefix("seconds ")
                    before = total.get(name, (0.0, 0.0))
                    total[name] = (before[0] + wall, before[1] + row[f"cpu_{label}"])
        return total

    def fsc(self) -> npt.NDArray[np.float64]:
        """FSC curves, shape (n_iterations, n_shells)."""
        return np.array(self._fsc)


def read_iteration(names: FileNames) -> tuple[dict[str, Any], npt.NDArray[np.float64]]:
    """Read what happened in one iteration, or in the joined one, from files, RELION's too.

    Returns
    -------
    row : dict
        As in the table of `History`, without times and memory, which are not in the files.
    fsc : ndarray, shape (n_shells,)

    Raises
    ------
    StarError
        If a file is missing or malformed.
    KeyError
        If a label is missing.
    """
    # RELION 3.1 leaves no optimiser file of the end
    has_none = names.iteration is None and not os.path.exists(names.optimiser)
    optimiser = {} if has_none else read_star(names.optimiser).values("optimiser_general")
    half = None if names.iteration is None else 1  # the end has one joined model
    star = read_star(names.model(half), only=["model_general", "model_class_1"])
    model = star.values("model_general")
    fsc = star.table("model_class_1")["rlnGoldStandardFsc"].to_numpy(np.float64)
    sampling = read_star(names.sampling, only=["sampling_general"]).values("sampling_general")
    children = 2 ** int(optimiser.get("rlnAdaptiveOversampleOrder", 1))
    row: dict[str, Any] = {
        "iteration": int(optimiser.get("rlnCurrentIteration", -1)),
        "resolution": float(model["rlnCurrentResolution"]),
        "fsc_resolution": _fsc_resolution(fsc, float(model["rlnPixelSize"])),
        "pixel_size": float(model["rlnPixelSize"]),
        "current_size": int(model["rlnCurrentImageSize"]),
        "accuracy_angles": float(optimiser.get("rlnOverallAccuracyRotations", _UNKNOWN)),
        "accuracy_offsets": float(optimiser.get("rlnOverallAccuracyTranslationsAngst", _UNKNOWN)),
        "changes_angles": float(optimiser.get("rlnChangesOptimalOrientations", _UNKNOWN)),
        "changes_offsets": float(optimiser.get("rlnChangesOptimalOffsets", _UNKNOWN)),
        "angular_step": 360 / (6 * 2 ** int(sampling["rlnHealpixOrder"]) * children),
        "offset_step": float(sampling["rlnOffsetStep"]) / children,
        "offset_range": float(sampling["rlnOffsetRange"]),
        "is_local": int(model["rlnOrientationalPriorMode"]) > 0,
        "pmax": float(model["rlnAveragePmax"]),
    }
    return row, fsc


def _fsc_resolution(fsc: npt.NDArray[np.float64], pixel_size: float) -> float:
    """Resolution [Å] of the last shell before the FSC falls below 0.143."""
    below = np.flatnonzero(fsc[1:] < 0.143)
    shell = int(below[0]) if len(below) else len(fsc) - 1
    return 2 * (len(fsc) - 1) * pixel_size / shell if shell else np.inf
