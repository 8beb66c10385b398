"""Settings and state of the automation from the list blocks of an iteration's files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from aurefine.errors import OptionError, StarError
from aurefine.io import StarFile, round_like_star
from aurefine.jobs.refine_optimiser import read_exact
from aurefine.jobs.refine_options import RunSettings
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import ControllerState, RefinementState, SamplingState

__all__ = [
    "REMEDY",
    "ValueBlock",
    "read_controller",
    "read_diameter",
    "read_options",
    "read_sampling",
    "read_settings",
    "refuse_finished",
    "value_block",
]

_Kind = Literal["bool", "not", "int", "float"]

_OPTION_LABELS: dict[str, tuple[str, _Kind]] = {
    "rlnNumberOfIterations": ("auto_iter_max", "int"),
    "rlnJoinHalvesUntilThisResolution": ("low_resol_join_halves", "float"),
    "rlnAdaptiveOversampleOrder": ("oversampling", "int"),
    "rlnAdaptiveOversampleFraction": ("adaptive_fraction", "float"),
    "rlnWidthMaskEdge": ("mask_edge_px", "int"),
    "rlnDoZeroMask": ("zero_mask", "bool"),
    "rlnDoSolventFlattening": ("flatten_solvent", "bool"),
    "rlnDoSolventFscCorrection": ("solvent_correct_fsc", "bool"),
    "rlnMaximumCoarseImageSize": ("coarse_size_px", "int"),
    "rlnHighresLimitExpectation": ("strict_highres_exp", "float"),
    "rlnLowresLimitExpectation": ("strict_lowres_exp", "float"),
    "rlnDoMapEstimation": ("no_map", "not"),
    "rlnMaximumSignificantPoses": ("max_significant", "int"),
    "rlnAutoLocalSearchesHealpixOrder": ("auto_local_healpix_order", "int"),
    "rlnDoSkipAlign": ("skip_align", "bool"),
    "rlnDoSkipRotate": ("skip_rotate", "bool"),
    "rlnDoCorrectNorm": ("norm", "bool"),
    "rlnDoCorrectScale": ("scale", "bool"),
    "rlnDoCorrectCtf": ("ctf", "bool"),
    "rlnDoIgnoreCtfUntilFirstPeak": ("ctf_intact_first_peak", "bool"),
    "rlnCtfDataArePhaseFlipped": ("ctf_phase_flipped", "bool"),
    "rlnDoOnlyFlipCtfPhases": ("only_flip_phases", "bool"),
    "rlnFixSigmaNoiseEstimates": ("fix_sigma_noise", "bool"),
    "rlnFixSigmaOffsetEstimates": ("fix_sigma_offset", "bool"),
    "rlnMaxNumberOfPooledParticles": ("pool", "int"),
}
_CONTROLLER_LABELS: dict[str, tuple[str, _Kind]] = {
    "rlnCurrentIteration": ("iteration", "int"),
    "rlnIncrementImageSize": ("incr_size", "int"),
    "rlnNumberOfIterWithoutResolutionGain": ("n_iter_without_resolution_gain", "int"),
    "rlnNumberOfIterWithoutChangingAssignments": ("n_iter_without_assignment_change", "int"),
    "rlnBestResolutionThusFar": ("best_frequency", "float"),
    "rlnOverallAccuracyRotations": ("accuracy_angles", "float"),
    "rlnOverallAccuracyTranslationsAngst": ("accuracy_offsets", "float"),
    "rlnChangesOptimalOrientations": ("changes_angles", "float"),
    "rlnChangesOptimalOffsets": ("changes_offsets", "float"),
    "rlnChangesOptimalClasses": ("changes_classes", "float"),
    "rlnSmallestChangesOrientations": ("smallest_angles", "float"),
    "rlnSmallestChangesOffsets": ("smallest_offsets", "float"),
    "rlnSmallestChangesClasses": ("smallest_classes", "int"),
    "rlnHasConverged": ("has_converged", "bool"),
    "rlnHasHighFscAtResolLimit": ("has_high_fsc_at_limit", "bool"),
}
_NEW_IN_5 = frozenset({"rlnMaximumSignificantPoses"})
REMEDY = "The checkpoint is not complete; continue from another iteration."


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """A list block that says which file it comes from when a label is missing."""

    values: dict[str, Any]
    path: str
    name: str

    def need(self, label: str) -> Any:
        """Return the value of a label, or raise StarError."""
        if label not in self.values:
            raise StarError(f"{self.path}: data_{self.name}: label {label} is missing. {REMEDY}")
        return self.values[label]


def value_block(star: StarFile, name: str) -> ValueBlock:
    """Return a list block together with the name of its file."""
    return ValueBlock(star.values(name), star.path, name)


def refuse_finished(general: ValueBlock) -> None:
    """Raise OptionError if the run has converged."""
    is_final = int(general.need("rlnCurrentIteration")) < 0
    if is_final or "rlnModelStarFile2" not in general.values or general.need("rlnHasConverged"):
        raise OptionError(
            f"option --continue: {general.path} belongs to a run that has converged; there is "
            "nothing to continue. Start a new run, or continue from an earlier iteration "
            "(run_it0NN_optimiser.star)."
        )


def read_sampling(
    sampling: ValueBlock, model: ValueBlock, optimiser: ValueBlock, exact: dict[str, Any]
) -> SamplingState:
    """Return the sampling; our exact values win over the rounded ones."""
    is_local = int(model.need("rlnOrientationalPriorMode")) > 0
    order = int(sampling.need("rlnHealpixOrder"))
    fields: dict[str, Any] = {
        "order": order,
        "psi_step": float(sampling.need("rlnPsiStep")),
        "offset_range": float(sampling.need("rlnOffsetRange")),
        "offset_step": float(sampling.need("rlnOffsetStep")),
        "oversampling": int(optimiser.need("rlnAdaptiveOversampleOrder")),
        "perturbation": float(sampling.need("rlnSamplingPerturbInstance")),
        "perturbation_factor": float(sampling.need("rlnSamplingPerturbFactor")),
        "is_local": is_local,
        "sigma_angle": float(model.need("rlnSigmaPriorRotAngle")) if is_local else 0.0,
        "original_order": int(sampling.need("rlnHealpixOrderOriginal")),
        "original_psi_step": float(sampling.need("rlnPsiStepOriginal")),
        "original_offset_range": float(sampling.need("rlnOffsetRangeOriginal")),
        "original_offset_step": float(sampling.need("rlnOffsetStepOriginal")),
    }
    return SamplingState(**fields | read_exact("sampling", SamplingState, exact, optimiser.path))


def _from_label(value: Any, kind: _Kind) -> bool | int | float:
    if kind == "bool":
        return bool(int(value))
    if kind == "not":
        return not int(value)
    return int(value) if kind == "int" else float(value)


def _agrees(exact: Any, value: Any, kind: _Kind) -> bool:
    """Whether a label still says what was written; if not, somebody has edited the file."""
    if kind == "float":
        return bool(round_like_star(np.array([exact]))[0] == float(value))
    return bool(exact == _from_label(value, kind))


def _combine(
    general: ValueBlock, labels: dict[str, tuple[str, _Kind]], exact: dict[str, Any]
) -> dict[str, Any]:
    """Join what RELION's labels say with our exact values; an edited label wins."""
    fields = dict(exact)
    for label, (name, kind) in labels.items():
        if label in _NEW_IN_5 and label not in general.values:
            continue
        value = general.need(label)
        if name not in exact or not _agrees(exact[name], value, kind):
            fields[name] = _from_label(value, kind)
    return fields


