"""*Post-processing*: two half maps and a mask to a sharpened map, FSC curves and tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, OptionError, OutputError, StarError
from aurefine.io.mrc import check_finite, read_map, write_map
from aurefine.io.star import read_star
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import check_values, with_defaults
from aurefine.jobs.postprocess_files import Outcome, write_tables_and_figures
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS
from aurefine.maps.curves import (
    FscCurves,
    final_shell,
    fsc_curves,
    particle_fraction_of_mask,
    particle_fraction_of_weight,
    working_dtype,
)
from aurefine.maps.sharpening import Mtf, Sharpened, SharpeningPlan, sharpen

__all__ = ["POSTPROCESS_OPTIONS", "other_half_map", "run_postprocess"]

Real = npt.NDArray[np.floating]
Say = Callable[[str], None]

_MASK_TOLERANCE = 1e-6
_HIGH_RANDOM_FSC = 0.1
_DENSITY = 0.81  # Da per Å³ of protein


def run_postprocess(given: Mapping[str, Any], *, command: str = "") -> int:
    """Post-process with the given option values and return the exit code.

    Parameters
    ----------
    given : mapping
        Option values by name.
    command : str
        Arguments as they were typed, for the head of the STAR file.
    """
    check_values(POSTPROCESS_OPTIONS, given)
    values = with_defaults(POSTPROCESS_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _run(values, command))


def other_half_map(name: str) -> str:
    """Name of the other half map: half1 and half2 exchanged in the file name.

    Raises
    ------
    OptionError
        If the name has neither.
    """
    path = Path(name)
    for this, other in (("half1", "half2"), ("half2", "half1")):
        if this in path.name:
            return str(path.with_name(path.name.replace(this, other)))
    raise OptionError(
        f"option --i: '{path.name}' has neither half1 nor half2 in it, so that the other half map "
        "is not known; name it with --i2."
    )


@dataclass(frozen=True, slots=True)
class _Input:
    """Half maps and mask, in the working precision; pixel size in Å."""

    half1: Real
    half2: Real
    mask: Real | None
    pixel_size: float
    names: tuple[str, str]

    @property
    def box(self) -> int:
        return len(self.half1)


def _run(values: Mapping[str, Any], command: str) -> None:
    def say(line: str) -> None:
        if values["verbosity"] > 0:
            sys.stdout.write(f"{line}\n")

    if values["auto_bfactor"] and values["bfactor"] != 0:
        raise OptionError("options --auto_bfac and --adhoc_bfac exclude each other; give one.")
    lowest, highest = values["fit_low"], values["fit_high"]
    if values["auto_bfactor"] and 0 < lowest <= highest:
        raise OptionError(
            f"option --autob_lowres: found {lowest:g} Å, expected more than the {highest:g} Å of "
            "--autob_highres."
        )
    data = _read_input(values, say)
    mtf = _read_mtf(values, data.pixel_size) if values["mtf"] else None
    box_length = data.box * data.pixel_size
    fractions = _fractions(values, data, box_length, say)
    seed = values["random_seed"]
    first = None
    if values["randomise_at"] > 0:
        first = max(1, int(box_length / values["randomise_at"]))
    if data.mask is not None:
        say("== Masking input maps ...")
    curves = fsc_curves(
        data.half1,
        data.half2,
        data.mask,
        randomise_below=values["randomise_below"],
        first_random_shell=first,
        rng=np.random.default_rng(seed if seed >= 0 else None),
        workers=values["n_threads"],
    )
    if curves.first_random_shell is not None:
        random_from = box_length / curves.first_random_shell
        say(_item("  + randomize phases beyond:", f"{random_from:g} Angstroms"))
    curves = _judge_mask(values, curves)
    shell = final_shell(curves.corrected)
    resolution = 999.0 if shell == 0 else box_length / shell
    plan = _plan(values, curves, mtf, resolution, say)
    # in place of a third map: half 1 is not needed any more unless it is sharpened, too
    merged = data.half1 + data.half2 if values["half_maps"] else _sum_in_place(data)
    merged *= merged.dtype.type(0.5)
    result = sharpen(merged, data.pixel_size, plan, workers=values["n_threads"])
    del merged
    _say_sharpening(result, plan, say)
    root = values["output"]
    outcome = Outcome(
        command=command,
        root=root,
        pixel_size=data.pixel_size,
        box=data.box,
        half_maps=data.names,
        mask=values["mask"],
        resolution=resolution,
        curves=curves,
        bfactor=result.bfactor,
        guinier=result.guinier,
        fit=result.fit,
        molecular_weight=max(values["molecular_weight"], 0.0),
        **fractions,
    )
    say("== Writing output files ...")
    _make_folder(Path(root).parent)
    _write_maps(root, result.map, data, say, "  + Processed map:", "  + Processed masked map:")
    write_tables_and_figures(outcome)
    say(_item("  + Metadata file:", f"{root}.star"))
    say(_item("  + FINAL RESOLUTION:", f"{resolution:g}"))
    if values["half_maps"]:
        say("== Writing half maps after applying same sharpening and low-pass filter")
        plan = replace(plan, fit_bfactor=False, bfactor=result.bfactor)
        for number, half in ((1, data.half1), (2, data.half2)):
            result = sharpen(half, data.pixel_size, plan, workers=values["n_threads"])
            _write_maps(f"{root}_half{number}", result.map, data, say, f"  + half{number}:")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can not make the folder: {error.strerror}.") from error


def _item(label: str, text: str) -> str:
    """One line of the report, as RELION lays it out."""
    return f"{label:<34} {text}"


def _sum_in_place(data: _Input) -> Real:
    np.add(data.half1, data.half2, out=data.half1)
    return data.half1


def _write_maps(
    root: str, values: Real, data: _Input, say: Say, label: str, masked_label: str = ""
) -> None:
    write_map(f"{root}.mrc", values, data.pixel_size)
    say(_item(label, f"{root}.mrc"))
    if data.mask is not None:
        write_map(f"{root}_masked.mrc", values * data.mask, data.pixel_size)
        if masked_label:
            say(_item(masked_label, f"{root}_masked.mrc"))


def _read_input(values: Mapping[str, Any], say: Say) -> _Input:
    first = values["half_map"]
    second = values["second_half_map"] or other_half_map(first)
    if not values["second_half_map"] and "half2" in Path(first).name:
        first, second = second, first
    say("== Reading input half-reconstructions: ")
    say(_item("  + half1-map:", first))
    say(_item("  + half2-map:", second))
    half1, header_pixel_size = _read_cubic(first)
    half2, _ = _read_cubic(second)
    if half1.shape != half2.shape:
        raise ImageError(
            f"{second}: a box of {len(half2)} px, but {first} has {len(half1)} px. Both must be "
            "half maps of one refinement."
        )
    for name, half in ((first, half1), (second, half2)):
        if half.min() == half.max():
            raise ImageError(
                f"{name}: all voxels are {half.flat[0]:g}; expected a half map of a refinement."
            )
    if np.array_equal(half1, half2):
        sys.stderr.write(
            f" WARNING: {first} and {second} are the same map: the FSC is 1 and says nothing about "
            "the resolution.\n"
        )
    pixel_size = values["pixel_size"] if values["pixel_size"] > 0 else header_pixel_size
    if pixel_size is None:
        raise OptionError(f"{first}: the header does not say the pixel size; give --angpix.")
    dtype = working_dtype(len(half1))
    mask = None
    if values["mask"]:
        mask = _read_mask(values["mask"], half1.shape).astype(dtype, copy=False)
    return _Input(
        half1.astype(dtype, copy=False),
        half2.astype(dtype, copy=False),
        mask,
        float(pixel_size),
        (first, second),
    )


def _read_cubic(name: str) -> tuple[npt.NDArray[np.float32], float | None]:
    data, pixel_size = read_map(name)
    check_finite(data, name)
    n = len(data)
    if data.shape != (n, n, n) or n % 2:
        raise ImageError(
            f"{name}: {' x '.join(str(size) for size in data.shape[::-1])} px, expected a cubic "
            "map of even size."
        )
    return data, pixel_size


def _read_mask(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    mask, _ = _read_cubic(name)
    if mask.shape != shape:
        raise ImageError(
            f"{name}: the mask has a box of {len(mask)} px, the half maps have {shape[0]} px. "
            "Make the mask from one of these maps, or re-box it with the image handler."
        )
    low, high = float(mask.min()), float(mask.max())
    if low < -_MASK_TOLERANCE or high > 1 + _MASK_TOLERANCE:
        raise ImageError(
            f"{name}: mask values from {low:g} to {high:g}, expected 0 to 1. Clip them with the "
            "image handler (--threshold_above 1 --threshold_below 0)."
        )
    return mask


def _read_mtf(values: Mapping[str, Any], pixel_size: float) -> Mtf:
    name = values["mtf"]
    labels = ("rlnResolutionInversePixel", "rlnMtfValue")
    table = read_star(name).table("")
    missing = [label for label in labels if label not in table]
    if missing or len(table) < 2:
        found = f"column {missing[0]} is missing" if missing else f"{len(table)} row(s)"
        raise StarError(
            f"{name}: {found}; expected the MTF of a detector in {' and '.join(labels)}."
        )
    inverse_pixel = table[labels[0]].to_numpy(np.float64)
    if (np.diff(inverse_pixel) <= 0).any():
        raise StarError(f"{name}: {labels[0]} must increase from row to row.")
    detector = values["mtf_pixel_size"] if values["mtf_pixel_size"] > 0 else pixel_size
    return Mtf(inverse_pixel / detector, table[labels[1]].to_numpy(np.float64))


def _fractions(
    values: Mapping[str, Any], data: _Input, box_length: float, say: Say
) -> dict[str, float | None]:
    """Ratios of the particle to the box, by weight and by mask."""
    by_weight = by_mask = None
    weight = values["molecular_weight"]
    if weight > 0:
        by_weight = particle_fraction_of_weight(weight, box_length)
        say(_item("  + ordered molecular weight (kDa):", f"{weight:g}"))
        say(_item("  + fraction f (molweight based):", f"{by_weight:g}"))
    if data.mask is not None:
        n_inside = np.count_nonzero(data.mask > 0.5)
        if n_inside == 0:
            raise ImageError(f"{values['mask']}: the mask is empty (no value above 0.5).")
        by_mask = particle_fraction_of_mask(data.mask)
        say("== Using a user-provided mask ... ")
        say(_item("  + input mask:", values["mask"]))
        say(_item("  + fraction f (solvent mask based):", f"{by_mask:g}"))
        inside = n_inside * data.pixel_size**3 * _DENSITY
        say(f"  + molecular weight inside protein mask: {inside:g}")
    return {"fraction_of_weight": by_weight, "fraction_of_mask": by_mask}


def _judge_mask(values: Mapping[str, Any], curves: FscCurves) -> FscCurves:
    """Give the mask up if it makes the resolution worse; warn if it is too tight."""
    if curves.random is None:
        return curves
    shell = final_shell(curves.corrected)
    if final_shell(curves.unmasked) > shell:
        if values["force_mask"]:
            _warn("the resolution is better without the mask; --force_mask keeps it.")
            return curves
        _warn(
            "the resolution is better without the mask, so that the unmasked FSC is used. Check "
            "the mask; --force_mask keeps it."
        )
        return curves.without_correction()
    if curves.random[shell] > _HIGH_RANDOM_FSC:
        _warn(
            f"the FSC with random phases is {curves.random[shell]:.3f} at the final resolution: "
            "the mask is too tight or its edge too sharp. Use a wider soft edge."
        )
    return curves


def _warn(message: str) -> None:
    sys.stderr.write(f" WARNING: {message}\n")


def _plan(
    values: Mapping[str, Any], curves: FscCurves, mtf: Mtf | None, resolution: float, say: Say
) -> SharpeningPlan:
    lowpass = values["lowpass"]
    if mtf is not None:
        say("== Dividing map by the MTF of the detector ...")
        say(_item("  + mtf STAR-file:", values["mtf"]))
    if not values["skip_fsc_weighting"]:
        say("== Applying sqrt(2*FSC/(FSC+1)) weighting (as in Rosenthal & Henderson, 2003) ...")
    if not values["auto_bfactor"] and values["bfactor"] == 0:
        _warn("neither --auto_bfac nor --adhoc_bfac is given: the map is not sharpened.")
    return SharpeningPlan(
        mtf=mtf,
        weights=None if values["skip_fsc_weighting"] else curves.corrected,
        bfactor=values["bfactor"],
        fit_bfactor=values["auto_bfactor"],
        fit_low=values["fit_low"],
        fit_high=values["fit_high"],
        lowpass=None if lowpass == 0 else lowpass if lowpass > 0 else resolution,
        edge_shells=values["filter_edge"],
    )


def _say_sharpening(result: Sharpened, plan: SharpeningPlan, say: Say) -> None:
    if result.fit is not None:
        say("== Fitting straight line through Guinier plot to find B-factor ...")
        say(_item("  + fit from resolution:", f"{plan.fit_low:g}"))
        say(_item("  + fit until resolution:", f"{plan.fit_high:g}"))
        say(_item("  + slope of fit:", f"{result.fit.slope:g}"))
        say(_item("  + intercept of fit:", f"{result.fit.intercept:g}"))
        say(_item("  + correlation of fit:", f"{result.fit.correlation:g}"))
    elif result.bfactor != 0:
        say("== Using a user-provided (ad-hoc) B-factor ...")
    if result.bfactor != 0:
        say(_item("  + apply b-factor of:", f"{result.bfactor:g}"))
    if plan.lowpass is not None:
        say("== Low-pass filtering final map ... ")
        say(_item("  + filter frequency:", f"{plan.lowpass:g}"))
