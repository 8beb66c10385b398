"""*Mask creation*: option table and runner."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, OptionError
from aurefine.fourier import lowpass_filter
from aurefine.io.mrc import check_finite, read_map, write_map
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.mask_create_table import MASK_OPTIONS
from aurefine.jobs.options import check_values, with_defaults
from aurefine.maps.mask import (
    COMBINATIONS,
    automatic_threshold,
    binarise,
    grow,
    shell_mask,
    soften,
)

__all__ = ["MASK_OPTIONS", "run_mask_create"]

Pixels = npt.NDArray[np.float32]
Binary = npt.NDArray[np.bool_]


def run_mask_create(given: Mapping[str, Any]) -> int:
    """Make a mask with the given option values and return the exit code."""
    check_values(MASK_OPTIONS, given)
    values = with_defaults(MASK_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _run(values))


def _run(values: Mapping[str, Any]) -> None:
    _say(" Creating a mask ...")
    if values["de_novo"]:
        mask, pixel_size = _de_novo(values)
    else:
        mask, pixel_size = _from_map(values)
    if values["invert"]:
        np.subtract(np.float32(1), mask, out=mask)
    write_map(values["output"], mask, pixel_size)
    _say(f" Done creating mask! Written out: {values['output']}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _warn(message: str) -> None:
    sys.stderr.write(f" WARNING: {message}\n")


def _de_novo(values: Mapping[str, Any]) -> tuple[Pixels, float]:
    box, pixel_size = values["box_size"], values["pixel_size"]
    if box <= 0 or pixel_size <= 0:
        raise OptionError("option --denovo needs --box_size (px) and --angpix (Å).")
    mask = shell_mask(
        box,
        values["inner_radius"],
        values["outer_radius"],
        values["soft_edge"],
        (values["centre_x"], values["centre_y"], values["centre_z"]),
    )
    return mask, pixel_size


def _from_map(values: Mapping[str, Any]) -> tuple[Pixels, float]:
    name = values["input"]
    if not name:
        raise OptionError("option --i is missing: name the map to make the mask from.")
    data, header_pixel_size = _read(name)
    pixel_size = _pixel_size(values, name, header_pixel_size)
    if values["lowpass"] > 0:
        data = lowpass_filter(
            data, pixel_size, values["lowpass"], whole_shell=True, workers=values["n_threads"]
        ).astype(np.float32, copy=False)
    threshold = _threshold(values, data, name)
    how = next((how for how in COMBINATIONS if values[f"combine_{how}"]), None)
    other = None if how is None else _read_other(values[f"combine_{how}"], data)
    inside = binarise(data, threshold, other, how)
    del data, other
    extend, edge = values["extend"], values["soft_edge"]
    if extend != 0:
        _say(f"== {'Extending' if extend > 0 else 'Shrinking'} initial binary mask ...")
        inside = _extended(inside, extend, values["n_threads"])
    if edge > 0:
        _say("== Making a soft edge on the extended mask ...")
    return soften(inside, edge, workers=values["n_threads"]), pixel_size


def _extended(inside: Binary, by_px: float, n_threads: int) -> Binary:
    extended = grow(inside, by_px, workers=n_threads)
    if by_px < 0 and inside.any() and not extended.any():
        _warn(f"nothing is left after shrinking by {-by_px:g} px (--extend_inimask).")
    elif by_px > 0 and extended.all() and not inside.all():
        _warn(f"the mask fills the box after extending by {by_px:g} px (--extend_inimask).")
    return extended


def _read(name: str) -> tuple[Pixels, float | None]:
    data, pixel_size = read_map(name)
    check_finite(data, name)
    n = data.shape[0]
    if data.shape != (n, n, n):
        raise ImageError(
            f"{name}: {' x '.join(str(size) for size in data.shape[::-1])} px, expected a cubic "
            "map. Cut it with the image handler's --new_box."
        )
    return data, pixel_size


def _read_other(name: str, data: Pixels) -> Pixels:
    other, _ = _read(name)
    if other.shape != data.shape:
        raise ImageError(
            f"{name}: a box of {len(other)} px, but the input map has {len(data)} px. Bring both "
            "maps to one box with the image handler's --new_box."
        )
    return other


def _pixel_size(values: Mapping[str, Any], name: str, header: float | None) -> float:
    if values["pixel_size"] > 0:
        return float(values["pixel_size"])
    if header is None:
        raise OptionError(f"{name}: the header does not say the pixel size; give --angpix.")
    _warn(f"--angpix is not given. The pixel size in the header of {name}, {header:g} Å, is used.")
    return header


def _threshold(values: Mapping[str, Any], data: Pixels, name: str) -> float:
    low, high = float(data.min()), float(data.max())
    if values["auto_threshold"]:
        try:
            threshold = automatic_threshold(data)
        except ValueError as error:
            raise ImageError(f"{name}: {error}.") from None
        _say(f"== Threshold chosen from the histogram: {threshold:g}")
        return threshold
    threshold = float(values["threshold"])
    if threshold > high:
        _warn(
            f"the threshold {threshold:g} is above the highest value {high:g} of the (filtered) "
            "map: the mask is empty. Lower --ini_threshold."
        )
    elif threshold <= low:
        _warn(
            f"the threshold {threshold:g} is below the lowest value {low:g} of the (filtered) "
            "map: the mask fills the box. Raise --ini_threshold."
        )
    return threshold
