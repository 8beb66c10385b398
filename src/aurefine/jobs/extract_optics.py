"""Optics groups of extracted particles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError
from aurefine.jobs.extract_options import ExtractSettings

__all__ = ["group_pixel_sizes", "output_optics"]

_PIXEL_SIZES = ("rlnImagePixelSize", "rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize")


def group_pixel_sizes(
    optics: pd.DataFrame, groups: pd.Series, path: str, *, label: str | None = None
) -> npt.NDArray[np.float64]:
    """Look up the pixel size [Å] of rows by their optics group.

    Parameters
    ----------
    optics : DataFrame
        Optics table.
    groups : Series of int
        `rlnOpticsGroup` of the rows.
    path : str
        File of the tables, for messages.
    label : str, optional
        Column to use; by default the first present of image, micrograph and original pixel size.

    Returns
    -------
    pixel_sizes : ndarray, shape (n,), float64

    Raises
    ------
    StarError
        If there is no such column, a size is not positive, or a group is not defined.
    """
    wanted = _PIXEL_SIZES if label is None else (label,)
    present = [name for name in wanted if name in optics]
    if not present:
        raise StarError(f"{path}: data_optics: column {' or '.join(wanted)} is missing.")
    sizes = dict(zip(optics["rlnOpticsGroup"], optics[present[0]], strict=True))
    for group, size in sizes.items():
        if not size > 0:
            raise StarError(
                f"{path}: data_optics, group {group}: {present[0]} is {size}, expected a pixel "
                "size in Å."
            )
    codes, names = pd.factorize(groups)
    unknown = [name for name in names if name not in sizes]
    if unknown:
        raise StarError(
            f"{path}: rlnOpticsGroup {unknown[0]} is used in the rows, but data_optics has only "
            f"{', '.join(str(group) for group in sizes)}."
        )
    return np.array([sizes[name] for name in names], dtype=np.float64)[codes]


def output_optics(
    settings: ExtractSettings,
    rows: pd.DataFrame,
    micrograph_optics: pd.DataFrame,
    particle_optics: pd.DataFrame | None,
) -> pd.DataFrame:
    """Make the optics table of the new particles.

    Parameters
    ----------
    settings : ExtractSettings
    rows : DataFrame
        The new particles; with `settings.keep_micrograph_ctf` their group numbers are replaced by
        those of the namesakes in the micrographs table, in place.
    micrograph_optics : DataFrame
    particle_optics : DataFrame or None
        Optics table of the input particles, if they have one.

    Returns
    -------
    optics : DataFrame

    Raises
    ------
    StarError
        If a group of particles has no namesake in the micrographs table.
    """
    is_fresh = particle_optics is None
    if is_fresh or settings.keep_micrograph_ctf:
        optics = micrograph_optics.copy()
        if particle_optics is not None:
            _renumber(settings, rows, micrograph_optics, particle_optics)
        if is_fresh:
            optics = optics.drop(columns="rlnMicrographPixelSize")
    else:
        assert particle_optics is not None
        optics = particle_optics.copy()
    _check_names(settings, rows, micrograph_optics, optics)
    micrograph_sizes = dict(
        zip(
            micrograph_optics["rlnOpticsGroupName"],
            micrograph_optics["rlnMicrographPixelSize"],
            strict=True,
        )
    )
    optics = optics[optics["rlnOpticsGroupName"].isin(list(micrograph_sizes))]
    optics = optics.reset_index(drop=True)
    images = settings.images
    optics["rlnImagePixelSize"] = [
        images.output_pixel_size(float(micrograph_sizes[name]))
        for name in optics["rlnOpticsGroupName"]
    ]
    optics["rlnImageSize"] = images.output_size
    optics["rlnImageDimensionality"] = 2
    if settings.dialect == "5.0" or "rlnCtfDataAreCtfPremultiplied" in optics:
        optics["rlnCtfDataAreCtfPremultiplied"] = 0
    return optics


def _names(optics: pd.DataFrame) -> dict[int, str]:
    return dict(zip(optics["rlnOpticsGroup"], optics["rlnOpticsGroupName"], strict=True))


def _check_names(
    settings: ExtractSettings,
    rows: pd.DataFrame,
    micrograph_optics: pd.DataFrame,
    optics: pd.DataFrame,
) -> None:
    known = set(micrograph_optics["rlnOpticsGroupName"])
    names = _names(optics)
    for group in rows["rlnOpticsGroup"].unique():
        if group not in names:
            raise StarError(
                f"{settings.refined_particles}: data_particles: rlnOpticsGroup {group} is used in "
                "the rows but not defined in data_optics."
            )
        if names[group] not in known:
            raise _no_namesake(settings, names[group], known)


def _renumber(
    settings: ExtractSettings,
    rows: pd.DataFrame,
    micrograph_optics: pd.DataFrame,
    particle_optics: pd.DataFrame,
) -> None:
    number_of_name = {name: number for number, name in _names(micrograph_optics).items()}
    new_number = {}
    for group, name in _names(particle_optics).items():
        if name in number_of_name:
            new_number[group] = number_of_name[name]
        elif (rows["rlnOpticsGroup"] == group).any():
            raise _no_namesake(settings, name, set(number_of_name))
    rows["rlnOpticsGroup"] = rows["rlnOpticsGroup"].map(new_number)


def _no_namesake(settings: ExtractSettings, name: str, known: set[str]) -> StarError:
    return StarError(
        f"{settings.refined_particles}: data_optics: particles belong to the optics group "
        f"'{name}', but {settings.micrographs} has only {', '.join(sorted(known))}. Groups are "
        "matched by rlnOpticsGroupName: rename one of them, or use the micrographs STAR file that "
        "these particles came from."
    )
