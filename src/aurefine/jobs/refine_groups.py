"""Groups of particles that share an intensity scale (spec: refinement, 1.7)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["join_small_groups", "scale_groups", "warn_of_small_groups"]

IntArray = npt.NDArray[np.int64]
Warn = Callable[[str], None]

_FEW = 5  # particles of a half; RELION warns of smaller groups, too


def scale_groups(frame: pd.DataFrame) -> tuple[IntArray, tuple[str, ...]]:
    """Intensity-scale group of each particle and the names of the groups (spec 1.7)."""
    if "rlnGroupName" in frame:
        names = frame["rlnGroupName"].astype(str)
    else:
        names = (
            frame["rlnMicrographName"].astype(str).str.replace(r"^.*?job\d{3,}/", "", regex=True)
        )
    labels, unique = pd.factorize(names)
    return labels.astype(np.int64), tuple(str(name) for name in unique)


def join_small_groups(
    labels: IntArray,
    names: tuple[str, ...],
    frame: pd.DataFrame,
    minimum: int,
    warn: Warn,
) -> tuple[IntArray, tuple[str, ...]]:
    """Join groups of fewer than `minimum` particles with those of the nearest mean defocus.

    Only particles of one optics group are joined.  A joined group has the name of its first
    micrograph and the number of the others.
    """
    size = np.bincount(labels)
    defocus = (
        frame["rlnDefocusU"].to_numpy(float) if "rlnDefocusU" in frame else np.zeros(len(frame))
    )
    mean = np.bincount(labels, defocus) / size
    optics = np.zeros(len(size), np.int64)
    optics[labels] = frame["rlnOpticsGroup"].to_numpy(np.int64)
    target = np.arange(len(size))
    for number in np.unique(optics):
        small = np.flatnonzero((size < minimum) & (optics == number))
        collected: list[int] = []
        for group in small[np.argsort(mean[small], kind="stable")]:
            collected.append(int(group))
            if size[collected].sum() >= minimum:
                target[collected] = min(collected)
                collected = []
        if collected:  # too few are left: to the group of this optics group nearest in defocus
            others = np.setdiff1d(np.flatnonzero(optics == number), collected)
            if len(others):
                nearest = others[np.argmin(np.abs(mean[others] - mean[collected].mean()))]
                target[collected] = target[nearest]
            else:
                target[collected] = min(collected)
    kept, new = np.unique(target, return_inverse=True)
    if len(kept) < len(size):
        warn(
            f"{len(size)} groups of micrographs are joined into {len(kept)}, so that none has "
            f"fewer than {minimum} particles of an optics group (--min_group_size)"
        )
    members = np.bincount(new)
    joined = tuple(
        names[g] + (f"_and_{n - 1}_more" if n > 1 else "")
        for g, n in zip(kept, members, strict=True)
    )
    return new[labels].astype(np.int64), joined


def warn_of_small_groups(
    labels: IntArray,
    half: IntArray,
    names: tuple[str, ...],
    warn: Warn,
) -> None:
    """Say which intensity scales rest on few particles of a half."""
    if len(names) == 1:
        return
    counts = np.stack([np.bincount(labels[half == h], minlength=len(names)) for h in (1, 2)])
    small = np.flatnonzero(counts.min(axis=0) < _FEW)
    if len(small):
        g = small[0]
        warn(
            f"{len(small)} of {len(names)} groups have fewer than {_FEW} particles in a "
            f"half, such as {names[g]} with {counts[0, g]} and {counts[1, g]}: their intensity "
            "scales are uncertain. --min_group_size 20 joins small groups of similar defocus"
        )
