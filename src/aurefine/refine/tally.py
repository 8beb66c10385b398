"""Small sums over particles: noise spectra, intensity scales, directions and scalars (spec 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Tally"]

Float = npt.NDArray[np.float64]

_N_SCALARS = 5


@dataclass(slots=True)
class Tally:
    """Sums over the particles of a batch; everything is a view of one vector."""

    n_noise_groups: int
    n_shells: int
    n_groups: int
    n_directions: int
    vector: Float = field(init=False)  # all sums, one after the other
    noise: Float = field(init=False)  # (n_noise_groups, n_shells), weighted residual power
    noise_pixels: Float = field(init=False)  # like noise: weighted number of image pixels
    scale_cross: Float = field(init=False)  # (n_groups,)
    scale_power: Float = field(init=False)  # (n_groups,)
    direction: Float = field(init=False)  # (n_directions,)
    scalars: Float = field(init=False)  # offset² [Å²], weight, norm, log-likelihood, Pmax

    def __post_init__(self) -> None:
        spectra = (self.n_noise_groups, self.n_shells)
        shapes = {
            "noise": spectra,
            "noise_pixels": spectra,
            "scale_cross": (self.n_groups,),
            "scale_power": (self.n_groups,),
            "direction": (self.n_directions,),
            "scalars": (_N_SCALARS,),
        }
        bounds = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())])
        self.vector = np.zeros(bounds[-1])
        for (name, shape), start, stop in zip(shapes.items(), bounds, bounds[1:], strict=False):
            setattr(self, name, self.vector[start:stop].reshape(shape))
