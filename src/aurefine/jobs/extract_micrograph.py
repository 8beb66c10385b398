"""One micrograph: read it, write the stack of its particles and their STAR file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import ImageError, MrcError, OutputError
from aurefine.extract.images import ImageCounts, extract_images
from aurefine.extract.window import window_corners, windows_off_micrograph, windows_over_edge
from aurefine.io.mrc import StackWriter, check_finite, read_image, read_mrc_header
from aurefine.io.star import write_star
from aurefine.jobs.extract_options import ExtractSettings
from aurefine.jobs.extract_rows import MicrographTask

__all__ = [
    "STAR_VERSIONS",
    "MicrographBuffer",
    "MicrographResult",
    "extract_micrograph",
    "extract_star_name",
    "is_finished",
]

STAR_VERSIONS = {"5.0": 50001, "3.1": 30001}
_NUMBER_DIGITS = {"5.0": 8, "3.1": 6}
_PLAIN_MODES = (0, 1, 2, 6, 12)


@dataclass(frozen=True)
class MicrographResult:
    """What came of one micrograph.

    `is_kept` (n,) marks the rows of the task that were extracted, `image_names` are theirs.
    `n_outside` of the others have no pixel of it, `n_over_edge` lack some pixels.
    `problem` says why the whole micrograph was left out, or is empty.
    """

    is_kept: npt.NDArray[np.bool_]
    image_names: tuple[str, ...] = ()
    n_outside: int = 0
    n_over_edge: int = 0
    n_constant: int = 0
    n_dust_pixels: int = 0
    problem: str = ""


def extract_star_name(task: MicrographTask) -> str:
    """Return the name of the STAR file that is written when a micrograph is finished."""
    return f"{task.stem}_extract.star"


def is_finished(task: MicrographTask) -> bool:
    """Whether a micrograph has been extracted before: its STAR file exists, its stack is whole."""
    if not os.path.exists(extract_star_name(task)):
        return False
    try:
        read_mrc_header(f"{task.stem}.mrcs")
    except MrcError:
        return False
    return True


def extract_micrograph(
    task: MicrographTask, rows: pd.DataFrame, settings: ExtractSettings, buffer: MicrographBuffer
) -> MicrographResult:
    """Extract the particles of one micrograph and write their files.

    Parameters
    ----------
    task : MicrographTask
    rows : DataFrame
        The rows of the task.
    settings : ExtractSettings
    buffer : MicrographBuffer
        Memory that no other thread uses.

    Returns
    -------
    result : MicrographResult

    Raises
    ------
    MrcError, ImageError
        If the micrograph can not be used, unless bad micrographs are skipped; or if a window is
        outside and that is to stop the job.
    OutputError
        If a file can not be written.
    """
    coordinates = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
    try:
        micrograph = buffer.read(task.name)
        _check_size(task.name, micrograph, settings.images.box_size)
        is_kept, n_over_edge = _choose(task, micrograph, coordinates, settings)
        counts = ImageCounts()
        if is_kept.any():
            _make_folder(task.stem)
            _write_stack(task, micrograph, coordinates[is_kept], settings, counts)
    except (MrcError, ImageError) as error:
        if not settings.skip_bad_micrographs or isinstance(error, _OutsideError):
            raise
        return MicrographResult(np.zeros(len(rows), dtype=np.bool_), problem=str(error))
    if not is_kept.any():
        return MicrographResult(is_kept, n_outside=len(is_kept))
    digits = _NUMBER_DIGITS[settings.dialect]
    names = tuple(
        f"{number:0{digits}d}@{task.stem}.mrcs" for number in range(1, int(is_kept.sum()) + 1)
    )
    table = rows[is_kept].assign(rlnImageName=names)
    write_star(extract_star_name(task), {"images": table}, version=STAR_VERSIONS[settings.dialect])
    return MicrographResult(
        is_kept,
        names,
        n_outside=int(np.count_nonzero(~is_kept)),
        n_over_edge=n_over_edge,
        n_constant=counts.n_constant,
        n_dust_pixels=counts.n_dust_pixels,
    )


class _OutsideError(ImageError):
    """A particle whose window has no pixel of the micrograph."""


class MicrographBuffer:
    """Memory for one micrograph that serves one after the other, so that it is claimed once."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, dtype=np.uint8)

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read a micrograph in one go, in the number type of the file.

        Returns
        -------
        micrograph : ndarray, shape (ny, nx)
            Valid until the next one is read.
        """
        if name.lower().endswith((".tif", ".tiff")):
            return read_image(name)
        header = read_mrc_header(name)
        if header.nz != 1 or header.mode not in _PLAIN_MODES:
            return read_image(name)
        n_bytes = header.section_items * header.dtype.itemsize
        if len(self._bytes) < n_bytes:
            self._bytes = np.empty(n_bytes, dtype=np.uint8)
        try:
            with open(name, "rb", buffering=0) as stream:
                stream.seek(header.data_offset)
                n_read = _fill(stream, self._bytes.data[:n_bytes])
        except OSError as error:
            raise MrcError(f"{name}: can not read the micrograph: {error.strerror}.") from error
        if n_read < n_bytes:
            raise MrcError(f"{name}: the file became shorter while it was read.")
        return self._bytes[:n_bytes].view(header.dtype).reshape(header.ny, header.nx)


def _fill(stream: FileIO, memory: memoryview) -> int:
    """Read until the memory is full or the file ends; one call may give less than asked for."""
    done = 0
    while done < len(memory):
        n_read = stream.readinto(memory[done:])
        if not n_read:
            break
        done += n_read
    return done


def _check_size(name: str, micrograph: npt.NDArray[Any], box_size: int) -> None:
    ny, nx = micrograph.shape
    if box_size > min(nx, ny):
        raise ImageError(
            f"{name}: a box of {box_size} px (--extract_size) is larger than the micrograph of "
            f"{nx} x {ny} px."
        )


def _choose(
    task: MicrographTask,
    micrograph: npt.NDArray[Any],
    coordinates: npt.NDArray[np.float64],
    settings: ExtractSettings,
) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which particles to extract, and how many of them reach over the edge."""
    ny, nx = micrograph.shape
    box_size = settings.images.box_size
    corners = window_corners(coordinates, box_size)
    is_off = windows_off_micrograph(corners, box_size, (ny, nx))
    if is_off.any() and settings.stop_at_bad_particles:
        x, y = coordinates[is_off][0]
        raise _OutsideError(
            f"{task.name}: {int(is_off.sum())} of {len(is_off)} particles lie completely outside "
            f"the micrograph of {nx} x {ny} px, the first at x = {x:.1f}, y = {y:.1f} px. Check "
            "that coordinates and pixel sizes belong to this micrograph; without "
            "--stop_at_bad_particles they are left out."
        )
    is_over = windows_over_edge(corners, box_size, (ny, nx))
    return ~is_off, int(np.count_nonzero(is_over & ~is_off))


def _write_stack(
    task: MicrographTask,
    micrograph: npt.NDArray[Any],
    coordinates: npt.NDArray[np.float64],
    settings: ExtractSettings,
    counts: ImageCounts,
) -> None:
    images = settings.images
    with StackWriter(
        f"{task.stem}.mrcs",
        len(coordinates),
        images.output_size,
        images.output_pixel_size(task.pixel_size),
        half_precision=settings.float16,
        flush=False,  # a restarted job looks at its length
    ) as writer:
        for batch in extract_images(micrograph, coordinates, images, counts, seed=(task.number,)):
            with np.errstate(over="ignore", invalid="ignore"):
                total = batch.sum()
            if not np.isfinite(total):
                check_finite(micrograph.astype(np.float32), task.name)
                raise ImageError(f"{task.name}: the pixel values are too large for this operation.")
            writer.append(batch)


def _make_folder(stem: str) -> None:
    folder = Path(stem).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can not make the folder: {error.strerror}.") from error
