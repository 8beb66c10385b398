"""From option values to the records of a refinement: `RefineOptions` and `RunSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from aurefine.errors import OptionError
from aurefine.jobs.options import Option, check_values, with_defaults
from aurefine.jobs.refine_table import RESULT_OPTIONS
from aurefine.jobs.refine_table_other import OTHER_OPTIONS
from aurefine.refine.options import RefineOptions

__all__ = [
    "REFINE_OPTIONS",
    "RunSettings",
    "continued_options",
    "continued_settings",
    "ignored_when_continuing",
    "to_refine_options",
    "to_run_settings",
]

REFINE_OPTIONS: tuple[Option, ...] = (*RESULT_OPTIONS, *OTHER_OPTIONS)

_FIELDS = tuple(field.name for field in fields(RefineOptions))
_DEFAULT_PARTICLES_FOR_NOISE = 1000

# what may be changed in a continued run (spec: refinement, section 7) ...
_MAY_CHANGE = frozenset(
    {
        "tau2_fudge", "particle_diameter", "oversampling", "auto_local_healpix_order",
        "offset_sigma",
        "perturbation_factor", "padding", "max_significant", "strict_highres_exp", "scale",
        "norm", "force_converge", "auto_iter_max", "minimum_angular_sampling",
        "maximum_angular_sampling", "iterative_gridding", "gridding_iterations",
        "relax_symmetry", "skip_align", "skip_rotate",
        "abort_at_resolution", "quirk_offset_prior", "quirk_whole_pixels",
        "minres_map", "two_step_scoring",
        "early_particles", "scoring_tolerance", "jump_sampling", "reuse_poses",
    }
)  # fmt: skip
# ... what can only be switched on ...
_MAY_SWITCH_ON = frozenset(
    {
        "flatten_solvent", "solvent_correct_fsc", "auto_ignore_angles", "auto_resol_angles",
    }
)  # fmt: skip
# ... what --relion_schedule sets, and to what ...
_RELION_SCHEDULE: dict[str, Any] = {
    "early_particles": 0,
    "scoring_tolerance": 0.0,
    "jump_sampling": False,
    "reuse_poses": 0.0,
}
# ... what belongs to this computer and not to the refinement ...
_OF_THIS_RUN = frozenset({"n_threads"})
# ... and what decides the last bits of the maps, and is not in files of RELION
_STORED_BY_US = frozenset({"memory_budget"})
_NOT_OF_THE_ALGORITHM = frozenset(
    {
        "output", "continue_from", "auto_refine", "split_random_halves", "solvent_mask",
        "pipeline_control", "verbosity", "progress", "debug", "n_classes", "iterations",
        "skip_normalisation_check", "solvent_mask2", "preread_images", "scratch_dir",
        "keep_free_scratch", "keep_scratch", "relion_schedule", "dry_run", "ignore_memory_check",
        "skip_checks", "exclude_bad", "partial_minutes",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Names of files and ways of running, which the algorithm does not know; Å."""

    output_root: str
    particles: str = ""
    reference: str = ""
    reference_pixel_size: float = -1.0
    trust_reference_size: bool = False
    rescale_reference: bool = False
    solvent_mask: str = ""
    solvent_mask2: str = ""
    continue_from: str = ""
    pipeline_control: str = ""
    preread_images: bool = False
    scratch_dir: str = ""
    keep_free_scratch: float = 10.0  # GB
    keep_scratch: bool = False
    ignore_memory_check: bool = False
    partial_minutes: float = 10.0
    verbosity: int = 1
    show_progress: bool = True
    skips_checks: bool = False
    excludes_bad: bool = False  # particles with unusable pixels
    decides_firstiter_cc: bool = False  # by the greyscale of the reference


def to_refine_options(values: Mapping[str, Any]) -> RefineOptions:
    """Check the values of a new run and turn them into the settings of the algorithm.

    Parameters
    ----------
    values : mapping of str to value
        By option name (`Option.name`); what is missing takes its default.

    Returns
    -------
    options : RefineOptions

    Raises
    ------
    OptionError
        For a value out of range, an unknown point group, or settings that contradict each other.
    """
    from aurefine.geometry.symmetry import point_group  # loads NumPy: not needed for --help

    full = _complete(_with_schedule(values))
    chosen = {name: full[name] for name in _FIELDS if name in full}
    chosen["symmetry"] = point_group(full["symmetry"]).name
    if full["relax_symmetry"]:
        chosen["relax_symmetry"] = point_group(full["relax_symmetry"]).name
    chosen["firstiter_cc"] = full["firstiter_cc"] is True
    chosen["check_normalisation"] = not full["skip_normalisation_check"]
    if full["tau2_fudge"] == -1:
        chosen["tau2_fudge"] = 1.0
    if full["n_particles_for_noise"] == -1:
        chosen["n_particles_for_noise"] = _DEFAULT_PARTICLES_FOR_NOISE
    if "pool" in values:
        chosen["pool"] = int(values["pool"])
    options = RefineOptions(**chosen)
    _check_together(options, values, full)
    return options


