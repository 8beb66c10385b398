"""Optics groups: what all particles of one data collection share (spec 1.6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import StarError

__all__ = ["OpticsGroup", "optics_groups_from_table"]

Float = npt.NDArray[np.float64]


def _identity() -> Float:
    matrix = np.eye(2)
    matrix.flags.writeable = False
    return matrix


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OpticsGroup:
    """Optical parameters of one row of the optics table.

    Attributes
    ----------
    number, name : int, str
        Number that the particles refer to, and label.
    voltage, spherical_aberration, amplitude_contrast : float
        kV, mm, fraction in [0, 1].
    pixel_size, box_size : float, int
        Of the particle images: Å, pixels.
    beam_tilt_x, beam_tilt_y : float
        mrad.
    odd_zernike, even_zernike : tuple of float
        Coefficients of the antisymmetric and symmetric aberrations.
    magnification : ndarray, shape (2, 2), float64
        Matrix M by which frequencies are multiplied.
    is_premultiplied, is_ctf_corrected : bool
        The images were multiplied by their CTF; the images need no CTF correction.
    mtf_file : str
        STAR file with the detector MTF, or empty.
    original_pixel_size : float
        Å, of the detector frames that the MTF refers to; 0 if unknown.
    """

    number: int
    name: str
    voltage: float
    spherical_aberration: float
    amplitude_contrast: float
    pixel_size: float
    box_size: int
    beam_tilt_x: float = 0.0
    beam_tilt_y: float = 0.0
    odd_zernike: tuple[float, ...] = ()
    even_zernike: tuple[float, ...] = ()
    magnification: Float = field(default_factory=_identity)
    is_premultiplied: bool = False
    is_ctf_corrected: bool = False
    mtf_file: str = ""
    original_pixel_size: float = 0.0

    def magnified(
        self, frequency_x: npt.ArrayLike, frequency_y: npt.ArrayLike
    ) -> tuple[Float, Float]:
        """Frequencies multiplied by the magnification matrix, same shapes and units."""
        x = np.asarray(frequency_x, dtype=np.float64)
        y = np.asarray(frequency_y, dtype=np.float64)
        m = self.magnification
        return m[0, 0] * x + m[0, 1] * y, m[1, 0] * x + m[1, 1] * y


def optics_groups_from_table(
    optics: pd.DataFrame, path: str, *, box_size: int | None = None
) -> tuple[OpticsGroup, ...]:
    """Read and check the optics table of a particle file.

    Parameters
    ----------
    optics : DataFrame
        The optics table, one row per group, with RELION's labels as columns.
    path : str
        Name of the file, for messages.
    box_size : int, optional
        Box size of the images, used where the table has no ``rlnImageSize``.

    Returns
    -------
    tuple of OpticsGroup
        In the order of the table.

    Raises
    ------
    StarError
        If a compulsory value is missing or a value makes no sense.
    """
    if not len(optics):
        raise StarError(f"{path}: data_optics is empty; particles need at least one optics group.")
    groups = tuple(
        _read_group(_Row(dict(zip(optics.columns, row, strict=True)), path, index + 1), box_size)
        for index, row in enumerate(optics.itertuples(index=False, name=None))
    )
    numbers = [group.number for group in groups]
    for number in numbers:
        if numbers.count(number) > 1:
            raise StarError(
                f"{path}: data_optics, column rlnOpticsGroup: number {number} occurs "
                f"{numbers.count(number)} times. Give every optics group its own number."
            )
    return groups


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the optics table, with errors that say where it is."""

    values: dict[Any, Any]
    path: str
    row: int

    def error(self, column: str, problem: str) -> StarError:
        group = self.values.get("rlnOpticsGroup", self.row)
        return StarError(
            f"{self.path}: data_optics, group {group}, column {column} (_{column}): {problem}"
        )

    def has(self, column: str) -> bool:
        value = self.values.get(column)
        return value is not None and not (isinstance(value, float) and math.isnan(value))

    def number(self, column: str, default: float | None = None, remedy: str = "") -> float:
        if not self.has(column):
            if default is None:
                raise self.error(column, f"missing. {remedy}")
            return default
        try:
            value = float(self.values[column])
        except (TypeError, ValueError):
            raise self.error(
                column, f"found {self.values[column]!r}, expected a number. {remedy}"
            ) from None
        if not math.isfinite(value):
            raise self.error(column, f"found {value}, expected a finite number. {remedy}")
        return value

    def integer(self, column: str, default: int | None = None, remedy: str = "") -> int:
        value = self.number(column, default, remedy)
        if value != int(value):
            raise self.error(column, f"found {value:g}, expected a whole number. {remedy}")
        return int(value)

    def flag(self, column: str) -> bool:
        value = self.values.get(column, False)
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        return self.number(column, 0.0, "Use 0 or 1.") != 0.0

    def text(self, column: str) -> str:
        value = str(self.values[column]).strip() if self.has(column) else ""
        return "" if value.lower() in ("none", '""') else value

    def coefficients(self, column: str) -> tuple[float, ...]:
        if not self.has(column):
            return ()
        value = self.values[column]
        parts: Sequence[Any]
        if isinstance(value, str):
            parts = [part for part in value.strip().strip("[]").split(",") if part.strip()]
        else:
            parts = np.atleast_1d(value).tolist()
        try:
            numbers = tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            numbers = (math.nan,)
        if not all(math.isfinite(number) for number in numbers):
            raise self.error(column, f"found {value!r}, expected numbers like [0.1,-0.2].")
        return numbers


