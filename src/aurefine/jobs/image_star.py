"""STAR files of images, for the image handler; apart, because tables are slow to import."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aurefine.errors import StarError
from aurefine.io.star import StarFile, read_star, write_star

__all__ = ["StarSource", "open_star", "print_table", "write_new_star"]

_LEGACY_VERSION = 30000  # of a STAR file without a version line


@dataclass(frozen=True, slots=True)
class StarSource:
    """A STAR file of images and the table that lists them."""

    star: StarFile
    block: str
    images: pd.DataFrame

    @property
    def names(self) -> list[str]:
        """Names of the images in the order of the rows."""
        return list(self.images["rlnImageName"])


def open_star(path: str) -> StarSource:
    """Read a STAR file of images.

    Raises
    ------
    StarError
        If no table has a column rlnImageName, or it is empty.
    """
    star = read_star(path)
    for name, block in star.blocks.items():
        if isinstance(block, pd.DataFrame) and "rlnImageName" in block and len(block):
            return StarSource(star, name, block)
    raise StarError(
        f"{path}: no table with images: column rlnImageName is missing in "
        f"{', '.join('data_' + name for name in star.blocks)}."
    )


def write_new_star(
    star: StarSource,
    path: Path,
    names: Sequence[str],
    *,
    box: int | None = None,
    pixel_size: float | None = None,
) -> None:
    """Write a STAR file that lists other images in the same rows.

    Parameters
    ----------
    star : StarSource
        Where the rows come from.
    path : Path
        File to write.
    names : sequence of str
        The new images.
    box : int, optional
        Their box, if it has changed [px].
    pixel_size : float, optional
        Their pixel size, if it has changed [Å].
    """
    blocks: dict[str, Any] = dict(star.star.blocks)
    blocks[star.block] = star.images.assign(rlnImageName=list(names))
    optics = blocks.get("optics")
    if isinstance(optics, pd.DataFrame):
        changed: dict[str, Any] = {}
        if pixel_size is not None:
            changed["rlnImagePixelSize"] = pixel_size
        if box is not None:
            changed["rlnImageSize"] = box
        blocks["optics"] = optics.assign(**changed)
    write_star(path, blocks, version=star.star.version or _LEGACY_VERSION)


def print_table(block: str, columns: Mapping[str, Any]) -> None:
    """Print a table as one block of a STAR file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.star"
        write_star(path, {block: pd.DataFrame(dict(columns))})
        sys.stdout.write(path.read_text())
