"""The record that travels from iteration to iteration (spec: refinement, sections 1, 5, 7)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

__all__ = [
    "ControllerState",
    "HalfModel",
    "Poses",
    "RefinementState",
    "SamplingState",
    "StageTimes",
    "selected",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingState:
    """Angular and translational sampling of one iteration; coarse steps, Å and degrees."""

    order: int
    psi_step: float
    offset_range: float
    offset_step: float
    oversampling: int
    perturbation: float  # fraction of a coarse step, in [-factor, factor]
    perturbation_factor: float
    is_local: bool
    sigma_angle: float  # degrees; standard deviation of the orientation prior, 0 if global
    original_order: int
    original_psi_step: float
    original_offset_range: float
    original_offset_step: float

    @property
    def fine_angular_step(self) -> float:
        """Oversampled angular step [degrees]."""
        return float(360.0 / (6 * 2 ** (self.order + self.oversampling)))

    @property
    def fine_offset_step(self) -> float:
        """Oversampled offset step [Å]."""
        return float(self.offset_step / 2**self.oversampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerState:
    """State variables of the automation (spec 5.1); resolutions in 1/Å where named `frequency`."""

    iteration: int = 0
    current_frequency: float = 0.0  # 1/Å
    best_frequency: float = 1.0 / 999.0
    n_iter_without_resolution_gain: int = 0
    n_iter_without_assignment_change: int = 0
    changes_classes: float = 9999999.0
    changes_offsets: float = 999.0  # Å
    changes_angles: float = 999.0  # degrees
    smallest_classes: int = 9999999
    smallest_offsets: float = 999.0
    smallest_angles: float = 999.0
    accuracy_angles: float = 999.0  # degrees
    accuracy_offsets: float = 999.0  # Å
    has_converged: bool = False
    has_high_fsc_at_limit: bool = False
    is_fine_enough: bool = False
    uses_all_particles: bool = False  # after a subset no longer raised the resolution
    incr_size: int = 10
    current_size: int = 0  # px, image size used in this iteration
    coarse_size: int = 0  # px, of the first optics group, first pass


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfModel:
    """Everything that one half set estimates from its own particles.

    Spectra have shape (n_box // 2 + 1,); `sigma2_noise` (n_optics_groups, n_box // 2 + 1) is the
    variance of one component (real or imaginary) of a Fourier coefficient, FFT divided by n_box².
    """

    map: npt.NDArray[np.float32]  # (n_box, n_box, n_box)
    sigma2_noise: FloatArray
    group_scale: FloatArray  # (n_groups,)
    group_n_particles: IntArray  # (n_groups,), of this half
    direction_prior: FloatArray  # (n_directions,)
    norm_average: float
    sigma_offset: float  # Å
    tau2: FloatArray
    sigma2_map: FloatArray
    data_vs_prior: FloatArray
    fsc: FloatArray
    fourier_coverage: FloatArray
    orientability: FloatArray
    log_likelihood: float
    average_pmax: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """Per-particle results, rows in the (sorted) order of the particle table."""

    rot: FloatArray  # degrees
    tilt: FloatArray
    psi: FloatArray
    offset_x: FloatArray  # Å
    offset_y: FloatArray
    class_number: IntArray
    half: IntArray  # 1 or 2
    norm_correction: FloatArray
    log_likelihood: FloatArray
    pmax: FloatArray
    n_significant: IntArray


def selected(poses: Poses, rows: IntArray) -> Poses:
    """Return the poses of some rows, in that order."""
    return Poses(**{field.name: getattr(poses, field.name)[rows] for field in fields(Poses)})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Seconds by stage of one iteration, peak memory, and what processes told each other.

    With several processes, seconds are those of the first that works on half 1, memory is that
    of the one that needs most, and bytes are those of all.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_memory: float = 0.0  # GiB
    sent: dict[str, int] = field(default_factory=dict)  # bytes by purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class RefinementState:
    """One complete iteration: enough to write every file of it and to go on from it.

    `models` holds half 1 and half 2; after the joined last iteration it holds one model of all
    particles, and `unfiltered_maps` the two unregularised half maps.  They are also present in
    an ordinary iteration when solvent-corrected FSCs are on.
    """

    box_size: int
    pixel_size: float
    random_seed: int
    options_particle_diameter: float  # Å, resolved
    controller: ControllerState
    sampling: SamplingState
    direction_rot: FloatArray  # (n_directions,) degrees, the sampled directions
    direction_tilt: FloatArray
    group_names: tuple[str, ...]
    models: tuple[HalfModel, ...]
    poses: Poses
    unfiltered_maps: tuple[npt.NDArray[np.float32], ...] = ()
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def is_joined(self) -> bool:
        """Whether this is the last iteration, made from all particles."""
        return len(self.models) == 1