def _read_group(row: _Row, box_size: int | None) -> OpticsGroup:
    return OpticsGroup(
        number=row.integer("rlnOpticsGroup", row.row),
        name=row.text("rlnOpticsGroupName") or f"opticsGroup{row.row}",
        voltage=_positive(row, "rlnVoltage", "Give the acceleration voltage in kV, such as 300."),
        spherical_aberration=row.number(
            "rlnSphericalAberration", remedy="Give the spherical aberration in mm, such as 2.7."
        ),
        amplitude_contrast=_amplitude_contrast(row),
        pixel_size=_positive(
            row,
            "rlnImagePixelSize",
            "Re-extract the particles, or give the pixel size of the extracted images in Å.",
        ),
        box_size=_box_size(row, box_size),
        beam_tilt_x=row.number("rlnBeamTiltX", 0.0),
        beam_tilt_y=row.number("rlnBeamTiltY", 0.0),
        odd_zernike=row.coefficients("rlnOddZernike"),
        even_zernike=row.coefficients("rlnEvenZernike"),
        magnification=_magnification(row),
        is_premultiplied=row.flag("rlnCtfDataAreCtfPremultiplied"),
        is_ctf_corrected=row.flag("rlnCtfDataAreCtfCorrected"),
        mtf_file=row.text("rlnMtfFileName"),
        original_pixel_size=max(0.0, row.number("rlnMicrographOriginalPixelSize", 0.0)),
    )


def _positive(row: _Row, column: str, remedy: str) -> float:
    value = row.number(column, remedy=remedy)
    if value <= 0:
        raise row.error(column, f"found {value:g}, expected a positive number. {remedy}")
    return value


def _amplitude_contrast(row: _Row) -> float:
    value = row.number("rlnAmplitudeContrast", 0.0)
    if not 0 <= value <= 1:
        raise row.error(
            "rlnAmplitudeContrast",
            f"found {value:g}, expected a fraction from 0 to 1. Typical values are 0.07 and 0.1.",
        )
    return value


def _box_size(row: _Row, default: int | None) -> int:
    dimensions = row.integer("rlnImageDimensionality", 2)
    if dimensions != 2:
        raise row.error(
            "rlnImageDimensionality",
            f"found {dimensions}, but only 2D particle images are supported, not sub-tomograms.",
        )
    remedy = "Give the box size of the particle images in pixels."
    value = row.integer("rlnImageSize", default, remedy)
    if value <= 0 or value % 2:
        raise row.error(
            "rlnImageSize", f"found {value}, expected an even, positive number. {remedy}"
        )
    return value


def _magnification(row: _Row) -> Float:
    columns = (("rlnMagMat00", "rlnMagMat01"), ("rlnMagMat10", "rlnMagMat11"))
    matrix = np.array(
        [
            [row.number(name, float(i == j)) for j, name in enumerate(pair)]
            for i, pair in enumerate(columns)
        ]
    )
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise row.error(
            "rlnMagMat00",
            f"the magnification matrix {matrix.tolist()} can not be inverted. Remove the four "
            "rlnMagMat columns, or repeat the estimate of the anisotropic magnification.",
        )
    matrix.flags.writeable = False
    return matrix
