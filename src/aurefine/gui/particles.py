"""Pages of particle images with their values."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, StarError
from aurefine.gui.folder import Folder
from aurefine.gui.star_pages import StarPages, TableOutline
from aurefine.io import split_image_name
from aurefine.io.mrc import decode_pixels, map_pixels, read_mrc_header

__all__ = ["Montage", "montage"]

_TILE = 128  # px of an image on the screen at most
_MAX_IMAGES = 120
_COLUMNS = 10
_VALUES = (
    "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfMaxResolution",
    "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst",
    "rlnRandomSubset", "rlnMaxValueProbDistribution", "rlnNormCorrection", "rlnOpticsGroup",
    "rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY", "rlnImageName",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Montage:
    """Images side by side in one picture, and the values of each particle."""

    outline: TableOutline
    start: int
    tile: int  # px
    columns: int
    png: bytes
    particles: list[dict[str, str]]
    problem: str  # why images are missing, "" if none is

    def as_json(self) -> dict[str, Any]:
        """Return plain values; the picture as a data URL."""
        return {
            "start": self.start,
            "total": self.outline.n_rows,
            "complete": self.outline.is_complete,
            "tile": self.tile,
            "columns": self.columns,
            "picture": "data:image/png;base64," + base64.b64encode(self.png).decode(),
            "particles": self.particles,
            "problem": self.problem,
        }


def montage(folder: Folder, stars: StarPages, name: str, start: int, count: int) -> Montage:
    """Read the images of some rows of a particle table.

    Parameters
    ----------
    folder : Folder
        The project; images outside it are not read.
    stars : StarPages
    name : str
        STAR file with ``rlnImageName``.
    start, count : int
        Rows from 0.

    Raises
    ------
    StarError
        If the file has no table with image names.
    """
    path = folder.file(name)
    block, outline = _particle_block(stars, path)
    page = stars.page(path, block, start, min(count, _MAX_IMAGES))
    column = outline.labels.index("rlnImageName")
    names = [row[column] if column < len(row) else "" for row in page.rows]
    images: list[npt.NDArray[np.uint8] | None] = []
    problem = ""
    for image_name in names:
        try:
            images.append(_tile(folder, image_name))
        except Exception as error:
            images.append(None)
            problem = problem or f"{image_name}: {error}"
    tile = max((image.shape[0] for image in images if image is not None), default=_TILE)
    shown = [label for label in _VALUES if label in outline.labels]
    particles = [
        {label: row[outline.labels.index(label)] for label in shown}
        for row in page.rows
        if len(row) == len(outline.labels)
    ]
    png = _joined(images, tile)
    return Montage(page.outline, page.start, tile, _COLUMNS, png, particles, problem)


def _particle_block(stars: StarPages, path: Path) -> tuple[int, TableOutline]:
    for number, outline in enumerate(stars.outlines(path)):
        if outline.is_loop and "rlnImageName" in outline.labels:
            return number, outline
    raise StarError(f"{path.name}: no table with the column rlnImageName.")


def _tile(folder: Folder, image_name: str) -> npt.NDArray[np.uint8]:
    number, stack = split_image_name(image_name)
    header = read_mrc_header(folder.file(stack))
    if not 1 <= number <= header.nz:
        raise ImageError(f"the stack has {header.nz} images.")
    image = decode_pixels(header, map_pixels(header)[number - 1 : number])[0]
    factor = -(-max(image.shape) // _TILE)
    ny, nx = (n // factor for n in image.shape)
    image = image[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor).mean(axis=(1, 3))
    mean, deviation = float(image.mean()), float(image.std()) or 1.0
    grey = (image - mean) * (255 / (6 * deviation)) + 127.5
    tile: npt.NDArray[np.uint8] = np.clip(grey, 0, 255).astype(np.uint8)[::-1]
    return tile


def _joined(images: list[npt.NDArray[np.uint8] | None], tile: int) -> bytes:
    from PIL import Image

    n_rows = max(-(-len(images) // _COLUMNS), 1)
    canvas = np.full((n_rows * tile, _COLUMNS * tile), 127, dtype=np.uint8)
    for place, image in enumerate(images):
        if image is not None:
            y, x = place // _COLUMNS * tile, place % _COLUMNS * tile
            canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    stream = io.BytesIO()
    Image.fromarray(canvas).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
