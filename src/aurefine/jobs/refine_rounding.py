"""Rounding a state to what its files hold, so that a restart goes on with the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.io import ParticleTable, label_kind, round_like_star
from aurefine.refine.state import HalfModel, Poses, RefinementState

__all__ = ["quantise", "quantise_table"]

Float = npt.NDArray[np.float64]


def quantise(state: RefinementState) -> RefinementState:
    """Round every number of a state as writing and reading its files would.

    A run that passes its state through this function at the end of each iteration goes on with
    exactly what `read_checkpoint` returns. Controller and sampling are stored in full precision
    and do not change; maps are float32 on disk and in memory.

    Parameters
    ----------
    state : RefinementState

    Returns
    -------
    state : RefinementState
        `times` are kept, although a restart does not know them.
    """
    is_first = state.controller.iteration == 0
    return replace(
        state,
        direction_rot=round_like_star(state.direction_rot),
        direction_tilt=round_like_star(state.direction_tilt),
        models=tuple(_quantise_model(model, is_first) for model in state.models),
        poses=_quantise_poses(state.poses, is_first),
    )


def quantise_table(table: ParticleTable) -> ParticleTable:
    """Round the real numbers of a particle table as writing and reading it would.

    To be applied once, when a new run reads its particles: the data file of an iteration holds
    all input columns in RELION's format, and a restart reads them from there.
    """
    return ParticleTable(_round_columns(table.optics), _round_columns(table.particles), table.path)


def _round_columns(table: pd.DataFrame) -> pd.DataFrame:
    real = [label for label in table.columns if label_kind(label) == "double"]
    return table.assign(**{label: round_like_star(table[label].to_numpy()) for label in real})


def _round(value: float) -> float:
    return float(round_like_star(np.array([value]))[0])


def _quantise_model(model: HalfModel, is_first: bool) -> HalfModel:
    sigma2 = round_like_star(model.sigma2_noise)
    return replace(
        model,
        sigma2_noise=np.where(sigma2 > 0, sigma2, 0.0),  # other shells are not written
        group_scale=round_like_star(model.group_scale),
        direction_prior=round_like_star(model.direction_prior),
        norm_average=_round(model.norm_average),
        sigma_offset=_round(model.sigma_offset),
        tau2=round_like_star(model.tau2),
        sigma2_map=round_like_star(model.sigma2_map),
        data_vs_prior=round_like_star(model.data_vs_prior),
        fsc=round_like_star(model.fsc),
        fourier_coverage=round_like_star(model.fourier_coverage),
        orientability=_unless(is_first, model.orientability),
        log_likelihood=_round(model.log_likelihood),
        average_pmax=_round(model.average_pmax),
    )


def _quantise_poses(poses: Poses, is_first: bool) -> Poses:
    return replace(
        poses,
        rot=round_like_star(poses.rot),
        tilt=round_like_star(poses.tilt),
        psi=round_like_star(poses.psi),
        offset_x=round_like_star(poses.offset_x),
        offset_y=round_like_star(poses.offset_y),
        norm_correction=round_like_star(poses.norm_correction),
        log_likelihood=_unless(is_first, poses.log_likelihood),
        pmax=_unless(is_first, poses.pmax),
        n_significant=np.zeros_like(poses.n_significant) if is_first else poses.n_significant,
    )


def _unless(is_first: bool, values: Float) -> Float:
    """Round, or clear columns that the files of iteration 0 do not have."""
    return np.zeros_like(values) if is_first else round_like_star(values)
