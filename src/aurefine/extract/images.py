"""From a micrograph and particle centres to finished particle images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.extract.normalise import Background, make_background, normalise_images, remove_dust
from aurefine.extract.rescale import rescale_images
from aurefine.extract.window import cut_windows, grey_level, window_corners, windows_over_edge
from aurefine.fourier.block_crop import BlockCrop
from aurefine.fourier.resize import window_images

__all__ = ["ImageCounts", "ImageSettings", "extract_images"]

# Windows [bytes] that are worked on together: few enough for the cache of a core, and so many that
# threads seldom wait for each other
_BATCH_BYTES = 1600 * 1024
_LEAST_BATCH = 2
_LOW_LEVEL = 4.0  # standard deviations


@dataclass(frozen=True)
class ImageSettings:
    """What to do with each particle image, in this order: cut, rescale, window, normalise, invert.

    Sizes are in pixels and even; `box_size` counts micrograph pixels. `background_radius` None
    switches the normalisation off; dust thresholds of 0 or less switch dust removal off.
    `relion_window` crops about ``box_size // 2`` after rescaling, as RELION does, instead of about
    the centre of the rescaled image.
    """

    box_size: int
    rescaled_size: int | None = None
    windowed_size: int | None = None
    relion_window: bool = False
    background_radius: int | None = None
    subtract_plane: bool = True
    white_dust: float = -1.0
    black_dust: float = -1.0
    invert_contrast: bool = False
    background: Background | None = field(init=False, default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.background_radius is not None:
            background = make_background(self.output_size, self.background_radius)
            object.__setattr__(self, "background", background)

    @property
    def output_size(self) -> int:
        """Edge of the finished images [px]."""
        return self.windowed_size or self.rescaled_size or self.box_size

    @property
    def window_source(self) -> tuple[int, int]:
        """Edge of the images before they are windowed, and the pixel to window about [px]."""
        size = self.rescaled_size or self.box_size
        return size, (self.box_size if self.relion_window else size) // 2

    @property
    def keeps_level(self) -> bool:
        """Whether the result depends on the grey level; a subtracted plane takes it along."""
        if self.background is None or not self.subtract_plane:
            return True
        size, centre = self.window_source
        first = centre - self.output_size // 2
        return first < 0 or first + self.output_size > size

    def output_pixel_size(self, micrograph_pixel_size: float) -> float:
        """Pixel size of the finished images [Å]."""
        if self.rescaled_size is None:
            return micrograph_pixel_size
        return micrograph_pixel_size * self.box_size / self.rescaled_size


@dataclass
class ImageCounts:
    """What was noticed while images were made."""

    n_constant: int = 0  # images whose background does not vary, so that they were not scaled
    n_dust_pixels: int = 0  # pixels replaced by noise


def extract_images(
    micrograph: npt.NDArray[Any],
    coordinates: npt.NDArray[np.float64],
    settings: ImageSettings,
    counts: ImageCounts,
    *,
    seed: tuple[int, ...] = (0,),
) -> Iterator[npt.NDArray[np.float32]]:
    """Make the particle images of one micrograph, batch by batch.

    Parameters
    ----------
    micrograph : ndarray, shape (ny, nx)
        Any real type.
    coordinates : ndarray, shape (n, 2)
        Centres x, y [px]; no window may lie completely outside.
    settings : ImageSettings
    counts : ImageCounts
        Updated with every batch that is delivered.
    seed : tuple of int
        Identifies the micrograph; with the particle's number it keys the noise that replaces dust.

    Yields
    ------
    images : ndarray, shape (k, size, size), float32
        The next `k` particles, ``size = settings.output_size``; valid until the next are asked
        for.
    """
    corners = window_corners(coordinates, settings.box_size)
    level, deviation = (0.0, 0.0) if settings.keeps_level else grey_level(micrograph)
    in_batch = max(_LEAST_BATCH, _BATCH_BYTES // (4 * settings.box_size**2))
    step = min(in_batch, max(1, len(corners)))
    buffers = _Buffers.for_batch(step, settings)
    box, (size, _) = settings.box_size, settings.window_source
    n_rows, n_columns = micrograph.shape
    is_over = windows_over_edge(corners, box, (n_rows, n_columns))
    # windows inside the micrograph need not be copied if its level costs no precision
    in_place = micrograph.dtype == np.float32 and abs(level) <= _LOW_LEVEL * deviation
    for start in range(0, len(corners), step):
        batch = corners[start : start + step]
        # pixels that are not finite make the whole image so, and the caller finds it
        with np.errstate(invalid="ignore", over="ignore"):
            windows = buffers.windows[: len(batch)]
            if in_place and buffers.crop is not None:
                cut = [
                    cut_windows(micrograph, batch[i : i + 1], box, out=windows[i : i + 1])[0]
                    if over
                    else micrograph[y : y + box, x : x + box]
                    for i, ((x, y), over) in enumerate(
                        zip(batch.tolist(), is_over[start : start + step], strict=True)
                    )
                ]
                images = buffers.crop(cut, level=level)
            else:
                cut_windows(micrograph, batch, box, level=level, out=windows)
                images = rescale_images(
                    windows, size, has_level=settings.keeps_level, crop=buffers.crop
                )
            images = _windowed(images, settings)
            _change_greys(images, settings, counts, (*seed, start), buffers.work[: len(batch)])
        yield images


@dataclass(frozen=True)
class _Buffers:
    """Memory for one batch, used by one after the other."""

    windows: npt.NDArray[np.float32]
    work: npt.NDArray[np.float32]  # of the size of the finished images
    crop: BlockCrop | None

    @classmethod
    def for_batch(cls, n_images: int, settings: ImageSettings) -> _Buffers:
        window_shape = (n_images, settings.box_size, settings.box_size)
        size, _ = settings.window_source
        crop = None
        if size < settings.box_size:
            crop = BlockCrop(n_images, settings.box_size, size)
        work_shape = (n_images, settings.output_size, settings.output_size)
        return cls(np.empty(window_shape, np.float32), np.empty(work_shape, np.float32), crop)


def _windowed(images: npt.NDArray[np.float32], settings: ImageSettings) -> npt.NDArray[np.float32]:
    if settings.windowed_size is None:
        return images
    _, centre = settings.window_source
    windowed = window_images(images, settings.windowed_size, centre=centre)
    return windowed.astype(np.float32, copy=False)


def _change_greys(
    images: npt.NDArray[np.float32],
    settings: ImageSettings,
    counts: ImageCounts,
    seed: tuple[int, ...],
    work: npt.NDArray[np.float32],
) -> None:
    background = settings.background
    if background is not None:
        if settings.white_dust > 0 or settings.black_dust > 0:
            first = seed[-1]
            counts.n_dust_pixels += remove_dust(
                images,
                background,
                white=settings.white_dust,
                black=settings.black_dust,
                generators=[
                    np.random.default_rng((*seed[:-1], first + i)) for i in range(len(images))
                ],
            )
        is_constant = normalise_images(
            images,
            background,
            subtract_plane=settings.subtract_plane,
            inverted=settings.invert_contrast,
            work=work,
        )
        counts.n_constant += int(is_constant.sum())
    elif settings.invert_contrast:
        np.negative(images, out=images)
