"""STAR blocks of the model and sampling files (spec: files, 7.3 and 7.5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.refine.options import RefineOptions
from aurefine.refine.state import HalfModel, RefinementState

__all__ = [
    "Blocks",
    "estimated_shell",
    "model_blocks",
    "overall_completeness",
    "resolution_columns",
    "sampling_blocks",
]

Blocks = dict[str, "pd.DataFrame | dict[str, object]"]

_UNKNOWN = 999.0


def model_blocks(
    state: RefinementState,
    model: HalfModel,
    options: RefineOptions,
    map_name: str,
    *,
    group_optics: Sequence[int] = (),
) -> Blocks:
    """Return the blocks of a model file.

    Parameters
    ----------
    state : RefinementState
    model : HalfModel
        One of `state.models`.
    options : RefineOptions
    map_name : str
        Name of the map of this model.
    group_optics : sequence of int, length n_groups
        Optics group (from 1) of each intensity group. If given, the noise spectra are written
        once more per intensity group, where RELION 3.1 looks for them.

    Returns
    -------
    blocks : dict of str to DataFrame or dict
        In file order, labels without underscore.
    """
    blocks: Blocks = {
        "model_general": _general(state, model, options),
        "model_classes": _classes(state, model, map_name),
        "model_class_1": _spectra(state, model),
        "model_groups": pd.DataFrame(
            {
                "rlnGroupNumber": np.arange(1, len(state.group_names) + 1),
                "rlnGroupName": list(state.group_names),
                "rlnGroupNrParticles": model.group_n_particles,
                "rlnGroupScaleCorrection": model.group_scale,
            }
        ),
    }
    noise = [_noise(state, sigma2) for sigma2 in model.sigma2_noise]
    for number, table in enumerate(noise, 1):
        blocks[f"model_optics_group_{number}"] = table
    for number, optics in enumerate(group_optics, 1):
        blocks[f"model_group_{number}"] = noise[optics - 1]
    blocks["model_pdf_orient_class_1"] = pd.DataFrame(
        {"rlnOrientationDistribution": model.direction_prior}
    )
    return blocks


def sampling_blocks(state: RefinementState, options: RefineOptions) -> Blocks:
    """Return the blocks of the sampling file."""
    sampling = state.sampling
    return {
        "sampling_general": {
            "rlnIs3DSampling": 1,
            "rlnIs3DTranslationalSampling": 0,
            "rlnHealpixOrder": sampling.order,
            "rlnSymmetryGroup": options.symmetry,
            "rlnTiltAngleLimit": options.limit_tilt,
            "rlnPsiStep": sampling.psi_step,
            "rlnOffsetRange": sampling.offset_range,
            "rlnOffsetStep": sampling.offset_step,
            "rlnHelicalOffsetStep": -1.0,
            "rlnSamplingPerturbInstance": sampling.perturbation,
            "rlnSamplingPerturbFactor": sampling.perturbation_factor,
            "rlnHealpixOrderOriginal": sampling.original_order,
            "rlnPsiStepOriginal": sampling.original_psi_step,
            "rlnOffsetRangeOriginal": sampling.original_offset_range,
            "rlnOffsetStepOriginal": sampling.original_offset_step,
        },
        "sampling_directions": pd.DataFrame(
            {"rlnAngleRot": state.direction_rot, "rlnAngleTilt": state.direction_tilt}
        ),
    }


def resolution_columns(
    box_size: int, pixel_size: float
) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]]:
    """Return shell numbers, frequencies [1/Å] and resolutions [Å] of shells 0 to box_size / 2."""
    shells = np.arange(box_size // 2 + 1)
    length = box_size * pixel_size
    angstroms = np.full(len(shells), _UNKNOWN)
    angstroms[1:] = length / shells[1:]
    return {
        "rlnSpectralIndex": shells,
        "rlnResolution": shells / length,
        "rlnAngstromResolution": angstroms,
    }


def estimated_shell(data_vs_prior: npt.NDArray[np.float64]) -> int:
    """Return the last shell before the ratio of signal to noise first falls below 1."""
    below = np.flatnonzero(data_vs_prior[1:] < 1)
    return int(below[0]) if below.size else len(data_vs_prior) - 2


def overall_completeness(coverage: npt.NDArray[np.float64], shell: int) -> float:
    """Average the Fourier completeness over the sphere of radius `shell`."""
    outer = np.minimum(np.arange(shell + 1) + 0.5, max(shell, 0.5))
    volume = np.diff(outer**3, prepend=0.0)
    return float(np.average(coverage[: shell + 1], weights=volume))


def _noise(state: RefinementState, sigma2: npt.NDArray[np.float64]) -> pd.DataFrame:
    columns = resolution_columns(state.box_size, state.pixel_size)
    table = pd.DataFrame(
        {
            "rlnSpectralIndex": columns["rlnSpectralIndex"],
            "rlnResolution": columns["rlnResolution"],
            "rlnSigma2Noise": sigma2,
        }
    )
    return table[table["rlnSigma2Noise"] > 0]


def _general(state: RefinementState, model: HalfModel, options: RefineOptions) -> dict[str, object]:
    frequency = state.controller.current_frequency
    sigma = state.sampling.sigma_angle if state.sampling.is_local else 0.0
    return {
        "rlnReferenceDimensionality": 3,
        "rlnDataDimensionality": 2,
        "rlnOriginalImageSize": state.box_size,
        "rlnCurrentResolution": 1 / frequency if frequency > 0 else _UNKNOWN,
        "rlnCurrentImageSize": state.controller.current_size,
        "rlnPaddingFactor": options.padding,
        "rlnIsHelix": 0,
        "rlnFourierSpaceInterpolator": 0 if options.nearest_neighbour else 1,
        "rlnMinRadiusNnInterpolation": options.r_min_nn,
        "rlnPixelSize": state.pixel_size,
        "rlnNrClasses": 1,
        "rlnNrBodies": 1,
        "rlnNrGroups": len(state.group_names),
        "rlnNrOpticsGroups": len(model.sigma2_noise),
        "rlnTau2FudgeFactor": options.tau2_fudge,
        "rlnNormCorrectionAverage": model.norm_average,
        "rlnSigmaOffsetsAngst": model.sigma_offset,
        "rlnOrientationalPriorMode": int(state.sampling.is_local),
        "rlnSigmaPriorRotAngle": sigma,
        "rlnSigmaPriorTiltAngle": sigma,
        "rlnSigmaPriorPsiAngle": sigma,
        "rlnLogLikelihood": model.log_likelihood,
        "rlnAveragePmax": model.average_pmax,
    }


def _classes(state: RefinementState, model: HalfModel, map_name: str) -> pd.DataFrame:
    controller = state.controller
    shell = estimated_shell(model.data_vs_prior)
    length = state.box_size * state.pixel_size
    is_known = controller.accuracy_angles < _UNKNOWN
    return pd.DataFrame(
        {
            "rlnReferenceImage": [map_name],
            "rlnClassDistribution": [1.0],
            "rlnAccuracyRotations": [controller.accuracy_angles if is_known else 0.0],
            "rlnAccuracyTranslationsAngst": [controller.accuracy_offsets if is_known else 0.0],
            "rlnEstimatedResolution": [length / shell if shell else _UNKNOWN],
            "rlnOverallFourierCompleteness": [overall_completeness(model.fourier_coverage, shell)],
        }
    )


def _spectra(state: RefinementState, model: HalfModel) -> pd.DataFrame:
    columns: dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]] = {
        **resolution_columns(state.box_size, state.pixel_size),
        "rlnSsnrMap": model.data_vs_prior,
        "rlnGoldStandardFsc": model.fsc,
        "rlnFourierCompleteness": model.fourier_coverage,
        "rlnReferenceSigma2": model.sigma2_map,
        "rlnReferenceTau2": model.tau2,
    }
    if state.controller.iteration > 0:
        columns["rlnSpectralOrientabilityContribution"] = model.orientability
    return pd.DataFrame(columns)
