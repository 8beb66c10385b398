"""What the algorithm needs to know of the particles, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aurefine.optics.ctf import CtfParameters
from aurefine.optics.groups import OpticsGroup
from aurefine.optics.mtf import MtfCurve

__all__ = ["ImageReader", "ParticleSet"]

IntArray = npt.NDArray[np.int64]


class ImageReader(Protocol):
    """Reads particle images by row."""

    def read(self, indices: IntArray) -> npt.NDArray[np.float32]:
        """Return images of equal box size, shape (n, box, box)."""
        ...


@dataclass(frozen=True, slots=True)
class ParticleSet:
    """Images and their fixed metadata, rows in the order of the (sorted) particle table."""

    images: ImageReader
    optics_groups: tuple[OpticsGroup, ...]
    optics: IntArray  # (n_particles,), index into optics_groups
    ctf: CtfParameters
    micrograph_group: IntArray  # (n_particles,), index of the intensity-scale group
    noise_group: IntArray  # (n_particles,), row of sigma2_noise
    half: IntArray  # (n_particles,), 1 or 2
    prior_offset: npt.NDArray[np.float64] | None = None  # (n_particles, 2) Å
    prior_angles: npt.NDArray[np.float64] | None = None  # (n_particles, 3) degrees
    reconstruct_images: ImageReader | None = None  # for the map of the last iteration
    mtf_curves: Mapping[str, MtfCurve] = field(
        default_factory=dict
    )  # by file; empty: no correction

    @property
    def n_particles(self) -> int:
        """Number of particles of both halves."""
        return len(self.optics)
