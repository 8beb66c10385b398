"""Option table of *3D auto-refine*: computation, options without effect, options refused."""

from __future__ import annotations

from collections.abc import Mapping

from aurefine.jobs.options import Form, Option, Range, fixed_fields

__all__ = ["OTHER_OPTIONS"]

_COMPUTE = (
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1,
        tab="Compute", label="Number of threads", range=Range(1, 1024),
        help="Threads of this process; the result does not depend on their number.",
        form=Form(
            key="nr_threads", tab="Running", label="Number of threads:", slider=(1, 16, 1),
            continues="both",
        ),
    ),
    Option(
        name="memory_budget", flag="--memory_budget", kind="float", default=0.4, unit="GiB",
        tab="Compute", label="Working memory", range=Range(0, open_low=True),
        help="Memory for the images in flight, beside maps and sums. The last bits of the maps "
        "depend on it, so that a continued run keeps it.",
    ),
    Option(
        name="preread_images", flag="--preread_images", kind="bool", default=False,
        tab="Compute", label="Pre-read all particles into RAM?",
        help="Read all images once and keep them in memory; all threads share them.",
        form=Form(
            key="do_preread_images", label="Pre-read all particles into RAM?", continues="both",
        ),
    ),
    Option(
        name="scratch_dir", flag="--scratch_dir", kind="path", default="", tab="Compute",
        label="Copy particles to scratch directory",
        help="Folder on a local disk to which the images are copied once; the processes of a node "
        "share the copies, which are removed at the end. Not with --preread_images.",
        form=Form(
            key="scratch_dir", label="Copy particles to scratch directory:",
            needs="!do_preread_images", continues="both",
        ),
    ),
    Option(
        name="keep_free_scratch", flag="--keep_free_scratch", kind="float", default=10.0,
        unit="GB", tab="Compute", label="Keep free on scratch", range=Range(0),
        help="Space that stays free there; images that do not fit are read from where they are.",
    ),
    Option(
        name="keep_scratch", flag="--keep_scratch", kind="bool", default=False, tab="Compute",
        label="Keep copies on scratch",
        help="Leave the copies there for a later job with the same particles.",
    ),
    Option(
        name="partial_minutes", flag="--partial_minutes", kind="float", default=10.0,
        unit="min", tab="Compute", label="Store unfinished iterations every", range=Range(0),
        help="An iteration that takes longer is stored every so often while particles are aligned, "
        "and when the run is stopped after a tenth of that time; a continued run goes on from "
        "there. 0: never.",
    ),
    Option(
        name="dry_run", flag="--dry_run", kind="bool", default=False, tab="Compute",
        label="Dry run",
        help="Check the input, print how much memory and disk space the run will need and whether "
        "that is there, and stop.",
    ),
    Option(
        name="ignore_memory_check", flag="--ignore_memory_check", kind="bool", default=False,
        tab="Compute", label="Start without enough memory",
        help="Only warn if memory or disk space will probably not do.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="path", default="",
        tab="Compute", label="Job directory",
        help="Directory (with a slash at its end) for the markers of success, failure and abort.",
        in_form=False,
    ),
    Option(
        name="verbosity", flag="--verb", aliases=("--verbosity",), kind="int", default=1,
        tab="Compute", label="Verbosity", range=Range(0, 3),
        help="0: silent; 1 and more: normal.",
        in_form=False,
    ),
    Option(
        name="progress", flag="--progress", negatives=("--no_progress",), kind="bool",
        default=True, tab="Compute", label="Progress bar",
        help="Show a progress bar on a terminal; on by default.",
        in_form=False,
    ),
    Option(
        name="exclude_bad", flag="--exclude_bad", kind="bool", default=False, tab="Compute",
        label="Exclude bad particles",
        help="Leave out particles with pixels that are not finite, or the same value in all "
        "pixels, instead of stopping at them. All images are read for that at the start.",
    ),
    Option(
        name="skip_checks", flag="--skip_checks", kind="bool", default=False, tab="Compute",
        label="Skip the checks",
        help="Start without looking for a wrong pixel size, inverted contrast, copies and the like "
        "(see aurefine check).",
    ),
    Option(
        name="debug", flag="--debug", kind="bool", default=False, tab="Compute",
        label="Debug", help="Show the place in the program with each error message.",
        in_form=False,
    ),
    Option(
        name="n_classes", flag="--K", kind="int", default=1, tab="Compute", hidden=True,
        label="Number of classes", range=Range(1), help="Must be 1.",
        in_form=False,
    ),
    Option(
        name="iterations", flag="--iter", kind="int", default=-1, tab="Compute", hidden=True,
        label="Number of iterations", help="Has no meaning in automated refinement.",
        in_form=False,
    ),
)  # fmt: skip


