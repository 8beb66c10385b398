"""Crop the transforms of many images by matrix products instead of transforms.

Cropping a transform to a smaller box is a linear map of each axis. It commutes with shifts by
``n / g`` pixels before and ``m / g`` after, for any `g` that divides both boxes `n` and `m`: an
axis is cut into `g` blocks, a small transform over the blocks separates what has one behaviour
under these shifts, and small matrices map each part for itself. All of that are products of
matrices, which processors multiply close to their peak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BlockCrop"]

_FFT: Any = np.fft  # its type stubs know results in double precision only

_MOST_BLOCKS = 16  # more are not faster for any box

Single = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Plan:
    """The map of one axis from `n` to `m` pixels, in `g` blocks of `n_in` and `n_out` pixels.

    `blocks` (g, g) is the orthonormal transform over the blocks, `blocks_back` its inverse. Its
    first two parts are the sum and the alternating sum, mapped by `single` (2, n_out, n_in); the
    others are pairs, mapped together by `pairs` (g / 2 - 1, 2 n_out, 2 n_in).

    The frequency ``m / 2`` of the columns keeps its sign, so that the images have a sine part
    there: `sine` (n_in,) extracts it from part `sine_part`, and `signs` (n_out,) spreads it.
    """

    n: int
    m: int
    g: int
    blocks: Single
    blocks_back: Single
    single: Single
    pairs: Single
    sine_part: int
    sine: Single
    signs: Single

    @property
    def n_in(self) -> int:
        return self.n // self.g

    @property
    def n_out(self) -> int:
        return self.m // self.g


@lru_cache(maxsize=8)
def _plan(n: int, m: int) -> _Plan:
    g = _number_of_blocks(n, m)
    n_in, n_out = n // g, m // g
    turns = 2 * np.pi * np.outer(np.arange(1, g // 2), np.arange(g)) / g  # (g / 2 - 1, g)
    rows = [np.ones(g), np.tile([1.0, -1.0], g // 2)]
    for turn in turns:
        rows += [math.sqrt(2) * np.cos(turn), math.sqrt(2) * np.sin(turn)]
    blocks = np.array(rows) / math.sqrt(g)
    pairs = np.empty((g // 2 - 1, 2 * n_out, 2 * n_in))
    for pair, residue in zip(pairs, range(1, g // 2), strict=True):
        part = _part(n, m, g, residue)
        pair[:] = np.block([[part.real, part.imag], [-part.imag, part.real]])
    is_odd = n_out % 2
    return _Plan(
        n=n,
        m=m,
        g=g,
        blocks=blocks.astype(np.float32),
        blocks_back=np.ascontiguousarray(blocks.T, dtype=np.float32),
        single=np.stack([_part(n, m, g, residue).real for residue in (0, g // 2)]).astype(
            np.float32
        ),
        pairs=pairs.astype(np.float32),
        sine_part=is_odd,
        sine=(-math.sqrt(g) / n * np.sin(np.pi * m / n * np.arange(n_in))).astype(np.float32),
        signs=(math.sqrt(g) * (-1.0) ** np.arange(n_out)).astype(np.float32),
    )


def _number_of_blocks(n: int, m: int) -> int:
    common = math.gcd(n, m)
    even = [g for g in range(2, min(common, _MOST_BLOCKS) + 1, 2) if common % g == 0]
    # multiplications for a pixel, over the blocks and inside them
    return min(even, key=lambda g: g + m * (2 * g - 2) / g**2)


def _part(n: int, m: int, g: int, residue: int) -> npt.NDArray[np.complex128]:
    """Map blocks by the frequencies that leave `residue` if divided by `g`, (m / g, n / g)."""
    frequencies = np.arange(-(m // 2), m // 2 + 1)
    weights = np.ones(m + 1)
    weights[[0, -1]] = 0.5  # the frequency m / 2 with both signs
    chosen = (frequencies - residue) % g == 0
    turns = 2j * np.pi * frequencies[chosen]
    before = np.exp(-np.multiply.outer(turns, np.arange(n // g) / n))
    after = np.exp(np.multiply.outer(np.arange(m // g) / m, turns)) * weights[chosen]
    mapped: npt.NDArray[np.complex128] = (after @ before) * (g / n)
    return mapped


class BlockCrop:
    """Crop the transforms of square images, batch by batch in the same memory.

    Parameters
    ----------
    n_images : int
        The most images of one batch.
    box : int
        Edge of the images [px], even.
    size : int
        Smaller edge of the results [px], even.
    """

    def __init__(self, n_images: int, box: int, size: int) -> None:
        if box % 2 or size % 2 or not 0 < size < box:
            raise ValueError(f"expected an even box and a smaller even size: {box}, {size}")
        self._plan = _plan(box, size)
        # steps take turns in two pieces of memory, so that they stay in the cache
        self._first = np.empty((n_images, box * box), np.float32)
        self._second = np.empty((n_images, size * box), np.float32)
        self._images = np.empty((n_images, size, size), np.float32)

    def __call__(self, windows: Sequence[Single] | Single, *, level: float = 0.0) -> Single:
        """Crop the transforms of the next images.

        Parameters
        ----------
        windows : sequence of ndarray, each of shape (box, box), float32
            They may be parts of a larger picture, and are read once.
        level : float
            Grey level that is subtracted; not far above the variation, for the sake of precision.

        Returns
        -------
        images : ndarray, shape (len(windows), size, size), float32
            Valid until the next call. Pixel 0 stays at pixel 0 and grey values are kept.

        Notes
        -----
        The result is that of ``irfft2`` from the coefficients of ``rfft2`` that the smaller box
        has, with that of frequency ``+size / 2`` in its Nyquist rows.
        """
        plan, k = self._plan, len(windows)
        n, m, g = plan.n, plan.m, plan.g
        parts = self._first[:k].reshape(k, n, n)
        for window, out in zip(windows, parts, strict=True):
            _blocks_of_rows(plan, window, out)
        columns = self._second[:k].reshape(k, m, n)
        _map_rows(plan, parts, columns)
        sine = self._sine_of_columns(parts)  # (k, m)

        parts = self._first[:k, : m * n].reshape(k, m, n)
        np.matmul(plan.blocks, columns.reshape(k, m, g, -1), out=parts.reshape(k, m, g, -1))
        mapped = self._second[:k, : m * m].reshape(k, m, m)
        _map_columns(plan, parts, mapped)
        rows = self._first[:k, : m * m].reshape(k, m, m)
        np.matmul(plan.blocks_back, mapped.reshape(k, m, g, -1), out=rows.reshape(k, m, g, -1))

        first = plan.sine_part * plan.n_out
        rows[:, first : first + plan.n_out] -= plan.signs[:, None] * sine[:, None, :]
        images = self._images[:k]
        np.matmul(plan.blocks_back, rows.reshape(k, g, -1), out=images.reshape(k, g, -1))
        if level:
            images -= np.float32(level)
        return images

    def _sine_of_columns(self, parts: Single) -> Single:
        """Return what the sine of frequency ``m / 2`` along columns gives along rows (k, m)."""
        plan = self._plan
        first = plan.sine_part * plan.n_in
        of_rows = plan.sine @ parts[:, first : first + plan.n_in]  # (k, n)
        transform = _FFT.rfft(of_rows, norm="forward")[:, : plan.m // 2 + 1]
        across: Single = _FFT.irfft(transform * np.complex64(-1j), n=plan.m, norm="forward")
        return across


def _blocks_of_rows(plan: _Plan, window: Single, out: Single) -> None:
    """Transform over the blocks of rows (n, columns), one row of all blocks after the other."""
    shape = (plan.g, plan.n_in, window.shape[-1])
    row, column = window.strides
    strided = np.lib.stride_tricks.as_strided(
        window, shape, (plan.n_in * row, row, column), writeable=False
    )
    np.matmul(plan.blocks, strided.transpose(1, 0, 2), out=out.reshape(shape).transpose(1, 0, 2))


def _map_rows(plan: _Plan, parts: Single, out: Single) -> None:
    """Map the parts of (k, n, columns) to those of (k, m, columns)."""
    (k, _, columns), n_in, n_out = parts.shape, plan.n_in, plan.n_out
    single = parts[:, : 2 * n_in].reshape(k, 2, n_in, columns)
    np.matmul(plan.single, single, out=out[:, : 2 * n_out].reshape(k, 2, n_out, columns))
    if len(plan.pairs):
        pairs = parts[:, 2 * n_in :].reshape(k, -1, 2 * n_in, columns)
        np.matmul(plan.pairs, pairs, out=out[:, 2 * n_out :].reshape(k, -1, 2 * n_out, columns))


def _map_columns(plan: _Plan, parts: Single, out: Single) -> None:
    """Map the parts of (k, m, n) to those of (k, m, m), along the last axis."""
    for matrices, first, count in ((plan.single, 0, 1), (plan.pairs, 2, 2)):
        width_in, width_out = count * plan.n_in, count * plan.n_out
        for i, matrix in enumerate(matrices):
            start = first + count * i
            source = parts[..., start * plan.n_in :][..., :width_in]
            np.matmul(source, matrix.T, out=out[..., start * plan.n_out :][..., :width_out])