def to_run_settings(values: Mapping[str, Any]) -> RunSettings:
    """Return the file names and ways of running, after checking that they are complete.

    A continued run without an output name writes to ``<old root>_ct<iteration>``.

    Raises
    ------
    OptionError
        If a name is missing that is needed.
    """
    full = _complete(values)
    continue_from = full["continue_from"] or ""
    output = full["output"] or (_continued_root(continue_from) if continue_from else "")
    if not output:
        raise OptionError("option --o (Output root name) is missing; example: --o job001/run.")
    if output.endswith("/"):
        raise OptionError(
            f"option --o: found the directory '{output}', expected the beginning of file names; "
            f"example: --o {output}run."
        )
    if not continue_from:
        for name, flag in (("particles", "--i"), ("reference", "--ref")):
            if full[name] in (None, "", "None"):
                raise OptionError(
                    f"option {flag} ({name}) is missing; a new refinement needs --i and --ref, "
                    "a continued one --continue."
                )
    control = full["pipeline_control"] or ""
    if control and not Path(control).is_dir():
        raise OptionError(f"option --pipeline_control: there is no directory '{control}'.")
    return RunSettings(
        output_root=output,
        particles=full["particles"] or "",
        reference=full["reference"] or "",
        reference_pixel_size=full["reference_pixel_size"],
        trust_reference_size=full["trust_reference_size"],
        rescale_reference=full["rescale_reference"],
        solvent_mask=_file_name(full["solvent_mask"]),
        solvent_mask2=_file_name(full["solvent_mask2"]),
        continue_from=continue_from,
        pipeline_control=control,
        preread_images=full["preread_images"],
        scratch_dir=full["scratch_dir"] or "",
        keep_free_scratch=full["keep_free_scratch"],
        keep_scratch=full["keep_scratch"],
        ignore_memory_check=full["ignore_memory_check"],
        partial_minutes=full["partial_minutes"],
        verbosity=full["verbosity"],
        show_progress=full["progress"],
        skips_checks=full["skip_checks"],
        excludes_bad=full["exclude_bad"],
        decides_firstiter_cc=full["firstiter_cc"] == "auto",
    )


def continued_options(
    stored: RefineOptions, values: Mapping[str, Any], *, is_ours: bool = True
) -> RefineOptions:
    """Return the settings of a continued run: the stored ones and the changes that are allowed.

    Parameters
    ----------
    stored : RefineOptions
        From the checkpoint.
    values : mapping of str to value
        Only what the user gave; see `ignored_when_continuing` for what is not followed.
    is_ours : bool
        Whether the checkpoint was written by this program.

    Returns
    -------
    options : RefineOptions
    """
    values = _with_schedule(values)
    wished = to_refine_options({**_plain(stored), **values})
    names = {name for name in _MAY_CHANGE if name in values and name in _FIELDS}
    names |= {name for name in _MAY_SWITCH_ON if values.get(name)}
    changes = {name: getattr(wished, name) for name in names}
    machine = with_defaults(REFINE_OPTIONS, values)
    changes |= {name: machine[name] for name in _free_to_set(is_ours)}
    if "pool" in values:
        changes["pool"] = wished.pool
    if values.get("skip_normalisation_check"):
        changes["check_normalisation"] = False
    return replace(stored, **changes)


def continued_settings(stored: RunSettings, values: Mapping[str, Any]) -> RunSettings:
    """Return the file names of a continued run: given ones, else the stored ones."""
    now = to_run_settings(values)
    return replace(
        now,
        particles=stored.particles,
        reference=stored.reference,
        reference_pixel_size=stored.reference_pixel_size,
        trust_reference_size=stored.trust_reference_size,
        rescale_reference=stored.rescale_reference,
        solvent_mask=now.solvent_mask or stored.solvent_mask,
        solvent_mask2=now.solvent_mask2 or stored.solvent_mask2,
    )