def _gpus(values: Mapping[str, str]) -> list[str]:
    return ["--gpu", values["gpu_ids"]] if values["use_gpu"] == "Yes" else []


_STREAMED = "images are always streamed in batches and read ahead."
_HARDWARE = "the program uses all CPU instructions that it finds, and no GPU."
_TRILINEAR = "transforms are always interpolated trilinearly, at all frequencies."
_PROCESSES = "the halves do not exchange files; sums stay in memory."

# flag, takes a value, why nothing happens
_IGNORED: tuple[tuple[str, bool, str], ...] = (
    ("--auto_sampling", False, "automated refinement always samples automatically."),
    ("--pool", True, "batches are sized by --memory_budget."),
    ("--dont_combine_weights_via_disc", False, _PROCESSES),
    ("--sequential_halves_recons", False, "the halves are always reconstructed one by one."),
    ("--no_parallel_disc_io", False, _STREAMED),
    ("--onthefly_shifts", False, "shifts are always computed when they are needed."),
    ("--reuse_scratch", False, "copies of the same particles are always used again."),
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

# fields of the form, kept for projects that RELION opens, too
_FORMS: dict[str, Form] = {
    "--pool": Form(
        key="nr_pool", label="Number of pooled particles:", kind="int", default="3",
        slider=(1, 16, 1), range=Range(1), continues="both",
    ),
    "--dont_combine_weights_via_disc": Form(
        key="do_combine_thru_disc", label="Combine iterations through disc?", writes="no",
        continues="both",
    ),
    "--no_parallel_disc_io": Form(
        key="do_parallel_discio", label="Use parallel disc I/O?", default="Yes", writes="no",
        continues="both",
    ),
    "--gpu": Form(
        key="gpu_ids", label="Which GPUs to use:", default="", needs="use_gpu", continues="both",
        argument=_gpus,
    ),
}  # fmt: skip

_TOMOGRAPHY = "sub-tomograms are out of scope; use RELION for them."
_HELICAL = "helical refinement is out of scope; use RELION for it."
_GRADIENT = "gradient-driven refinement is for classification and initial models; use RELION."
_OTHER_PROGRAM = "it calls another reconstruction program; only the built-in one is available."
_DEVELOPER = "it is a developer option of RELION without a counterpart here."
_WIDTH = "one width holds for all angles; see --sigma_ang."
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
    ("--lowpass_mask", "only one mask is available; join both masks into --solvent_mask."),
    ("--lowpass", "only one mask is available; join both masks into --solvent_mask."),
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


# fields without a flag of their own; those of helices stay at their defaults
_ONLY_IN_FORM: tuple[Option, ...] = (
    Option(
        name="use_gpu", label="Use GPU acceleration?", kind="bool", default=False,
        tab="Compute", status="form", form=Form(key="use_gpu", continues="both"), note=_HARDWARE,
        help="Kept for RELION.",
    ),
    Option(
        name="do_blush", label="Use Blush regularisation?", kind="bool", default=False,
        tab="Optimisation", status="form", hidden=True, form=Form(key="do_blush", version="5.0"),
        note="the neural-network prior is out of scope; leave it at No.",
    ),
    *fixed_fields(
        _HELICAL,
        "do_helix No helical_tube_inner_diameter -1 helical_tube_outer_diameter -1 range_rot -1 "
        "range_tilt 15 range_psi 10 helical_range_distance -1 keep_tilt_prior_fixed Yes "
        "do_apply_helical_symmetry Yes helical_nr_asu 1 helical_twist_initial 0 "
        "helical_rise_initial 0 helical_z_percentage 30 do_local_search_helical_symmetry No "
        "helical_twist_min 0 helical_twist_max 0 helical_twist_inistep 0 helical_rise_min 0 "
        "helical_rise_max 0 helical_rise_inistep 0",
    ),
)  # fmt: skip

OTHER_OPTIONS: tuple[Option, ...] = (
    *_COMPUTE,
    *_ONLY_IN_FORM,
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
            form=_FORMS.get(flag),
            in_form=flag in _FORMS,
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
