"""Option table of *3D auto-refine*: computation, options without effect, options refused."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["OTHER_OPTIONS"]

_COMPUTE = (
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1,
        tab="Compute", label="Number of threads", range=Range(1, 1024), job_variable="nr_threads",
        help="Threads of this process; the result does not depend on their number.",
    ),
    Option(
        name="memory_budget", flag="--memory_budget", kind="float", default=1.0, unit="GiB",
        tab="Compute", label="Working memory", range=Range(0, open_low=True),
        help="Memory for the images in flight, beside maps and sums.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="path", default="",
        tab="Compute", label="Job directory",
        help="Directory (with a slash at its end) for the markers of success, failure and abort.",
    ),
    Option(
        name="verbosity", flag="--verb", aliases=("--verbosity",), kind="int", default=1,
        tab="Compute", label="Verbosity", range=Range(0, 3),
        help="0: silent; 1 and more: normal.",
    ),
    Option(
        name="progress", flag="--progress", negatives=("--no_progress",), kind="bool",
        default=True, tab="Compute", label="Progress bar",
        help="Show a progress bar on a terminal; on by default.",
    ),
    Option(
        name="debug", flag="--debug", kind="bool", default=False, tab="Compute",
        label="Debug", help="Show the place in the program with each error message.",
    ),
    Option(
        name="n_classes", flag="--K", kind="int", default=1, tab="Compute", hidden=True,
        label="Number of classes", range=Range(1), help="Must be 1.",
    ),
    Option(
        name="iterations", flag="--iter", kind="int", default=-1, tab="Compute", hidden=True,
        label="Number of iterations", help="Has no meaning in automated refinement.",
    ),
    Option(
        name="relax_symmetry", flag="--relax_sym", kind="str", default="", hidden=True,
        tab="Compute", label="Relax symmetry", value_optional=True, help="Must be empty.",
    ),
)  # fmt: skip

_STREAMED = "images are always streamed in batches and read ahead."
_HARDWARE = "the program uses all CPU instructions that it finds, and no GPU."
_SCRATCH = "images are streamed; put them on a fast disk if reading limits the speed."
_TRILINEAR = "transforms are always interpolated trilinearly, at all frequencies."
_PROCESSES = "the halves do not exchange files; sums stay in memory."

# flag, takes a value, why nothing happens
_IGNORED: tuple[tuple[str, bool, str], ...] = (
    ("--auto_sampling", False, "automated refinement always samples automatically."),
    ("--pool", True, "batches are sized by --memory_budget."),
    ("--dont_combine_weights_via_disc", False, _PROCESSES),
    ("--sequential_halves_recons", False, "the halves are always reconstructed one by one."),
    ("--no_parallel_disc_io", False, _STREAMED),
    ("--preread_images", False, _STREAMED),
    ("--onthefly_shifts", False, "shifts are always computed when they are needed."),
    ("--scratch_dir", True, _SCRATCH),
    ("--keep_free_scratch", True, _SCRATCH),
    ("--reuse_scratch", False, _SCRATCH),
    ("--keep_scratch", False, _SCRATCH),
    ("--gpu", True, _HARDWARE),
    ("--free_gpu_memory", True, _HARDWARE),
    ("--cpu", False, _HARDWARE),
    ("--sycl", False, _HARDWARE),
    ("--sycl-opencl", False, _HARDWARE),
    ("--sycl-cuda", False, _HARDWARE),
    ("--sycl-hip", False, _HARDWARE),
    ("--NN", False, _TRILINEAR),
    ("--r_min_nn", True, _TRILINEAR),
    ("--failsafe_threshold", True, "weights are computed with logarithms and can not underflow."),
    ("--skip_gridding", False, "that is the default here; see --dont_skip_gridding."),
    ("--ctf_corrected_ref", False, "that is the default here; see --ctf_uncorrected_ref."),
    ("--allow_coarser_sampling", False, "it concerns classification only."),
    ("--keep_debug_reconstruct_files", False, "there are no such files."),
)

_TOMOGRAPHY = "sub-tomograms are out of scope; use RELION for them."
_HELICAL = "helical refinement is out of scope; use RELION for it."
_GRADIENT = "gradient-driven refinement is for classification and initial models; use RELION."
_OTHER_PROGRAM = "it calls another reconstruction program; only the built-in one is available."
_DEVELOPER = "it is a developer option of RELION without a counterpart here."
_NOT_YET = "not implemented yet;"
_WIDTH = f"{_NOT_YET} local searches choose their width; see --auto_local_healpix_order."
_FIXED = "this prior is estimated from the data here."

# flag, why it is refused and what to do
_REFUSED: tuple[tuple[str, str], ...] = (
    ("--helix", _HELICAL),
    ("--helical_*", _HELICAL),
    ("--ignore_helical_symmetry", _HELICAL),
    ("--bimodal_psi", _HELICAL),
    ("--ios", _TOMOGRAPHY),
    ("--tomograms", _TOMOGRAPHY),
    ("--trajectories", _TOMOGRAPHY),
    ("--normalised_subtomo", _TOMOGRAPHY),
    ("--skip_subtomo_multi", _TOMOGRAPHY),
    ("--subtomo_multi_thr", _TOMOGRAPHY),
    ("--ctf3d_not_squared", _TOMOGRAPHY),
    ("--offset_range_z", _TOMOGRAPHY),
    ("--grad*", _GRADIENT),
    ("--sgd*", _GRADIENT),
    ("--som*", _GRADIENT),
    ("--denovo_3dref", _GRADIENT),
    ("--fast_subsets", _GRADIENT),
    ("--multibody_*", "multi-body refinement is out of scope; use RELION for it."),
    ("--reconstruct_subtracted_bodies", "multi-body refinement is out of scope; use RELION."),
    ("--blush*", "the neural-network prior is out of scope; leave the option out."),
    ("--external_reconstruct", _OTHER_PROGRAM),
    ("--local_symmetry", "symmetry inside the particle is not available; leave the option out."),
    ("--pad_ctf", "RELION refuses it too; use larger boxes instead."),
    ("--solvent_mask2", "only one mask is available; join both masks into --solvent_mask."),
    ("--lowpass_mask", "only one mask is available; join both masks into --solvent_mask."),
    ("--lowpass", "only one mask is available; join both masks into --solvent_mask."),
    ("--skip_align", f"{_NOT_YET} use relion_reconstruct for a map from known poses."),
    ("--skip_rotate", f"{_NOT_YET} leave the option out to search orientations, too."),
    ("--sigma_ang", _WIDTH),
    ("--sigma_rot", _WIDTH),
    ("--sigma_tilt", _WIDTH),
    ("--sigma_psi", _WIDTH),
    ("--tau", _FIXED),
    ("--sigma", _FIXED),
    ("--sigma2_fudge", _FIXED),
    ("--offset_range_x", "use --offset_range, which holds for both directions."),
    ("--offset_range_y", "use --offset_range, which holds for both directions."),
    ("--accuracy_current_size", _DEVELOPER),
    ("--only_sample_tilt", _DEVELOPER),
    ("--skip_maximize", _DEVELOPER),
    ("--always_join_random_halves", _DEVELOPER),
    ("--join_random_halves", _DEVELOPER),
    ("--use_all_data", _DEVELOPER),
    ("--debug_split_random_half", _DEVELOPER),
    ("--fourier_mask", _DEVELOPER),
    ("--center_classes", "it would break the link between poses and map; centre the reference."),
    ("--print_symmetry_ops", "it has nothing to do with a refinement; leave the option out."),
    ("--print_metadata_labels", "it has nothing to do with a refinement; leave the option out."),
)


def _name_of(flag: str) -> str:
    return flag.strip("-*").replace("-", "_").rstrip("_")


OTHER_OPTIONS: tuple[Option, ...] = (
    *_COMPUTE,
    *(
        Option(
            name=_name_of(flag),
            flag=flag,
            label=_name_of(flag),
            kind="str" if has_value else "bool",
            status="ignored",
            note=note,
            value_optional=flag == "--gpu",
            tab="Compute",
        )
        for flag, has_value, note in _IGNORED
    ),
    *(
        Option(
            name=_name_of(flag),
            flag=flag,
            label=_name_of(flag),
            kind="str",
            status="refused",
            note=note,
        )
        for flag, note in _REFUSED
    ),
)
