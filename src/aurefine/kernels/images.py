"""Particle images before and after the Fourier transform (spec 3.2)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from aurefine.kernels.copying import copy_vector

__all__ = ["gather_pixels", "ring_power", "shift_and_mask", "shift_transforms"]


@njit(nogil=True, cache=True, fastmath=True)
def shift_and_mask(images, factors, shift_x, shift_y, background, fill, shifted, masked):
    """Scale and shift images by whole pixels, and mask a copy of them.

    Parameters
    ----------
    images : float32, shape (n_images, n, n)
    factors : float32, shape (n_images,)
        Intensity correction.
    shift_x, shift_y : int64, shape (n_images,)
        Shift [px]; zeros enter from outside.
    background : float32, shape (n, n)
        Weight of the background: 0 inside the mask, 1 outside.
    fill : float32, shape (n_images, n, n) or (0, 0, 0)
        What replaces the background; if empty, the mean background of each image.
    shifted, masked : float32, shape (n_images, n, n)
        Overwritten.
    """
    n = images.shape[1]
    for i in range(images.shape[0]):
        factor = factors[i]
        dx = shift_x[i]
        dy = shift_y[i]
        sum_b = 0.0
        sum_w = 0.0
        out = shifted[i]
        for y in range(n):
            row = out[y]
            row[:] = np.float32(0.0)
            source = y - dy
            if source >= 0 and source < n:
                lo = max(0, dx)
                hi = min(n, n + dx)
                if hi > lo:
                    line = images[i, source, lo - dx : hi - dx]
                    target = row[lo:hi]
                    for x in range(hi - lo):
                        target[x] = factor * line[x]
            weight = background[y]
            b = np.float32(0.0)
            w = np.float32(0.0)
            for x in range(n):
                b += weight[x] * row[x]
                w += weight[x]
            sum_b += b
            sum_w += w
        mean = np.float32(sum_b / sum_w) if sum_w > 0 else np.float32(0.0)
        for y in range(n):
            row = out[y]
            target = masked[i, y]
            weight = background[y]
            if sum_w <= 0:
                copy_vector(row, target)
            elif fill.shape[0] == 0:
                for x in range(n):
                    target[x] = row[x] + weight[x] * (mean - row[x])
            else:
                line = fill[i, y]
                for x in range(n):
                    target[x] = row[x] + weight[x] * (line[x] - row[x])


@njit(nogil=True, cache=True, fastmath=True)
def gather_pixels(transforms, index, scale, out):
    """Collect the pixels of a slice from transforms.

    Parameters
    ----------
    transforms : complex64, shape (n_images, n_stored)
        Flattened `rfft2` of each image.
    index : int64, shape (n_pixels,)
    scale : complex64, shape (n_pixels,)
        Normalisation, centring sign and phase correction of each pixel.
    out : float32, shape (n_images, 2, n_pixels)
    """
    for i in range(transforms.shape[0]):
        source = transforms[i]
        re = out[i, 0]
        im = out[i, 1]
        for j in range(index.size):
            v = source[index[j]]
            s = scale[j]
            re[j] = v.real * s.real - v.imag * s.imag
            im[j] = v.real * s.imag + v.imag * s.real


@njit(nogil=True, cache=True)
def shift_transforms(images, pixel_x, pixel_y, shifts, box):
    """Shift images by parts of a pixel, in Fourier space and in place.

    Parameters
    ----------
    images : float32, shape (n_images, 2, n_pixels)
    pixel_x, pixel_y : int32, shape (n_pixels,)
        Frequencies, those in x not negative.
    shifts : float64, shape (n_images, 2)
        In x and y [px].
    box : int
    """
    n = 0
    for j in range(pixel_x.size):
        n = max(n, pixel_x[j], abs(pixel_y[j]))
    ramps = np.empty((2, 2, 2 * n + 1), np.float32)  # axis; cosine, sine; frequency from -n
    for i in range(images.shape[0]):
        for axis in range(2):
            for k in range(2 * n + 1):
                phase = -2 * math.pi / box * (k - n) * shifts[i, axis]
                ramps[axis, 0, k] = math.cos(phase)
                ramps[axis, 1, k] = math.sin(phase)
        re = images[i, 0]
        im = images[i, 1]
        for j in range(pixel_x.size):
            x = pixel_x[j] + n
            y = pixel_y[j] + n
            cosine = ramps[0, 0, x] * ramps[1, 0, y] - ramps[0, 1, x] * ramps[1, 1, y]
            sine = ramps[0, 0, x] * ramps[1, 1, y] + ramps[0, 1, x] * ramps[1, 0, y]
            real = re[j] * cosine - im[j] * sine
            im[j] = re[j] * sine + im[j] * cosine
            re[j] = real


@njit(nogil=True, cache=True, fastmath=True)
def ring_power(transforms, ring, scale, out):
    """Sum |F|^2 of each image over the rings of the half plane.

    Parameters
    ----------
    transforms : complex64, shape (n_images, n_stored)
    ring : int64, shape (n_stored,)
        Ring of each stored coefficient; negative if it is not counted.
    scale : float
        Multiplies the sums.
    out : float64, shape (n_images, n_rings)
        Overwritten.
    """
    out[:] = 0.0
    for i in range(transforms.shape[0]):
        source = transforms[i]
        row = out[i]
        for j in range(ring.size):
            r = ring[j]
            if r >= 0:
                v = source[j]
                row[r] += v.real * v.real + v.imag * v.imag
        for r in range(row.size):
            row[r] *= scale
