"""Views and directional resolution in the report of a refinement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError, ImageError
from aurefine.geometry.euler import direction_from_angles
from aurefine.geometry.symmetry import PointGroup, point_group
from aurefine.imaging import soft_sphere
from aurefine.io import read_star
from aurefine.jobs.orientations import read_half_map
from aurefine.jobs.refine_names import FileNames
from aurefine.report.anisotropy import draw_directional_fsc, draw_sampling
from aurefine.report.page import Paragraph, Part, Picture, Section, Table
from aurefine.report.plots import draw_orientations
from aurefine.report.saving import figure_png
from aurefine.validate.directional_fsc import directional_fsc
from aurefine.validate.orientations import (
    fourier_sampling,
    orientation_efficiency,
    point_spread_widths,
)

__all__ = ["direction_section", "view_section"]

_MASK_EDGE = 5.0  # px


def view_section(names: FileNames, symmetry: str, *, diameter: float, resolution: float) -> Section:
    """Return how particles are seen, and how that samples Fourier space.

    Parameters
    ----------
    names : FileNames
        Of the iteration to show.
    symmetry : str
    diameter : float
        Of the particle [Å]; not above 0 if it is not known.
    resolution : float
        Of the refinement [Å].

    Returns
    -------
    section : Section
        A notice instead of figures if the poses can not be read.
    """
    parts: list[Part] = []
    try:
        particles = read_star(names.data, only=["particles"]).table("particles")
        rot, tilt = (particles[f"rlnAngle{name}"].to_numpy(float) for name in ("Rot", "Tilt"))
        group = point_group(symmetry)
        histogram = draw_orientations(rot, tilt, symmetry=group.matrices)
        parts.append(
            Picture(figure_png(histogram), "Orientation distribution, symmetry mates included.")
        )
        if diameter > 0 and np.isfinite(resolution) and len(rot):
            views = direction_from_angles(rot, tilt)
            parts += _sampling(views, group, diameter, resolution)
    except (AurefineError, KeyError) as error:
        parts.append(Paragraph(f"The orientations can not be shown: {error}", is_notice=True))
    return Section("Orientations", parts)


def direction_section(names: FileNames, *, diameter: float) -> Section:
    """Return the FSC of the unfiltered half maps in cones about many directions.

    Parameters
    ----------
    names : FileNames
        Of the converged end.
    diameter : float
        Of the sphere that the half maps are multiplied by [Å]; no sphere if it is not above 0.

    Returns
    -------
    section : Section
        A notice instead of the figure if the maps can not be read.
    """
    parts: list[Part] = []
    try:
        (first, pixel_size), (second, _) = (
            read_half_map(names.unfiltered_map(half)) for half in (1, 2)
        )
        if not pixel_size or first.shape != second.shape:
            raise ImageError(
                f"{names.unfiltered_map(1)}: no pixel size, or another box than that of the "
                "other half."
            )
        if diameter > 0:
            mask = soft_sphere(len(first), diameter / 2 / pixel_size, _MASK_EDGE)
            first, second = first * mask, second * mask
        cones = directional_fsc(first, second, pixel_size)
        parts += [
            Picture(figure_png(draw_directional_fsc(cones)), _CONES),
            Table(
                [
                    (
                        "resolution by direction (Å)",
                        f"{cones.resolution.min():.2f} to {cones.resolution.max():.2f}, "
                        f"mean {cones.resolution.mean():.2f} ± {cones.resolution.std():.2f}",
                        "one value",
                    ),
                    ("sphericity", f"{cones.sphericity:.2f}", "1; noise lowers it a little"),
                    ("area ratio", f"{cones.area_ratio:.2f}", "1; noise lowers it"),
                ],
                _HEADINGS,
            ),
        ]
    except AurefineError as error:
        text = f"The half maps can not be compared: {error}"
        parts.append(Paragraph(text, is_notice=True))
    return Section("Directional resolution", parts)


_HEADINGS = ("number", "here", "isotropic")
_CONES = (
    "FSC of the unfiltered half maps in cones of 20° about 192 directions, inside a soft sphere of "
    "the particle diameter, and the resolution (FSC = 0.143) in each direction."
)


def _sampling(
    views: npt.NDArray[np.float64], group: PointGroup, diameter: float, resolution: float
) -> list[Part]:
    sampling = fourier_sampling(views, group, ring=max(1, round(diameter / resolution)))
    _, widths = point_spread_widths(sampling, diameter=diameter, resolution=resolution)
    efficiency = orientation_efficiency(widths)
    rows = [
        ("orientation efficiency", f"{efficiency:.2f}", "1; below 0.5 the map is badly smeared"),
        ("compensation factor (SCF)", f"{sampling.scf:.2f}", "1; 0.81 for views around one axis"),
        ("directions not seen (%)", f"{100 * sampling.empty_fraction:.1f}", "0"),
    ]
    parts: list[Part] = [
        Picture(
            figure_png(draw_sampling(sampling)),
            f"How often each direction of Fourier space is seen at {resolution:.2f} Å, over its "
            "mean.",
        ),
        Table(rows, ("number", "here", "even views")),
    ]
    if sampling.empty_fraction > 0:
        text = (
            "Some directions of Fourier space are seen by no particle: the map has no "
            "information there, whatever its resolution."
        )
        parts.append(Paragraph(text, is_notice=True))
    return parts
