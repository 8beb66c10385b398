"""Picture of a point group: its axes and its asymmetric unit on the sphere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from aurefine.geometry.axes import symmetry_axes
from aurefine.geometry.euler import direction_from_angles
from aurefine.geometry.symmetry import PointGroup, in_asymmetric_unit
from aurefine.report.saving import save_figure

__all__ = ["plot_symmetry"]

_MARKERS = {2: "D", 3: "^", 4: "s", 5: "p", 6: "h"}
_COLOURS = {2: "#d9822b", 3: "#4f8f4f", 4: "#1f4e79", 5: "#7d3c98", 6: "#1f4e79"}
_OTHER = ("o", "#c0392b")


def plot_symmetry(group: PointGroup, stem: str | os.PathLike[str]) -> list[Path]:
    """Plot where the axes of a group pass through the sphere, and its asymmetric unit.

    Parameters
    ----------
    group : PointGroup
    stem : path-like
        Output name without extension.

    Returns
    -------
    paths : list of Path
        The PNG and the PDF.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot(projection="mollweide")
    north, east = np.linspace(-90, 90, 541), np.linspace(-180, 180, 1081)
    middle_north, middle_east = (north[:-1] + north[1:]) / 2, (east[:-1] + east[1:]) / 2
    rot, latitude = np.meshgrid(middle_east, middle_north)
    directions = direction_from_angles(rot, 90 - latitude).reshape(-1, 3)
    inside = in_asymmetric_unit(directions, group).reshape(rot.shape)
    axes.pcolormesh(
        np.deg2rad(east), np.deg2rad(north), inside, cmap="Blues", vmin=0, vmax=3, rasterized=True
    )
    found = symmetry_axes(group)
    for fold in sorted({axis.fold for axis in found}, reverse=True):
        ends = np.array([axis.direction for axis in found if axis.fold == fold])
        ends = np.concatenate([ends, -ends])
        marker, colour = _MARKERS.get(fold, _OTHER[0]), _COLOURS.get(fold, _OTHER[1])
        axes.scatter(
            np.arctan2(ends[:, 1], ends[:, 0]), np.arcsin(np.clip(ends[:, 2], -1, 1)),
            marker=marker, color=colour, s=42, zorder=3, label=f"{fold}-fold", clip_on=False,
        )  # fmt: skip
    axes.grid(color="0.8", linewidth=0.6)
    axes.set_xticks(np.deg2rad([-120, -60, 0, 60, 120]), ["−120°", "−60°", "0°", "60°", "120°"])
    axes.set_yticks(np.deg2rad([-60, -30, 0, 30, 60]), ["150°", "120°", "90°", "60°", "30°"])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("rot")
    axes.set_ylabel("tilt")
    title = f"{group.name}: {group.n_operators} operators; asymmetric unit shaded"
    axes.set_title(title, fontweight="bold", fontsize=11)
    if found:
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.05, -0.05))
    return save_figure(figure, stem)
