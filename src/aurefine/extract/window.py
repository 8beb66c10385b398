"""Cut square windows out of a micrograph, with RELION's rule for the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "cut_windows",
    "grey_level",
    "window_corners",
    "windows_off_micrograph",
    "windows_over_edge",
]


def window_corners(coordinates: npt.NDArray[np.float64], box_size: int) -> npt.NDArray[np.int64]:
    """Give the first pixel of each window.

    Parameters
    ----------
    coordinates : ndarray, shape (n, 2)
        Particle centres x, y [px of the micrograph]; the first pixel has index 0.
    box_size : int
        Edge of the window [px].

    Returns
    -------
    corners : ndarray, shape (n, 2), int64
        Index x, y of the first pixel, which may lie outside the micrograph.

    Notes
    -----
    Fractions are cut, not rounded, and pixel ``box_size // 2`` of the window is the cut coordinate.
    """
    return np.trunc(coordinates).astype(np.int64) - box_size // 2


def windows_off_micrograph(
    corners: npt.NDArray[np.int64], box_size: int, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Tell which windows have no pixel in common with a micrograph of `shape` (rows, columns)."""
    limits = np.array([shape[1], shape[0]])
    is_off = (corners + box_size <= 0) | (corners >= limits)  # (n, 2)
    return is_off[:, 0] | is_off[:, 1]


def windows_over_edge(
    corners: npt.NDArray[np.int64], box_size: int, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Tell which windows have at least one pixel outside a micrograph of `shape`."""
    limits = np.array([shape[1], shape[0]])
    is_over = (corners < 0) | (corners + box_size > limits)  # (n, 2)
    return is_over[:, 0] | is_over[:, 1]


def grey_level(micrograph: npt.NDArray[Any]) -> tuple[float, float]:
    """Estimate mean and standard deviation from some pixels, without those not finite."""
    some = micrograph[::32, ::32].astype(np.float64)
    finite = some[np.isfinite(some)]
    return (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)


def cut_windows(
    micrograph: npt.NDArray[Any],
    corners: npt.NDArray[np.int64],
    box_size: int,
    *,
    level: float = 0.0,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Cut one window per particle; pixels outside take the value of the nearest pixel inside.

    Parameters
    ----------
    micrograph : ndarray, shape (ny, nx)
        Any real type.
    corners : ndarray, shape (n, 2)
        First pixel x, y of each window, see `window_corners`.
    box_size : int
        Edge of the windows [px].
    level : float
        Grey level that is subtracted.
    out : ndarray, shape (n, box_size, box_size), float32, optional
        Memory for the windows.

    Returns
    -------
    windows : ndarray, shape (n, box_size, box_size), float32

    Raises
    ------
    ValueError
        If a window lies completely outside the micrograph.
    """
    ny, nx = micrograph.shape
    if np.any(windows_off_micrograph(corners, box_size, (ny, nx))):
        raise ValueError("a window lies completely outside the micrograph")

    shape = (len(corners), box_size, box_size)
    windows = np.empty(shape, dtype=np.float32) if out is None else out
    for window, (x, y) in zip(windows, corners.tolist(), strict=True):
        left, right = max(-x, 0), min(nx - x, box_size)  # columns of the window that are inside
        top, bottom = max(-y, 0), min(ny - y, box_size)
        inside = window[top:bottom, left:right]
        pixels = micrograph[y + top : y + bottom, x + left : x + right]
        if level:
            np.subtract(pixels, np.float32(level), out=inside, dtype=np.float32)
        else:
            inside[:] = pixels
        # columns first, then whole rows, so that corners get the corner pixel
        window[top:bottom, :left] = window[top:bottom, left : left + 1]
        window[top:bottom, right:] = window[top:bottom, right - 1 : right]
        window[:top] = window[top]
        window[bottom:] = window[bottom - 1]
    return windows
