"""Orientation distributions as a scene for ChimeraX (spec: files, 7.6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["orientation_scene"]

_CYLINDER = ".color %g 0 %g\n.cylinder %g %g %g %g %g %g %g\n"
_SHORTEST = 0.01  # Å; cylinders below this in all components are left out


def orientation_scene(
    rot: npt.NDArray[np.float64],
    tilt: npt.NDArray[np.float64],
    pdf: npt.NDArray[np.float64],
    *,
    box_size: int,
    pixel_size: float,
    order: int,
) -> str:
    """Return the text of a `.bild` file: one coloured cylinder per direction.

    Parameters
    ----------
    rot, tilt : ndarray, shape (n,)
        Sampled directions [degrees].
    pdf : ndarray, shape (n,)
        Their probabilities.
    box_size : int
        [px]
    pixel_size : float
        [Å]
    order : int
        HEALPix order, which sets the width of the cylinders.

    Returns
    -------
    text : str
    """
    radius = 0.5 * box_size * pixel_size
    width = 0.5 * np.pi * radius * (360 / (6 * 2**order)) / 360
    peak, deviation = float(pdf.max(initial=0.0)), float(pdf.std())
    if peak <= 0:
        return ""
    shade = (pdf - pdf.mean()) / deviation if deviation > 0 else np.zeros(len(pdf))
    red = np.clip(shade, -1, 5) / 6 + 1 / 6

    a, b = np.deg2rad(rot), np.deg2rad(tilt)
    view = np.stack([np.sin(b) * np.cos(a), np.sin(b) * np.sin(a), np.cos(b)], axis=1)  # (n, 3)
    inner = radius * view + radius
    outer = (radius + 0.3 * radius * pdf / peak)[:, None] * view + radius
    shown = (pdf > 0) & (np.abs(outer - inner) >= _SHORTEST).any(axis=1)
    rows = np.column_stack([red, 1 - red, inner, outer, np.full(len(pdf), width)])[shown]
    return "".join(_CYLINDER % tuple(row) for row in rows.tolist())
