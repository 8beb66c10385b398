"""What the expectation step adds up over the particles of one half (spec 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.parallel.pool import WorkerPool
from aurefine.refine.exact_volume import ExactVolume, VolumeScales, as_floats, empty_volume

__all__ = ["HalfSums", "add_sums", "complete_sums", "empty_sums"]

Float = npt.NDArray[np.float64]

_SCALARS = ("offset2", "weight", "norm", "log_likelihood", "pmax")


@dataclass(slots=True)
class HalfSums:
    """Accumulators of one half set; arrays are added to in place while images stream by.

    While images stream by, back-projections go to `exact`; `complete_sums` turns them into
    `volume`, shape (edge, edge, (edge + 1) // 2, 3): real part, imaginary part and weight.
    """

    exact: ExactVolume | None
    volume: npt.NDArray[np.float32]  # empty until complete
    radius: int  # padded px
    padding: float
    noise: Float  # (n_noise_groups, n_box // 2 + 1), weighted residual power
    noise_pixels: Float  # like noise: weighted number of image pixels
    scale_cross: Float  # (n_groups,)
    scale_power: Float  # (n_groups,)
    direction: Float  # (n_directions,)
    offset2: float = 0.0  # Å²
    weight: float = 0.0
    norm: float = 0.0
    log_likelihood: float = 0.0
    pmax: float = 0.0


def empty_sums(
    *,
    radius: int,
    scales: VolumeScales,
    padding: float,
    box: int,
    n_noise_groups: int,
    n_groups: int,
    n_directions: int,
) -> HalfSums:
    """Accumulators at zero for a padded transform of `radius`."""
    shape = (n_noise_groups, box // 2 + 1)
    return HalfSums(
        exact=empty_volume(radius, scales),
        volume=np.zeros((0, 0, 0, 3), np.float32),
        radius=radius,
        padding=padding,
        noise=np.zeros(shape),
        noise_pixels=np.zeros(shape),
        scale_cross=np.zeros(n_groups),
        scale_power=np.zeros(n_groups),
        direction=np.zeros(n_directions),
    )


def complete_sums(sums: HalfSums, pool: WorkerPool) -> HalfSums:
    """Turn the back-projections of all particles of a half into floats, in place."""
    if sums.exact is not None:
        sums.volume = as_floats(sums.exact, pool)
        sums.exact = None
    return sums


def add_sums(
    halves: Mapping[int, HalfSums], add: Callable[[Mapping[int, npt.NDArray[Any]]], None]
) -> None:
    """Add the sums of half 2 to those of half 1.

    Parameters
    ----------
    halves : mapping of HalfSums
        By half, as far as they are here.
    add : callable
        Adds an array of half 2 to one of half 1 in place, where half 1 is.
    """
    for name in ("volume", "noise", "noise_pixels", "scale_cross", "scale_power", "direction"):
        add({half: getattr(sums, name) for half, sums in halves.items()})
    scalars = {
        half: np.array([getattr(sums, name) for name in _SCALARS]) for half, sums in halves.items()
    }
    add(scalars)
    for half, sums in halves.items():
        for name, value in zip(_SCALARS, scalars[half].tolist(), strict=True):
            setattr(sums, name, value)
