"""From option values to the settings of an extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aurefine.errors import OptionError
from aurefine.extract.coordinates import Recentring
from aurefine.extract.images import ImageSettings
from aurefine.jobs.extract_table import EXTRACT_OPTIONS
from aurefine.jobs.options import check_values, with_defaults

__all__ = ["EXTRACT_OPTIONS", "ExtractSettings", "to_extract_settings"]

_ALL_FOM = -999.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSettings:
    """Names of files, choice of particles and way of running of one extraction; Å and px.

    Exactly one of `refined_particles`, `coordinate_list` and `coordinate_suffix` is not empty.
    `notes` are remarks about the options that the user should see.
    """

    micrographs: str
    refined_particles: str
    coordinate_list: str
    coordinate_suffix: str
    coordinate_folder: str
    part_dir: str
    part_star: str
    pick_star: str
    images: ImageSettings
    recentring: Recentring
    bias: tuple[int, int]
    micrograph_pixel_size: float | None
    keep_micrograph_ctf: bool
    minimum_fom: float | None
    selection_type: int | None
    float16: bool
    dialect: str
    n_workers: int
    only_unfinished: bool
    skip_bad_micrographs: bool
    stop_at_bad_particles: bool
    pipeline_control: str
    notes: tuple[str, ...] = ()


def to_extract_settings(given: Mapping[str, Any]) -> ExtractSettings:
    """Check the values of the options of an extraction, and order them.

    Parameters
    ----------
    given : mapping
        Values by option name; what is absent has its default.

    Returns
    -------
    settings : ExtractSettings

    Raises
    ------
    OptionError
        If values are not allowed, or contradict each other.
    """
    check_values(EXTRACT_OPTIONS, given)
    values = with_defaults(EXTRACT_OPTIONS, given)
    _check_input(values)
    notes: list[str] = []
    images = _image_settings(values, notes)
    point_size = values["reference_pixel_size"]
    fom = values["minimum_fom"]
    part_dir = values["part_dir"]
    if values["reset_offsets"] and values["recentre"]:
        notes.append("--reset_offsets is given: --recenter has no effect.")
    return ExtractSettings(
        **{
            name: values[name]
            for name in (
                "micrographs", "refined_particles", "coordinate_list", "coordinate_suffix",
                "coordinate_folder", "part_star", "pick_star", "keep_micrograph_ctf", "float16",
                "dialect", "n_workers", "only_unfinished", "skip_bad_micrographs",
                "stop_at_bad_particles", "pipeline_control",
            )
        },
        part_dir=part_dir if part_dir.endswith("/") else f"{part_dir}/",
        images=images,
        recentring=Recentring(
            reset_offsets=values["reset_offsets"],
            recentre=values["recentre"],
            point=(
                _single(values["recentre_x"]),
                _single(values["recentre_y"]),
                _single(values["recentre_z"]),
            ),
            point_pixel_size=_single(point_size) if point_size > 0 else None,
        ),
        bias=(values["bias_x"], values["bias_y"]),
        micrograph_pixel_size=_if_positive(values["micrograph_pixel_size"]),
        minimum_fom=None if fom == _ALL_FOM else fom,
        selection_type=values["selection_type"] or None,
        notes=tuple(notes),
    )  # fmt: skip


def _single(value: float) -> float:
    """Round as RELION does when it reads numbers of options: the last printed digit shows it."""
    return float(np.float32(value))


def _if_positive(value: Any) -> Any:
    return value if value > 0 else None


def _check_input(values: Mapping[str, Any]) -> None:
    if values["micrographs"] is None:
        raise OptionError("option --i is missing: name the STAR file of the micrographs.")
    sources = {
        "--reextract_data_star": values["refined_particles"],
        "--coord_list": values["coordinate_list"],
        "--coord_suffix": values["coordinate_suffix"],
    }
    given = [flag for flag, value in sources.items() if value]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise OptionError(
            f"options for the particles: found {found}, expected exactly one of "
            f"{', '.join(sources)}."
        )
    if not values["extract"]:
        raise OptionError("option --extract is off, but this program does nothing else.")


def _image_settings(values: Mapping[str, Any], notes: list[str]) -> ImageSettings:
    box = values["extract_size"]
    if box is None:
        raise OptionError("option --extract_size is missing: give the box size in pixels.")
    if box % 2:
        raise OptionError(
            f"option --extract_size (Particle box size): found {box} px, expected an even number; "
            f"use {box + 1}."
        )
    sizes: dict[str, int | None] = {}
    for name in ("scale", "window"):
        size = _if_positive(values[name])
        if size is not None and size % 2:
            size += 1
            notes.append(f"--{name} must be even: {size} px is used in place of {size - 1}.")
        sizes[name] = size
    radius = _background_radius(values, sizes["window"] or sizes["scale"] or box)
    return ImageSettings(
        box,
        sizes["scale"],
        sizes["window"],
        relion_window=values["relion_window"],
        background_radius=radius,
        subtract_plane=not values["no_ramp"],
        white_dust=values["white_dust"],
        black_dust=values["black_dust"],
        invert_contrast=values["invert_contrast"],
    )


def _background_radius(values: Mapping[str, Any], size: int) -> int | None:
    if not values["normalise"]:
        return None
    radius: int = values["background_radius"]
    usual = int(0.75 * size / 2)
    if radius < 0:
        raise OptionError(
            "option --norm needs --bg_radius, the radius of the background circle in pixels of the "
            f"new image; for {size} px the usual value is {usual}."
        )
    if 2 * radius > size:
        raise OptionError(
            f"option --bg_radius: found {radius} px, expected at most half of the new box of "
            f"{size} px; the usual value is {usual}."
        )
    return radius
