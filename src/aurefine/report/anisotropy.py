"""Figures of the sampling of Fourier space and of directional resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aurefine.validate.directional_fsc import DirectionalFsc
from aurefine.validate.orientations import FourierSampling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_directional_fsc", "draw_sampling"]

Float = npt.NDArray[np.float64]


def draw_sampling(sampling: FourierSampling) -> Figure:
    """Plot how often each direction of Fourier space is seen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot(projection="mollweide")
    _sphere(figure, axes, sampling.directions, sampling.sampling, "sampling over its mean", low=0.0)
    axes.set_title(
        f"Sampling of Fourier space: SCF {sampling.scf:.2f}, "
        f"{100 * sampling.empty_fraction:.0f} % of the directions not seen",
        fontweight="bold", fontsize=11,
    )  # fmt: skip
    return figure


def draw_directional_fsc(result: DirectionalFsc) -> Figure:
    """Plot the FSC in cones and the resolution by direction."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    curves = figure.add_subplot(1, 2, 1)
    n_shells = len(result.total)
    frequency = np.arange(n_shells) / (2 * (n_shells - 1) * result.pixel_size)
    low, middle, high = np.percentile(result.fsc, [5, 50, 95], axis=0)
    lowest, highest = result.fsc.min(axis=0), result.fsc.max(axis=0)
    curves.fill_between(frequency, lowest, highest, color="#cfdcec", label="all cones")
    curves.fill_between(frequency, low, high, color="#8fb0d6", label="5 to 95 % of the cones")
    curves.plot(frequency, middle, color="#1f4e79", label="median")
    curves.plot(frequency, result.total, color="#c0392b", linewidth=1.2, label="all voxels")
    curves.axhline(result.threshold, color="0.55", linestyle=(0, (5, 4)), linewidth=0.9)
    curves.set(xlim=(0, frequency[-1]), ylim=(-0.1, 1.03))
    curves.set_xlabel("spatial frequency (1/Å)")
    curves.set_ylabel("FSC in cones")
    curves.legend(frameon=False, fontsize=8)
    curves.spines[["top", "right"]].set_visible(False)
    sphere = figure.add_subplot(1, 2, 2, projection="mollweide")
    _sphere(figure, sphere, result.directions, result.resolution, "resolution (Å)")
    sphere.set_title(
        f"{result.resolution.min():.2f} to {result.resolution.max():.2f} Å, sphericity "
        f"{result.sphericity:.2f}, area ratio {result.area_ratio:.2f}",
        fontweight="bold", fontsize=10,
    )  # fmt: skip
    return figure


def _sphere(
    figure: Figure,
    axes: Axes,
    directions: Float,
    values: Float,
    label: str,
    low: float | None = None,
) -> None:
    """Colour the sphere by the value of the nearest direction."""
    from scipy.spatial import cKDTree

    from aurefine.geometry.euler import direction_from_angles

    north, east = np.linspace(-90, 90, 181), np.linspace(-180, 180, 361)
    rot, latitude = np.meshgrid(east[:-1] + 0.5, north[:-1] + 0.5)
    points = direction_from_angles(rot, 90 - latitude)
    _, nearest = cKDTree(directions).query(points.reshape(-1, 3))
    mesh = axes.pcolormesh(
        np.deg2rad(east), np.deg2rad(north), values[nearest].reshape(rot.shape),
        cmap="viridis", vmin=low, rasterized=True,
    )  # fmt: skip
    bar = figure.colorbar(mesh, ax=axes, orientation="horizontal", shrink=0.6, pad=0.08, aspect=35)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    axes.set_xticks(np.deg2rad([-120, -60, 0, 60, 120]), ["−120°", "−60°", "0°", "60°", "120°"])
    axes.set_yticks(np.deg2rad([-60, -30, 0, 30, 60]), ["150°", "120°", "90°", "60°", "30°"])
    axes.tick_params(labelsize=7)
    axes.set_xlabel("rot")
    axes.set_ylabel("tilt")
