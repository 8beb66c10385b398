"""The Fourier pixels that images and slices are compared on (spec 1.4, 3.1, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["FourierPixels", "fourier_pixels", "half_plane_rings", "phase_ramps", "window_index"]


@dataclass(frozen=True, slots=True)
class FourierPixels:
    """Half-plane pixels with |k| <= size / 2, sorted by |k|, so that a smaller size is a prefix.

    Each spatial frequency appears once: of the column x = 0 only y >= 0 is listed.
    """

    box: int  # px
    size: int  # px, even
    x: npt.NDArray[np.int32]  # (n_pixels,)
    y: npt.NDArray[np.int32]
    shell: npt.NDArray[np.int64]  # (n_pixels,), round(|k|)
    shell_first: npt.NDArray[np.int64]  # (size // 2 + 2,), pixels of each shell
    index: npt.NDArray[np.int64]  # (n_pixels,), into the flattened rfft2
    sign: npt.NDArray[np.float32]  # (n_pixels,), moves the origin to pixel box / 2
    multiplicity: npt.NDArray[np.float32]  # (n_pixels,), 2 in the column x = 0 except DC

    @property
    def n_pixels(self) -> int:
        """Number of listed pixels."""
        return len(self.x)

    def n_within(self, size: int) -> int:
        """Number of leading pixels with |k| <= size / 2."""
        radius2 = self.x.astype(np.int64) ** 2 + self.y.astype(np.int64) ** 2
        return int(np.searchsorted(radius2, (size / 2) ** 2, side="right"))


@lru_cache(maxsize=16)
def fourier_pixels(box: int, size: int) -> FourierPixels:
    """List the pixels of a box that lie within half of `size` [px]."""
    r = size // 2
    y, x = np.mgrid[-r : r + 1, 0 : r + 1]
    keep = (x * x + y * y <= r * r) & ~((x == 0) & (y < 0))
    x, y = x[keep], y[keep]
    order = np.lexsort((np.arctan2(y, x), x * x + y * y))
    x, y = x[order].astype(np.int32), y[order].astype(np.int32)
    shell = np.floor(np.hypot(x, y) + 0.5).astype(np.int64)
    sign = np.where((x + y) % 2 == 0, 1, -1).astype(np.float32)
    multiplicity = np.where((x == 0) & (y != 0), 2, 1).astype(np.float32)
    return FourierPixels(
        box=box,
        size=size,
        x=x,
        y=y,
        shell=shell,
        shell_first=np.searchsorted(shell, np.arange(r + 2)).astype(np.int64),
        index=(y.astype(np.int64) % box) * (box // 2 + 1) + x,
        sign=sign,
        multiplicity=multiplicity,
    )


@lru_cache(maxsize=16)
def half_plane_rings(box: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ring of every stored coefficient of rfft2, -1 where not counted, and pixels per ring.

    Returns
    -------
    ring : ndarray, shape (box * (box // 2 + 1),)
        round(|k|) up to box // 2; -1 beyond and in the duplicated half of the column x = 0.
    n_pixels : ndarray, shape (box // 2 + 1,)
    """
    y = np.fft.fftfreq(box, 1 / box)[:, None]
    x = np.arange(box // 2 + 1)[None, :]
    ring = np.floor(np.hypot(x, y) + 0.5).astype(np.int64)
    ring[(ring > box // 2) | ((x == 0) & (y < 0) & (y > -box // 2))] = -1
    flat = ring.ravel()
    return flat, np.bincount(flat[flat >= 0], minlength=box // 2 + 1)


@lru_cache(maxsize=16)
def window_index(box: int, size: int) -> npt.NDArray[np.int64]:
    """Positions in the flattened rfft2 of the stored pixels with |x|, |y| <= size / 2."""
    y = np.abs(np.fft.fftfreq(box, 1 / box))[:, None]
    x = np.arange(box // 2 + 1)[None, :]
    return np.flatnonzero((x <= size // 2) & (y <= size // 2))


def phase_ramps(
    pixels: FourierPixels, offsets_px: npt.NDArray[np.float64], n_pixels: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosine and sine of the phase that shifts an image by each offset.

    Parameters
    ----------
    pixels : FourierPixels
    offsets_px : ndarray, shape (n_offsets, 2)
        Shifts in x and y applied to the image [px of its box].
    n_pixels : int
        Number of leading pixels.

    Returns
    -------
    cosines, sines : ndarray, shape (n_offsets, n_pixels), float32
    """
    x = pixels.x[:n_pixels].astype(np.float64)
    y = pixels.y[:n_pixels].astype(np.float64)
    cosines = np.empty((len(offsets_px), n_pixels), np.float32)
    sines = np.empty((len(offsets_px), n_pixels), np.float32)
    for i, (dx, dy) in enumerate(offsets_px):
        phase = (-2 * np.pi / pixels.box) * (x * dx + y * dy)
        cosines[i] = np.cos(phase)
        sines[i] = np.sin(phase)
    return cosines, sines
