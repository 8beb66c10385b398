"""The Fourier pixels that images and slices are compared on (spec 1.4, 3.1, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["FourierPixels", "fourier_pixels", "half_plane_rings", "phase_ramps", "window_index"]

Real = TypeVar("Real", bound=np.floating[Any])

# px: narrow enough for neighbours to share the cache, wide enough (with a padding of 2) for threads
# to insert every other annulus at the same time
_ANNULUS = 3


@dataclass(frozen=True, slots=True)
class FourierPixels:
    """Half-plane pixels with |k| <= size / 2, annulus by annulus, in each of them by their angle.

    Each spatial frequency appears once: of the column x = 0 only y >= 0 is listed. The origin
    comes first.
    """

    box: int  # px
    size: int  # px, even
    x: npt.NDArray[np.int32]  # (n_pixels,)
    y: npt.NDArray[np.int32]
    shell: npt.NDArray[np.int64]  # (n_pixels,), round(|k|)
    index: npt.NDArray[np.int64]  # (n_pixels,), into the flattened rfft2
    sign: npt.NDArray[np.float32]  # (n_pixels,), moves the origin to pixel box / 2
    multiplicity: npt.NDArray[np.float32]  # (n_pixels,), 2 in the column x = 0 except DC

    @property
    def n_pixels(self) -> int:
        """Number of listed pixels."""
        return len(self.x)

    @property
    def n_shells(self) -> int:
        """Number of shells, from 0 on."""
        return self.size // 2 + 1

    def n_within(self, size: int) -> int:
        """Number of pixels with |k| <= size / 2, which are the leading ones.

        Raises
        ------
        ValueError
            If the list was not made with this size as one of its `prefixes`.
        """
        is_within = _squared_radius(self.x, self.y) <= (size / 2) ** 2
        n = int(np.count_nonzero(is_within))
        if not is_within[:n].all():
            raise ValueError(f"the pixels within a size of {size} px are not the leading ones")
        return n

    def leading(self, n: int) -> FourierPixels:
        """Return the first n pixels, as many as `n_within` says, as the list of their size."""
        return replace(
            self,
            size=2 * int(self.shell[:n].max()),
            x=self.x[:n],
            y=self.y[:n],
            shell=self.shell[:n],
            index=self.index[:n],
            sign=self.sign[:n],
            multiplicity=self.multiplicity[:n],
        )

    def shell_sums(self, values: npt.NDArray[Real]) -> npt.NDArray[Real]:
        """Sum values of pixels, shape (..., n_pixels), over shells: shape (..., n_shells)."""
        order = np.argsort(self.shell, kind="stable")
        first = np.searchsorted(self.shell[order], np.arange(self.n_shells))
        sums: npt.NDArray[Real] = np.add.reduceat(values[..., order], first, axis=-1)
        return sums


@lru_cache(maxsize=16)
def fourier_pixels(box: int, size: int, prefixes: tuple[int, ...] = ()) -> FourierPixels:
    """List the pixels of a box that lie within half of `size` [px].

    Parameters
    ----------
    box, size : int
        In px; the size is even.
    prefixes : tuple of int
        Smaller sizes [px], whose pixels come before all others.
    """
    r = size // 2
    y, x = np.mgrid[-r : r + 1, 0 : r + 1]
    keep = (x * x + y * y <= r * r) & ~((x == 0) & (y < 0))
    x, y = x[keep], y[keep]
    radius2 = _squared_radius(x, y)
    bounds = np.unique([*range(0, r, _ANNULUS), *(prefix / 2 for prefix in prefixes)])
    annulus = np.searchsorted(bounds**2, radius2, side="left")
    order = np.lexsort((radius2, np.arctan2(y, x), annulus))
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
        index=(y.astype(np.int64) % box) * (box // 2 + 1) + x,
        sign=sign,
        multiplicity=multiplicity,
    )


def _squared_radius(x: npt.NDArray[np.int32], y: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    radius2: npt.NDArray[np.int64] = x.astype(np.int64) ** 2 + y.astype(np.int64) ** 2
    return radius2


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