def ignored_when_continuing(
    values: Mapping[str, Any],
    options: RefineOptions,
    settings: RunSettings,
    *,
    is_ours: bool = True,
) -> list[str]:
    """Return one line for each given option that a continued run does not follow.

    Parameters
    ----------
    values : mapping of str to value
        Only what the user gave.
    options, settings
        Stored ones; what is given as it is stored is not mentioned.
    is_ours : bool
        Whether the checkpoint was written by this program.
    """
    known = _MAY_CHANGE | _MAY_SWITCH_ON | _free_to_set(is_ours) | _NOT_OF_THE_ALGORITHM
    return [
        f"option {option.flag} is not followed with --continue: the stored value is kept"
        for option in REFINE_OPTIONS
        if option.status == "used"
        and option.name in values
        and option.name not in known
        and not _is_stored(option.name, values[option.name], options, settings)
    ]


def _free_to_set(is_ours: bool) -> frozenset[str]:
    return _OF_THIS_RUN if is_ours else _OF_THIS_RUN | _STORED_BY_US


def _is_stored(name: str, value: Any, options: RefineOptions, settings: RunSettings) -> bool:
    """Whether an option was given as it is stored."""
    for record in (options, settings):
        if hasattr(record, name):
            stored = getattr(record, name)
            if isinstance(stored, str):
                return stored.upper() == str(value).upper()
            return bool(stored == value)
    return False


def _file_name(value: str | None) -> str:
    """Return a name; RELION says None for no file."""
    return "" if value in (None, "None") else str(value)


def _with_schedule(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let --relion_schedule stand for the options that it switches off."""
    return {**_RELION_SCHEDULE, **values} if values.get("relion_schedule") else values


def _complete(values: Mapping[str, Any]) -> dict[str, Any]:
    check_values(REFINE_OPTIONS, values)
    return with_defaults(REFINE_OPTIONS, values)


def _plain(stored: RefineOptions) -> dict[str, Any]:
    """Return stored settings as option values, to check them together with new ones."""
    table = {option.name for option in REFINE_OPTIONS if option.status == "used"}
    return {name: getattr(stored, name) for name in _FIELDS if name in table}


def _continued_root(optimiser: str) -> str:
    """Return ``<old root>_ct<iteration>`` of ``<old root>_it<iteration>_optimiser.star``."""
    head, mark, tail = optimiser.rpartition("_it")
    number = tail.partition("_")[0]
    if not mark or not number.isdigit() or not tail.endswith("_optimiser.star"):
        raise OptionError(
            f"option --continue: found '{optimiser}', expected a file like "
            "run_it005_optimiser.star; give --o for other names."
        )
    return f"{head}_ct{int(number)}"


def _check_together(
    options: RefineOptions, values: Mapping[str, Any], full: Mapping[str, Any]
) -> None:
    if full["n_classes"] != 1:
        raise OptionError(
            f"option --K: found {full['n_classes']}, expected 1: this program refines one map; "
            "use RELION for classification."
        )
    for name in ("auto_refine", "split_random_halves"):
        if not full[name]:
            raise OptionError(
                f"option --{name} can not be switched off: nothing else is done here."
            )
    if full["iterations"] > 0 and "auto_refine" not in values and not full["continue_from"]:
        raise OptionError(
            "option --iter without --auto_refine asks for a classification, which is not "
            "available: add --auto_refine --split_random_halves, or use RELION."
        )
    if options.solvent_correct_fsc and not full["solvent_mask"] and not full["continue_from"]:
        raise OptionError(
            "option --solvent_correct_fsc needs a mask: add --solvent_mask MASK.mrc, or leave it "
            "out."
        )
    if options.force_converge and not full["continue_from"]:
        raise OptionError(
            "option --force_converge finishes a run that exists: add --continue OPTIMISER.star."
        )
    if options.only_flip_phases and options.ctf_phase_flipped:
        raise OptionError(
            "options --only_flip_phases and --ctf_phase_flipped contradict each other: images "
            "whose phases are flipped already need the second one only."
        )
    step = options.offset_step_px
    if options.offset_range_px > 50 * step:
        raise OptionError(
            f"options --offset_range {options.offset_range_px:g} and --offset_step {step:g} "
            "make more than 7000 offsets: use a shorter range or a longer step."
        )
    low, high = options.minimum_angular_sampling, options.maximum_angular_sampling
    if low > 0 and high > 0 and low < high:
        raise OptionError(
            f"options --minimum_angular_sampling {low:g} and --maximum_angular_sampling {high:g} "
            "contradict each other: the first asks for a finer step than the second allows."
        )