def read_controller(
    general: ValueBlock, model: ValueBlock, exact: dict[str, Any]
) -> ControllerState:
    """Return the state of the automation."""
    resolution = float(model.need("rlnCurrentResolution"))
    is_known = 0 < resolution < np.inf
    known: dict[str, Any] = {
        "current_frequency": 1 / resolution if is_known else 0.0,
        "current_size": int(model.need("rlnCurrentImageSize")),
    }
    stored = read_exact("controller", ControllerState, exact, general.path)
    return ControllerState(**known | _combine(general, _CONTROLLER_LABELS, stored))


def read_diameter(general: ValueBlock, exact: dict[str, Any]) -> float:
    """Return the particle diameter [Å]."""
    value = float(general.need("rlnParticleDiameter"))
    stored = float(exact.get("aurefine_particle_diameter", value))
    return stored if _agrees(stored, value, "float") else value


def read_options(
    general: ValueBlock,
    model: ValueBlock,
    sampling: ValueBlock,
    state: RefinementState,
    exact: dict[str, Any],
) -> RefineOptions:
    """Return the settings of the algorithm; what RELION does not store has its default."""
    original = state.sampling
    is_corrected = bool(int(general.values.get("rlnRefsAreCtfCorrected", 1)))
    known: dict[str, Any] = {
        "particle_diameter": state.options_particle_diameter,
        "random_seed": state.random_seed,
        "incr_size": state.controller.incr_size,
        "symmetry": str(sampling.need("rlnSymmetryGroup")).upper(),
        "limit_tilt": float(sampling.need("rlnTiltAngleLimit")),
        "perturbation_factor": original.perturbation_factor,
        "healpix_order": original.original_order,
        "offset_range_px": original.original_offset_range / state.pixel_size,
        "offset_step_px": original.original_offset_step / state.pixel_size,
        "padding": float(model.need("rlnPaddingFactor")),
        "nearest_neighbour": not int(model.need("rlnFourierSpaceInterpolator")),
        "r_min_nn": int(model.need("rlnMinRadiusNnInterpolation")),
        "tau2_fudge": float(model.need("rlnTau2FudgeFactor")),
        "ctf_uncorrected_ref": not is_corrected,
    }
    stored = read_exact("options", RefineOptions, exact, general.path)
    options = RefineOptions(**known | _combine(general, _OPTION_LABELS, stored))
    if stored and state.options_particle_diameter != float(exact["aurefine_particle_diameter"]):
        options = replace(options, particle_diameter=state.options_particle_diameter)
    return options


def read_settings(general: ValueBlock, data_path: str, exact: dict[str, Any]) -> RunSettings:
    """Return the names of files."""
    masks = {
        name: "" if general.values.get(label, "None") == "None" else str(general.values[label])
        for name, label in (
            ("solvent_mask", "rlnSolventMaskName"),
            ("solvent_mask2", "rlnSolventMask2Name"),
        )
    }
    known: dict[str, Any] = {
        "output_root": str(general.need("rlnOutputRootName")),
        "particles": data_path,
    }
    stored = read_exact("settings", RunSettings, exact, general.path)
    return RunSettings(**known | stored | masks)
