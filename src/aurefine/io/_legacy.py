"""Conversion of particle and micrograph files of RELION 3.0 and before."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import ImageError, MrcError, StarError
from aurefine.io.mrc import read_mrc_header
from aurefine.io.stacks import split_image_name

__all__ = ["convert_legacy", "lengths_in_angstrom"]

_log = logging.getLogger(__name__)

_OPTICS = (
    "rlnAmplitudeContrast",
    "rlnBeamTiltX",
    "rlnBeamTiltY",
    "rlnSphericalAberration",
    "rlnVoltage",
    "rlnDetectorPixelSize",
    "rlnMagnification",
)
_PIXEL_SIZE = ("rlnDetectorPixelSize", "rlnMagnification")
_LENGTHS = (  # in pixels; become Å
    "rlnOriginX",
    "rlnOriginY",
    "rlnOriginZ",
    "rlnOriginXPrior",
    "rlnOriginYPrior",
    "rlnOriginZPrior",
    "rlnHelicalTrackLength",
)


def convert_legacy(
    rows: pd.DataFrame, path: str, kind: Literal["particles", "micrographs"], root: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the table of an old file into optics groups and rows.

    Parameters
    ----------
    rows : DataFrame
        The only table of the file, with the microscope in every row.
    path : str
        Name of the file, for messages.
    kind : "particles" or "micrographs"
    root : Path
        Project directory, from which image names count.

    Returns
    -------
    optics, rows : DataFrame
        Columns and their order as RELION's own conversion gives them.

    Raises
    ------
    StarError
        If the pixel size is unknown, or the particle images are not square and even.
    """
    present = [label for label in _OPTICS if label in rows]
    missing = [label for label in _PIXEL_SIZE if label not in present]
    if missing:
        raise StarError(
            f"{path}: no data_optics block and no column {' or '.join(missing)}: the pixel size is"
            " unknown. Add both columns (detector pixel in µm), or a data_optics block."
        )
    magnification = rows["rlnMagnification"].to_numpy()
    if not (magnification > 0).all():
        row = int(np.flatnonzero(~(magnification > 0))[0])
        raise StarError(
            f"{path}: row {row + 1}: rlnMagnification is {magnification[row]}; it must be positive."
        )
    group = rows.groupby(present, sort=False).ngroup().to_numpy()  # (n,) by first appearance
    first_rows = np.unique(group, return_index=True)[1]  # (n_groups,)
    settings = rows[present].iloc[first_rows].reset_index(drop=True)
    pixel_size = 10000 * settings["rlnDetectorPixelSize"] / settings["rlnMagnification"]
    numbers = np.arange(1, len(settings) + 1)
    optics = pd.DataFrame({"rlnOpticsGroup": numbers})
    optics["rlnOpticsGroupName"] = pd.Series([f"opticsGroup{n}" for n in numbers], dtype=object)
    for label in present:
        if label not in _PIXEL_SIZE:
            optics[label] = settings[label]
    rows = rows.drop(columns=present).assign(rlnOpticsGroup=group + 1)
    if kind == "micrographs":
        optics["rlnMicrographPixelSize"] = pixel_size
        optics["rlnMicrographOriginalPixelSize"] = pixel_size
        return optics, rows

    optics["rlnImagePixelSize"] = pixel_size
    rows = lengths_in_angstrom(rows, pixel_size.to_numpy()[group])
    names = rows["rlnImageName"].iloc[first_rows].tolist()
    sizes = [_image_size(name, path, root) for name in names]
    if None in sizes:
        _log.warning(
            "%s: image %s is missing; the optics table has no box size",
            path,
            names[sizes.index(None)],
        )
    else:
        optics["rlnImageSize"] = np.array(sizes, dtype=np.int64)
        optics["rlnImageDimensionality"] = np.full(len(sizes), 2, dtype=np.int64)
    return optics, rows


def lengths_in_angstrom(rows: pd.DataFrame, pixel_size: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Replace offsets in pixels by those in Å, unless the table has both.

    Parameters
    ----------
    rows : DataFrame
    pixel_size : ndarray, shape (n_rows,)
        Å.
    """
    old = [name for name in _LENGTHS if name in rows and f"{name}Angst" not in rows]
    converted = {f"{name}Angst": rows[name] * pixel_size for name in old}
    return rows.drop(columns=old).assign(**converted) if old else rows


def _image_size(name: str, path: str, root: Path) -> int | None:
    """Box size of an image [px]; None if its file does not exist."""
    try:
        file_name = root / split_image_name(name)[1]
        if not file_name.exists():
            return None
        header = read_mrc_header(file_name)
    except (ImageError, MrcError) as error:
        raise StarError(f"{path}: can not find out the box size: {error}") from error
    if header.nx != header.ny or header.nx % 2:
        raise StarError(
            f"{path}: the images of {name} have {header.nx} x {header.ny} px; they must be square"
            " and of even size. Extract the particles again with an even box size."
        )
    return header.nx
