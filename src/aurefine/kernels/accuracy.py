"""Smallest pose errors that change the likelihood noticeably (spec 5.5)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from aurefine.kernels.slices import extract_slices

__all__ = ["smallest_offset_error", "smallest_rotation_error"]


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _matrix(rot, tilt, psi, out):
    a = math.radians(rot)
    b = math.radians(tilt)
    g = math.radians(psi)
    ca = math.cos(a)
    sa = math.sin(a)
    cb = math.cos(b)
    sb = math.sin(b)
    cg = math.cos(g)
    sg = math.sin(g)
    out[0, 0, 0] = cg * cb * ca - sg * sa
    out[0, 0, 1] = cg * cb * sa + sg * ca
    out[0, 0, 2] = -cg * sb
    out[0, 1, 0] = -sg * cb * ca - cg * sa
    out[0, 1, 1] = -sg * cb * sa + cg * ca
    out[0, 1, 2] = sg * sb
    out[0, 2, 0] = sb * ca
    out[0, 2, 1] = sb * sa
    out[0, 2, 2] = cb


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _rotation_step(error):
    if error < 0.2:
        return 0.05
    if error < 1:
        return 0.1
    if error < 2:
        return 0.2
    if error < 5:
        return 0.5
    if error < 10:
        return 1.0
    if error < 20:
        return 2.0
    return 5.0


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _offset_step(error):
    if error < 1:
        return 0.1
    if error < 2:
        return 0.2
    if error < 5:
        return 0.5
    if error < 10:
        return 1.0
    return 2.0


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def smallest_rotation_error(
    volume, rot, tilt, psi, axis, pixel_x, pixel_y, weight, shell, threshold, by_shell
):
    """Rotate a slice about one Euler angle until it differs by more than a threshold.

    Parameters
    ----------
    volume, pixel_x, pixel_y
        See `extract_slices`.
    rot, tilt, psi : float
        Degrees.
    axis : int
        0, 1 or 2: which angle is changed.
    weight : float32, shape (n_pixels,)
        CTF^2 / (2 sigma2), zero at DC.
    shell : int64, shape (n_pixels,)
    threshold : float
    by_shell : float64, shape (n_shells,)
        Normalised contributions of the shells to the final difference; added to.

    Returns
    -------
    float
        The first error [degrees] beyond the threshold, or the first above 30.
    """
    n = pixel_x.size
    matrix = np.empty((1, 3, 3))
    reference = np.empty((1, 2 * n), np.float32)
    moved = np.empty((1, 2 * n), np.float32)
    _matrix(rot, tilt, psi, matrix)
    extract_slices(volume, matrix.astype(np.float32), pixel_x, pixel_y, reference)
    error = 0.0
    while True:
        error += _rotation_step(error)
        _matrix(
            rot + (error if axis == 0 else 0.0),
            tilt + (error if axis == 1 else 0.0),
            psi + (error if axis == 2 else 0.0),
            matrix,
        )
        extract_slices(volume, matrix.astype(np.float32), pixel_x, pixel_y, moved)
        total = 0.0
        for j in range(n):
            re = reference[0, j] - moved[0, j]
            im = reference[0, n + j] - moved[0, n + j]
            total += weight[j] * (re * re + im * im)
        if total > threshold or error > 30:
            break
    if total > 0:
        for j in range(n):
            re = reference[0, j] - moved[0, j]
            im = reference[0, n + j] - moved[0, n + j]
            by_shell[shell[j]] += weight[j] * (re * re + im * im) / total
    return error


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def smallest_offset_error(volume, rot, tilt, psi, frequency, pixel_x, pixel_y, weight, threshold):
    """Shift a slice along one axis until it differs by more than a threshold.

    Parameters are those of `smallest_rotation_error`; `frequency` (n_pixels,) is the phase per
    pixel of shift [radians].

    Returns
    -------
    float
        The first error [px] beyond the threshold, or the first above 10.
    """
    n = pixel_x.size
    matrix = np.empty((1, 3, 3))
    reference = np.empty((1, 2 * n), np.float32)
    _matrix(rot, tilt, psi, matrix)
    extract_slices(volume, matrix.astype(np.float32), pixel_x, pixel_y, reference)
    error = 0.0
    while True:
        error += _offset_step(error)
        total = 0.0
        for j in range(n):
            power = reference[0, j] ** 2 + reference[0, n + j] ** 2
            total += weight[j] * power * (2.0 - 2.0 * math.cos(frequency[j] * error))
        if total > threshold or error > 10:
            break
    return error
