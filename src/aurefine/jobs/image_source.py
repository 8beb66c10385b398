"""Where the images of the image handler come from: a map, or images in one or more stacks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.io.mrc import (
    MrcHeader,
    decode_pixels,
    map_pixels,
    read_image,
    read_map,
    read_mrc_header,
)
from aurefine.io.stacks import split_image_name

__all__ = [
    "ImageSource",
    "images_of_names",
    "open_source",
    "read_second",
]

_TIFF = (".tif", ".tiff")
_BATCH_BYTES = 64 << 20

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Images of one size, or one map, read when they are needed.

    Attributes
    ----------
    names : tuple of str
        One name for each image, or for the map.
    shape : tuple of int
        Of one image (ny, nx), or of the map (nz, ny, nx).
    pixel_size : float or None
        Of the first header [Å].
    is_stack : bool
        Whether a stack is written for it.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    pixel_size: float | None
    is_stack: bool

    @property
    def is_map(self) -> bool:
        """Whether this is one map and not images."""
        return len(self.shape) == 3

    def __len__(self) -> int:
        return len(self.names)

    def read_map(self) -> Pixels:
        """Read the map; shape (nz, ny, nx)."""
        return read_map(_plain(self.names[0]))[0]

    def batches(self) -> Iterator[tuple[Sequence[str], Pixels]]:
        """Yield names and images (m, ny, nx), as many at a time as fit into some memory."""
        n = max(1, _BATCH_BYTES // (4 * self.shape[-1] * self.shape[-2]))
        stored: dict[str, tuple[MrcHeader, npt.NDArray[Any]]] = {}
        for start in range(0, len(self.names), n):
            names = self.names[start : start + n]
            images: Pixels = np.empty((len(names), *self.shape), dtype=np.float32)
            for image, name in zip(images, names, strict=True):
                image[:] = self._read(name, stored)
            yield names, images

    def _read(self, name: str, stored: dict[str, tuple[MrcHeader, npt.NDArray[Any]]]) -> Pixels:
        number, path = split_image_name(name)
        if path.lower().endswith(_TIFF):
            return read_image(path)
        if path not in stored:
            if len(stored) > 100:
                stored.clear()  # no more open files than that
            header = read_mrc_header(_plain(path))
            stored[path] = header, map_pixels(header)
        header, pixels = stored[path]
        if not 1 <= number <= header.nz:
            raise ImageError(f"{name}: there is no such image; the stack has {header.nz}.")
        if (header.ny, header.nx) != self.shape:
            raise ImageError(
                f"{name}: {header.nx} x {header.ny} px, but the images before have "
                f"{self.shape[1]} x {self.shape[0]} px. Split the STAR file by image size."
            )
        image: Pixels = decode_pixels(header, pixels[number - 1 : number])[0]
        return image


def _plain(path: str) -> str:
    """Name of a file without a type such as ``:mrcs`` after it."""
    return path.removesuffix(":mrcs").removesuffix(":mrc")


def open_source(name: str) -> ImageSource:
    """Look at a map, an image, a stack, or one image of a stack.

    Parameters
    ----------
    name : str
        File name, or ``N@stack.mrcs``; ``:mrcs`` after a name says that it is a stack.

    Raises
    ------
    MrcError
        If the file can not be read.
    """
    if "@" in name:
        return images_of_names([name], is_stack=False)
    if name.lower().endswith(_TIFF):
        image = read_image(name)
        return ImageSource((name,), (image.shape[0], image.shape[1]), None, False)
    header = read_mrc_header(_plain(name))
    is_stack = name.endswith(":mrcs") or (header.is_stack and not name.endswith(":mrc"))
    if is_stack or header.nz == 1:
        names = tuple(f"{i:06d}@{name}" for i in range(1, header.nz + 1)) if is_stack else (name,)
        return ImageSource(names, (header.ny, header.nx), header.pixel_size, is_stack)
    return ImageSource((name,), (header.nz, header.ny, header.nx), header.pixel_size, False)


def images_of_names(names: Sequence[str], *, is_stack: bool = True) -> ImageSource:
    """Collect images by their names, all of the size of the first."""
    _, path = split_image_name(names[0])
    first = open_source(path)
    if first.is_map:
        raise ImageError(f"{path}: stacks of images must have the extension .mrcs.")
    source = ImageSource(tuple(names), first.shape, first.pixel_size, is_stack)
    if not is_stack:
        next(source.batches())  # complain now about a number that does not exist
    return source


def read_second(name: str, source: ImageSource) -> Pixels:
    """Read the second operand of arithmetic, of the size of `source`.

    Raises
    ------
    ImageError
        If the sizes differ, or the name stands for several images.
    """
    other = open_source(name)
    if len(other) != 1:
        raise ImageError(
            f"{name}: a stack of {len(other)} images; name one of them as N@{Path(name).name}."
        )
    if other.shape != source.shape:
        raise ImageError(
            f"{name}: {_size(other.shape)} px, but {os.path.basename(source.names[0])} has "
            f"{_size(source.shape)} px. Both must have the same size."
        )
    if other.is_map:
        return other.read_map()
    _, images = next(other.batches())
    image: Pixels = images[0]
    return image


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape[::-1])
