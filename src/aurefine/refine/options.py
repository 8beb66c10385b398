"""Settings of one refinement, as plain values (spec: refinement, section 10)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RefineOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineOptions:
    """What the user asks of a refinement; lengths in Å and angles in degrees unless named `_px`.

    The option table of the job (`aurefine.jobs`) is the single source of flags, labels and
    help texts; this record carries the checked values to the algorithm.
    """

    particle_diameter: float = -1.0  # Å; < 0: (box - mask_edge_px) * pixel size
    mask_edge_px: int = 5
    zero_mask: bool = False
    flatten_solvent: bool = True
    solvent_correct_fsc: bool = False
    low_resol_join_halves: float = -1.0  # Å; <= 0: off
    initial_lowpass: float = -1.0  # Å; <= 0: off
    firstiter_cc: bool = False
    always_cc: bool = False
    symmetry: str = "C1"
    healpix_order: int = 2
    auto_local_healpix_order: int = 4
    oversampling: int = 1
    psi_step: float = -1.0  # degrees; < 0: as HEALPix
    limit_tilt: float = -91.0
    offset_range_px: float = 6.0
    offset_step_px: float = 2.0
    offset_sigma: float = 10.0  # Å
    perturbation_factor: float = 0.5
    sigma_angle: float = -1.0  # degrees; > 0: local searches from the start
    relax_symmetry: str = ""  # group whose mates of each pose are searched, too
    skip_align: bool = False
    skip_rotate: bool = False
    ctf: bool = False
    ctf_intact_first_peak: bool = False
    ctf_uncorrected_ref: bool = False
    ctf_phase_flipped: bool = False
    only_flip_phases: bool = False
    norm: bool = True
    scale: bool = True
    minimum_group_size: int = 0  # smaller intensity-scale groups are joined
    padding: float = 2.0
    tau2_fudge: float = 1.0
    nearest_neighbour: bool = False
    r_min_nn: int = 10
    iterative_gridding: bool = False
    gridding_iterations: int = 10
    random_seed: int = -1
    coarse_size_px: int = -1
    adaptive_fraction: float = 0.999
    max_significant: int = -1
    incr_size: int = 10
    fix_sigma_noise: bool = False
    fix_sigma_offset: bool = False
    min_sigma2_offset: float = 2.0  # Å²
    n_particles_for_noise: int = 1000
    minres_map: int = 5
    no_map: bool = False
    strict_highres_exp: float = -1.0
    strict_lowres_exp: float = -1.0
    check_normalisation: bool = True
    auto_ignore_angles: bool = False
    auto_resol_angles: bool = False
    minimum_angular_sampling: float = 0.0
    maximum_angular_sampling: float = 0.0
    auto_iter_max: int = 999
    abort_at_resolution: float = -1.0
    force_converge: bool = False
    n_threads: int = 1
    pool: int = 3
    early_particles: int = 0  # per half, while the resolution grows; 0: all from the start
    scoring_tolerance: float = 0.0  # log-likelihood that unscored outer shells may hold; 0: none
    jump_sampling: bool = False  # straight to the step that the accuracy calls for
    reuse_poses: float = 0.0  # Pmax from which only the last pose is searched around; 0: never
    two_step_scoring: bool = True  # first pass on the inner rings before all rings
    quirk_offset_prior: bool = False  # mix px and Å in the prior on offsets, as RELION does
    quirk_whole_pixels: bool = False  # round old offsets in local searches too, as RELION does
    memory_budget: float = 0.4  # GiB of working arrays for the batches in flight
