"""STAR blocks of the optimiser file (spec: files, 7.4), and our own block beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from aurefine.errors import StarError
from aurefine.jobs.refine_names import FileNames
from aurefine.jobs.refine_options import RunSettings
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState

__all__ = [
    "END_LABEL",
    "EXACT_BLOCK",
    "OUR_MARK",
    "WRITTEN_LABEL",
    "exact_values",
    "optimiser_general",
    "read_exact",
]

EXACT_BLOCK = "aurefine"  # other programs ask for the blocks they know and skip this one
END_LABEL = "aurefine_end"  # last label of the file, the checksum of the block
WRITTEN_LABEL = "aurefine_written"  # seconds since 1970
OUR_MARK = "written by aurefine"  # in the first line

Record = TypeVar("Record")
_Values = dict[str, object]


def optimiser_general(
    state: RefinementState, options: RefineOptions, settings: RunSettings, names: FileNames
) -> _Values:
    """Return the list block that RELION reads; label order of RELION 5.0.1."""
    return {
        **_files(state, settings, names),
        **_images_and_masks(state, options, settings),
        **_UNUSED_GRADIENT,
        "rlnMaximumSignificantPoses": options.max_significant,
        **_automation(state, options),
        **_UNUSED_HELICAL,
        **_corrections(state, options),
    }


def _files(state: RefinementState, settings: RunSettings, names: FileNames) -> _Values:
    if state.is_joined:
        models: _Values = {"rlnModelStarFile": names.model(None)}
    else:
        models = {"rlnModelStarFile": names.model(1), "rlnModelStarFile2": names.model(2)}
    return {
        "rlnOutputRootName": settings.output_root,
        **models,
        "rlnExperimentalDataStarFile": names.data,
        "rlnTomoTomogramsFile": "",
        "rlnTomoTrajectoriesFile": "",
        "rlnOrientSamplingStarFile": names.sampling,
    }


def _images_and_masks(
    state: RefinementState, options: RefineOptions, settings: RunSettings
) -> _Values:
    return {
        "rlnCurrentIteration": -1 if state.is_joined else state.controller.iteration,
        "rlnNumberOfIterations": options.auto_iter_max,
        "rlnDoSplitRandomHalves": int(not state.is_joined),
        "rlnJoinHalvesUntilThisResolution": options.low_resol_join_halves,
        "rlnAdaptiveOversampleOrder": options.oversampling,
        "rlnAdaptiveOversampleFraction": options.adaptive_fraction,
        "rlnRandomSeed": state.random_seed,
        "rlnParticleDiameter": state.options_particle_diameter,
        "rlnWidthMaskEdge": options.mask_edge_px,
        "rlnDoZeroMask": int(options.zero_mask),
        "rlnDoSolventFlattening": int(options.flatten_solvent),
        "rlnDoSolventFscCorrection": int(options.solvent_correct_fsc),
        "rlnSolventMaskName": settings.solvent_mask or "None",
        "rlnSolventMask2Name": settings.solvent_mask2 or "None",
        "rlnBodyStarFile": "None",
        "rlnTauSpectrumName": "None",
        "rlnMaximumCoarseImageSize": options.coarse_size_px,
        "rlnHighresLimitExpectation": options.strict_highres_exp,
        "rlnLowresLimitExpectation": options.strict_lowres_exp,
        "rlnIncrementImageSize": state.controller.incr_size,
        "rlnDoMapEstimation": int(not options.no_map),
    }


_UNUSED_GRADIENT: _Values = {
    "rlnDoFastSubsetOptimisation": 0,
    "rlnDoExternalReconstruct": 0,
    "rlnDoBlush": 0,
    "rlnBlushNoSpectralTrailing": 0,
    "rlnDoGradientRefine": 0,
    "rlnDoStochasticGradientDescent": 0,
    "rlnGradEmIters": 0,
    "rlnGradHasConverged": 0,
    "rlnGradCurrentStepsize": 0.0,
    "rlnGradSubsetOrder": 0,
    "rlnGradSuspendFinerSamplingIter": -1,
    "rlnGradSuspendLocalSamplingIter": -1,
    "rlnSgdInitialIterationsFraction": 0.3,
    "rlnSgdFinalIterationsFraction": 0.2,
    "rlnSgdMinimumResolution": 20.0,
    "rlnSgdInitialResolution": -1.0,
    "rlnSgdFinalResolution": -1.0,
    "rlnSgdInitialSubsetSize": -1,
    "rlnSgdFinalSubsetSize": -1,
    "rlnSgdMuFactor": 0.0,
    "rlnSgdSkipAnneal": 0,
    "rlnSgdClassInactivityThreshold": 0.0,
    "rlnSgdSubsetSize": -1,
    "rlnSgdWriteEverySubset": 10,
    "rlnSgdStepsize": -1.0,
    "rlnSgdStepsizeScheme": "",
    "rlnTau2FudgeScheme": "",
    "rlnTau2FudgeArg": -1.0,
}


def _automation(state: RefinementState, options: RefineOptions) -> _Values:
    controller = state.controller
    return {
        "rlnDoAutoRefine": 1,
        "rlnDoAutoSampling": 1,
        "rlnAutoLocalSearchesHealpixOrder": options.auto_local_healpix_order,
        "rlnNumberOfIterWithoutResolutionGain": controller.n_iter_without_resolution_gain,
        "rlnBestResolutionThusFar": controller.best_frequency,
        "rlnNumberOfIterWithoutChangingAssignments": controller.n_iter_without_assignment_change,
        "rlnDoSkipAlign": int(options.skip_align),
        "rlnDoSkipRotate": int(options.skip_rotate),
        "rlnOverallAccuracyRotations": controller.accuracy_angles,
        "rlnOverallAccuracyTranslationsAngst": controller.accuracy_offsets,
        "rlnChangesOptimalOrientations": controller.changes_angles,
        "rlnChangesOptimalOffsets": controller.changes_offsets,
        "rlnChangesOptimalClasses": controller.changes_classes,
        "rlnSmallestChangesOrientations": controller.smallest_angles,
        "rlnSmallestChangesOffsets": controller.smallest_offsets,
        "rlnSmallestChangesClasses": controller.smallest_classes,
    }


_UNUSED_HELICAL: _Values = {
    "rlnLocalSymmetryFile": "None",
    "rlnDoHelicalRefine": 0,
    "rlnIgnoreHelicalSymmetry": 0,
    "rlnFourierMask": "None",
    "rlnHelicalTwistInitial": 0.0,
    "rlnHelicalRiseInitial": 0.0,
    "rlnHelicalCentralProportion": 0.3,
    "rlnNrHelicalNStart": 1,
    "rlnHelicalMaskTubeInnerDiameter": -1.0,
    "rlnHelicalMaskTubeOuterDiameter": -1.0,
    "rlnHelicalSymmetryLocalRefinement": 0,
    "rlnHelicalSigmaDistance": -1.0,
    "rlnHelicalKeepTiltPriorFixed": 0,
}


def _corrections(state: RefinementState, options: RefineOptions) -> _Values:
    controller = state.controller
    is_corrected = controller.iteration > 0 or not options.ctf_uncorrected_ref
    return {
        "rlnHasConverged": int(controller.has_converged),
        "rlnHasHighFscAtResolLimit": int(controller.has_high_fsc_at_limit),
        "rlnHasLargeSizeIncreaseIterationsAgo": 0,
        "rlnDoCorrectNorm": int(options.norm),
        "rlnDoCorrectScale": int(options.scale),
        "rlnDoCorrectCtf": int(options.ctf),
        "rlnDoCenterClasses": 0,
        "rlnDoIgnoreCtfUntilFirstPeak": int(options.ctf_intact_first_peak),
        "rlnCtfDataArePhaseFlipped": int(options.ctf_phase_flipped),
        "rlnDoOnlyFlipCtfPhases": int(options.only_flip_phases),
        "rlnRefsAreCtfCorrected": int(is_corrected),
        "rlnFixSigmaNoiseEstimates": int(options.fix_sigma_noise),
        "rlnFixSigmaOffsetEstimates": int(options.fix_sigma_offset),
        "rlnMaxNumberOfPooledParticles": options.pool,
        "rlnOffsetRangeX": -1.0,
        "rlnOffsetRangeY": -1.0,
        "rlnOffsetRangeZ": -1.0,
    }


def exact_values(prefix: str, record: object) -> dict[str, str]:
    """Return all fields of a flat dataclass as text that gives back the same bits.

    Parameters
    ----------
    prefix : str
        Part of the label that names the record, e.g. ``controller``.
    record : dataclass instance
        With fields of type bool, int, float and str only.

    Returns
    -------
    values : dict of str to str
        Labels such as ``aurefine_controller_current_size``.
    """
    values = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if isinstance(value, bool):
            text = str(int(value))
        elif isinstance(value, str):
            text = value
        else:
            text = repr(value.item() if hasattr(value, "item") else value)
        values[f"aurefine_{prefix}_{field.name}"] = text
    return values


def read_exact(
    prefix: str, kind: type[Record], values: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """Return the fields of a record that `exact_values` wrote; what is missing is left out.

    Raises
    ------
    StarError
        For text that is no value of the field's type.
    """
    types = get_type_hints(kind)
    found = {}
    for name, field_type in types.items():
        label = f"aurefine_{prefix}_{name}"
        if label not in values:
            continue
        text = str(values[label])
        try:
            if field_type is bool:
                found[name] = bool(int(text))
            else:
                found[name] = field_type(text)
        except ValueError:
            raise StarError(
                f"{path}: data_{EXACT_BLOCK}: {label} is '{text}', expected a value of type "
                f"{field_type.__name__}. Continue from another iteration."
            ) from None
    return found
