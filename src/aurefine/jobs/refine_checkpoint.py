"""Reading the files of an iteration, to go on from it: our own, and those of RELION 3.1 to 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import AurefineError, StarError
from aurefine.io import (
    ParticleTable,
    StarFile,
    read_map,
    read_particles,
    read_star,
)
from aurefine.jobs.refine_checksums import text_checksum
from aurefine.jobs.refine_optimiser import END_LABEL, EXACT_BLOCK, OUR_MARK
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.refine_restored import (
    REMEDY,
    ValueBlock,
    read_controller,
    read_diameter,
    read_options,
    read_sampling,
    read_settings,
    refuse_finished,
    value_block,
)
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import HalfModel, Poses, RefinementState

__all__ = ["Checkpoint", "exact_block", "read_checkpoint"]

Float = npt.NDArray[np.float64]


class Checkpoint(NamedTuple):
    """Everything that a continued run needs."""

    state: RefinementState
    options: RefineOptions
    settings: RunSettings
    table: ParticleTable
    is_ours: bool  # not RELION's


def read_checkpoint(optimiser_path: str) -> Checkpoint:
    """Read everything that a continued run needs.

    Parameters
    ----------
    optimiser_path : str
        ``run_it0NN_optimiser.star`` of aurefine or of RELION 3.1 to 5. The files that it names
        are looked for beside it, then from the working directory.

    Returns
    -------
    Checkpoint
        Its state is bit for bit what `quantise` made of the state that was written (`times`
        excepted). For files of RELION, options that they do not hold have their defaults.

    Raises
    ------
    OptionError
        If the run has converged: there is nothing to continue.
    StarError, MrcError
        If a file is missing, damaged, or does not belong to the others.
    """
    try:
        return _read(optimiser_path)
    except AurefineError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise StarError(
            f"{optimiser_path}: it or a file that it names is damaged: {error}. {REMEDY}"
        ) from None


def _read(optimiser_path: str) -> Checkpoint:
    star = read_star(optimiser_path)
    general = value_block(star, "optimiser_general")
    refuse_finished(general)
    exact = _checked_block(star)

    data_path = _find(general, "rlnExperimentalDataStarFile")
    table = read_particles(data_path)
    sampling_star = read_star(_find(general, "rlnOrientSamplingStarFile"))
    sampling_general = value_block(sampling_star, "sampling_general")
    directions = sampling_star.table("sampling_directions")
    wanted = _model_block_names(len(table.optics))
    model_stars = [
        read_star(_find(general, label), only=wanted)
        for label in ("rlnModelStarFile", "rlnModelStarFile2")
    ]
    model_general = value_block(model_stars[0], "model_general")

    box_size = int(model_general.need("rlnOriginalImageSize"))
    pixel_size = float(exact.get("aurefine_pixel_size", model_general.need("rlnPixelSize")))
    for model_star in model_stars:
        _check_directions(sampling_star, model_star)
    models = tuple(
        _read_model(model_star, general, box_size, len(directions), len(table.optics))
        for model_star in model_stars
    )
    sampling = read_sampling(sampling_general, model_general, general, exact)
    state = RefinementState(
        box_size=box_size,
        pixel_size=pixel_size,
        random_seed=int(general.need("rlnRandomSeed")),
        options_particle_diameter=read_diameter(general, exact),
        controller=read_controller(general, model_general, exact),
        sampling=sampling,
        direction_rot=_column(directions, "rlnAngleRot", sampling_star.path),
        direction_tilt=_column(directions, "rlnAngleTilt", sampling_star.path),
        group_names=_group_names(model_stars[0]),
        models=models,
        poses=_read_poses(table),
        unfiltered_maps=_read_unfiltered(model_stars),
    )
    _check_particles(state, table)
    options = read_options(general, model_general, sampling_general, state, exact)
    run_settings = read_settings(general, data_path, exact)
    return Checkpoint(state, options, run_settings, table, is_ours=bool(exact))


def exact_block(optimiser_path: str) -> dict[str, Any]:
    """Return our own block of an optimiser file; empty for files of RELION.

    Raises
    ------
    StarError
        If the file does not reach its end, or if the block was changed since it was written.
    """
    return _checked_block(read_star(optimiser_path))


def _checked_block(star: StarFile) -> dict[str, Any]:
    path = star.path
    exact = star.values(EXACT_BLOCK) if EXACT_BLOCK in star else {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        is_ours = OUR_MARK in stream.readline()
    if is_ours and END_LABEL not in exact:
        raise StarError(f"{path}: the file has no end. {REMEDY}")
    others = {label: value for label, value in exact.items() if label != END_LABEL}
    if END_LABEL in exact and exact[END_LABEL] != text_checksum(others):
        raise StarError(
            f"{path}: data_{EXACT_BLOCK}: this block is damaged: its checksum differs. {REMEDY}"
        )
    return exact


def _find(general: ValueBlock, label: str) -> str:
    """Return the path of a file that the optimiser file names."""
    return _find_beside(str(general.need(label)), general.path)


def _find_beside(name: str, path: str) -> str:
    beside = Path(path).parent / Path(name).name
    for candidate in (beside, Path(name)):
        if candidate.is_file():
            return str(candidate)
    raise StarError(
        f"{path}: names the file '{name}', which does not exist, neither beside it nor "
        f"from the working directory. {REMEDY}"
    )


def _column(table: pd.DataFrame, label: str, path: str, length: int | None = None) -> Float:
    if label not in table:
        raise StarError(f"{path}: column {label} is missing. {REMEDY}")
    if length is not None and len(table) != length:
        raise StarError(
            f"{path}: column {label} has {len(table)} rows, expected {length}. {REMEDY}"
        )
    return np.array(table[label], dtype=np.float64)


def _model_block_names(n_optics: int) -> list[str]:
    """Return the blocks of a model file that count; there may be thousands of others."""
    return [
        "model_general", "model_classes", "model_class_1", "model_groups", "model_group_1",
        "model_pdf_orient_class_1", *(f"model_optics_group_{g}" for g in range(1, n_optics + 1)),
    ]  # fmt: skip


def _check_directions(sampling: StarFile, model: StarFile) -> None:
    n_sampled = len(sampling.table("sampling_directions"))
    n_prior = len(model.table("model_pdf_orient_class_1"))
    if n_sampled != n_prior:
        raise StarError(
            f"{sampling.path} has {n_sampled} directions, but {model.path} has probabilities for "
            f"{n_prior}. {REMEDY}"
        )


def _group_names(star: StarFile) -> tuple[str, ...]:
    groups = star.table("model_groups")
    if "rlnGroupName" not in groups:
        raise StarError(f"{star.path}: column rlnGroupName is missing. {REMEDY}")
    return tuple(str(name) for name in groups["rlnGroupName"])


def _read_model(
    star: StarFile, optimiser: ValueBlock, box_size: int, n_directions: int, n_optics: int
) -> HalfModel:
    path, general = star.path, value_block(star, "model_general")
    n_shells = box_size // 2 + 1
    spectra, groups = star.table("model_class_1"), star.table("model_groups")
    prior = star.table("model_pdf_orient_class_1")

    def spectrum(label: str) -> Float:
        return _column(spectra, label, path, n_shells)

    has_orientability = "rlnSpectralOrientabilityContribution" in spectra
    return HalfModel(
        map=_read_reference(star, optimiser, box_size),
        sigma2_noise=np.stack([_read_noise(star, g, n_shells) for g in range(1, n_optics + 1)]),
        group_scale=_column(groups, "rlnGroupScaleCorrection", path),
        group_n_particles=_column(groups, "rlnGroupNrParticles", path).astype(np.int64),
        direction_prior=_column(prior, "rlnOrientationDistribution", path, n_directions),
        norm_average=float(general.need("rlnNormCorrectionAverage")),
        sigma_offset=float(general.need("rlnSigmaOffsetsAngst")),
        tau2=spectrum("rlnReferenceTau2"),
        sigma2_map=spectrum("rlnReferenceSigma2"),
        data_vs_prior=spectrum("rlnSsnrMap"),
        fsc=spectrum("rlnGoldStandardFsc"),
        fourier_coverage=spectrum("rlnFourierCompleteness"),
        orientability=(
            spectrum("rlnSpectralOrientabilityContribution")
            if has_orientability
            else np.zeros(n_shells)
        ),
        log_likelihood=float(general.need("rlnLogLikelihood")),
        average_pmax=float(general.need("rlnAveragePmax")),
    )


def _read_reference(
    star: StarFile, optimiser: ValueBlock, box_size: int
) -> npt.NDArray[np.float32]:
    classes = star.table("model_classes")
    if len(classes) != 1:
        raise StarError(
            f"{star.path}: data_model_classes has {len(classes)} rows, expected 1: only "
            "refinements of one map can be continued."
        )
    path = _find_beside(str(classes["rlnReferenceImage"].iloc[0]), optimiser.path)
    data, _ = read_map(path)
    if data.shape != (box_size,) * 3:
        raise StarError(
            f"{path}: the map has {' x '.join(map(str, data.shape[::-1]))} voxels, but "
            f"{star.path} expects {box_size} in each direction. {REMEDY}"
        )
    if not np.isfinite(data).all():
        raise StarError(f"{path}: the map has values that are not finite. {REMEDY}")
    return np.array(data, dtype=np.float32)


def _read_noise(star: StarFile, group: int, n_shells: int) -> Float:
    """Return the noise spectrum of an optics group; shells that are not in the file are 0.

    RELION 3.1 has a spectrum per micrograph group; the first one then counts for all.
    """
    name = f"model_optics_group_{group}"
    if name not in star:
        name = "model_group_1"
    if name not in star:
        raise StarError(f"{star.path}: block data_model_optics_group_{group} is missing. {REMEDY}")
    table = star.table(name)
    shells = _column(table, "rlnSpectralIndex", star.path).astype(np.int64)
    if len(shells) and (shells.min() < 0 or shells.max() >= n_shells):
        raise StarError(
            f"{star.path}: data_{name}: shell {shells.max()} does not exist; the box has "
            f"{n_shells} shells. {REMEDY}"
        )
    noise = np.zeros(n_shells)
    noise[shells] = _column(table, "rlnSigma2Noise", star.path)
    return noise


def _read_unfiltered(model_stars: list[StarFile]) -> tuple[npt.NDArray[np.float32], ...]:
    """Return the unregularised half maps if both were written."""
    names = [
        Path(star.path).with_name(
            Path(star.path).name.replace("_model.star", "_class001_unfil.mrc")
        )
        for star in model_stars
    ]
    if not all(name.is_file() for name in names):
        return ()
    return tuple(np.array(read_map(name)[0], dtype=np.float32) for name in names)


def _read_poses(table: ParticleTable) -> Poses:
    particles, n = table.particles, len(table.particles)

    def real(label: str) -> Float:
        return _column(particles, label, table.path)

    def optional(label: str) -> Float:
        return real(label) if label in particles else np.zeros(n)

    return Poses(
        rot=real("rlnAngleRot"),
        tilt=real("rlnAngleTilt"),
        psi=real("rlnAnglePsi"),
        offset_x=real("rlnOriginXAngst"),
        offset_y=real("rlnOriginYAngst"),
        class_number=real("rlnClassNumber").astype(np.int64),
        half=real("rlnRandomSubset").astype(np.int64),
        norm_correction=real("rlnNormCorrection"),
        log_likelihood=optional("rlnLogLikeliContribution"),
        pmax=optional("rlnMaxValueProbDistribution"),
        n_significant=optional("rlnNrOfSignificantSamples").astype(np.int64),
    )


def _check_particles(state: RefinementState, table: ParticleTable) -> None:
    """Compare the particle numbers of the model and data files."""
    if not np.isin(state.poses.half, (1, 2)).all():
        raise StarError(f"{table.path}: rlnRandomSubset must be 1 or 2 in every row. {REMEDY}")
    for half, model in enumerate(state.models, 1):
        expected = int(model.group_n_particles.sum())
        found = int(np.count_nonzero(state.poses.half == half))
        if expected != found:
            raise StarError(
                f"{table.path}: found {found} particles of half {half}, but the model file counts "
                f"{expected}. {REMEDY}"
            )
