"""Figures of post-processing: FSC curves and Guinier plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["fsc_figure", "guinier_figure"]

Curve = npt.NDArray[np.float64]

_COLOURS = ("black", "tab:green", "tab:blue", "tab:red", "tab:purple", "tab:orange")


def fsc_figure(
    frequency: Curve, curves: Mapping[str, Curve], final_resolution: float, title: str
) -> Figure:
    """Draw FSC curves.

    Parameters
    ----------
    frequency : ndarray, shape (n_shells,)
        Spatial frequency of each shell [1/Å].
    curves : mapping of str to ndarray, shape (n_shells,)
        FSC by name.
    final_resolution : float
        Marked in the figure [Å].
    title : str
        Text above.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False):
        axes.plot(frequency, curve, label=name, color=colour, linewidth=1.5)
    axes.axhline(0.143, color="grey", linewidth=0.8, linestyle="--")
    axes.axhline(0.0, color="grey", linewidth=0.8)
    axes.axvline(
        1 / final_resolution,
        color="grey",
        linewidth=0.8,
        linestyle=":",
        label=f"FSC = 0.143 at {final_resolution:.2f} Å",
    )
    axes.set_xlim(0, frequency[-1])
    axes.set_ylim(min(-0.1, *(float(curve.min()) for curve in curves.values())), 1.05)
    axes.set_xlabel("Spatial frequency (1/Å)")
    axes.set_ylabel("Fourier shell correlation")
    axes.set_title(title)
    axes.legend(fontsize="small")
    return figure


def guinier_figure(
    frequency_squared: Curve,
    curves: Mapping[str, Curve],
    line: tuple[float, float] | None,
    title: str,
) -> Figure:
    """Draw a Guinier plot.

    Parameters
    ----------
    frequency_squared : ndarray, shape (n_shells,)
        Squared spatial frequency [1/Å²].
    curves : mapping of str to ndarray, shape (n_shells,)
        Logarithm of the amplitude by name; shells at -99 have no signal and are left out.
    line : (slope, intercept), optional
        Line that was fitted.
    title : str
        Text above.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), _COLOURS, strict=False):
        shown = curve > -99.0
        axes.plot(frequency_squared[shown], curve[shown], label=name, color=colour, linewidth=1.5)
    if line is not None:
        slope, intercept = line
        axes.plot(
            frequency_squared,
            slope * frequency_squared + intercept,
            color="grey",
            linestyle="--",
            linewidth=1,
            label=f"fit, B = {4 * slope:.1f} Å²",
        )
    axes.set_xlim(0, frequency_squared[-1])
    axes.set_xlabel("Squared spatial frequency (1/Å²)")
    axes.set_ylabel("ln(amplitude)")
    axes.set_title(title)
    axes.legend(fontsize="small")
    return figure
