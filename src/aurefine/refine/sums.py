"""What the expectation step adds up over the particles of one half (spec 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["HalfSums", "add_sums", "empty_sums"]

Float = npt.NDArray[np.float64]


@dataclass(slots=True)
class HalfSums:
    """Accumulators of one half set; arrays are added to in place while images stream by.

    `volume` has shape (edge, edge, (edge + 1) // 2, 3): real part, imaginary part and weight.
    """

    volume: npt.NDArray[np.float32]
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
    padding: float,
    box: int,
    n_noise_groups: int,
    n_groups: int,
    n_directions: int,
) -> HalfSums:
    """Accumulators at zero for a padded transform of `radius`."""
    edge = 2 * (radius + 1) + 1
    shape = (n_noise_groups, box // 2 + 1)
    return HalfSums(
        volume=np.zeros((edge, edge, radius + 2, 3), np.float32),
        radius=radius,
        padding=padding,
        noise=np.zeros(shape),
        noise_pixels=np.zeros(shape),
        scale_cross=np.zeros(n_groups),
        scale_power=np.zeros(n_groups),
        direction=np.zeros(n_directions),
    )


def add_sums(target: HalfSums, other: HalfSums) -> HalfSums:
    """Add the accumulators of the other half to `target` in place and return it."""
    target.volume += other.volume
    target.noise += other.noise
    target.noise_pixels += other.noise_pixels
    target.scale_cross += other.scale_cross
    target.scale_power += other.scale_power
    target.direction += other.direction
    target.offset2 += other.offset2
    target.weight += other.weight
    target.norm += other.norm
    target.log_likelihood += other.log_likelihood
    target.pmax += other.pmax
    return target
