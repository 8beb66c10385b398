"""Particle images in any number of stacks, read on demand."""

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, MrcError
from aurefine.io.mrc import MrcHeader, decode_pixels, read_mrc_header

__all__ = ["ParticleImages", "find_stack", "split_image_name"]

_CHUNK = 256  # images that are loaded at a time
_MAX_OPEN = 256  # stacks open at the same time
_STACK_SUFFIXES = (".mrcs", ".st")
_IMAGE_SUFFIXES = (".mrc", ".map")
_UNIQUE_NUMBER = re.compile(r"^\d{6,}_")  # of cryoSPARC, before the name of a micrograph


def split_image_name(name: str) -> tuple[int, str]:
    """Split ``N@stack`` into the number of the image, from 1, and the file name.

    A name without ``N@`` means image 1.

    Raises
    ------
    ImageError
        If the part before ``@`` is not a number.
    """
    number, at, path = name.partition("@")
    if not at:
        return 1, name
    if not (number.isascii() and number.isdecimal()) or not path:
        raise ImageError(
            f"image name {name!r}: expected a number, @ and the name of a stack, such as"
            " 000001@stack.mrcs."
        )
    return int(number), path


def find_stack(path: str, root: Path) -> Path:
    """Where a stack lies, also if its name was converted from a cryoSPARC data set.

    cryoSPARC marks paths inside its project by a leading ``>`` and puts the number of the
    micrograph before the file name (``>J9/extract/0012345_mic_particles.mrc``); conversions keep
    both, while exported and linked files often lack them.

    Returns
    -------
    Path
        The first that exists of: the name, without ``>``, without the number; else the name.
    """
    plain = path.removeprefix(">")
    folder, _, file = plain.rpartition("/")
    without_number = _UNIQUE_NUMBER.sub("", file)
    for name in (path, plain, f"{folder}/{without_number}" if folder else without_number):
        if (root / name).exists():
            return root / name
    return root / path


class _OpenStack:
    """A file that stays open as long as somebody reads from it."""

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ImageError(f"{path}: can not read the image file: {error.strerror}.") from error

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


@dataclass(eq=False)
class ParticleImages:
    """Access to the images of a particle table; row `i` is the image of particle `i`.

    Make one with `open`. Reading is thread-safe, and only the pixels asked for are read.

    Attributes
    ----------
    names : tuple of str
        Image names as in the particle table.
    box_sizes : ndarray, shape (n,), int64
        Box size of every image [px].
    """

    names: tuple[str, ...]
    box_sizes: npt.NDArray[np.int64]
    _headers: tuple[MrcHeader, ...] = field(repr=False)
    _file_index: npt.NDArray[np.int64] = field(repr=False)  # (n,) into _headers
    _section: npt.NDArray[np.int64] = field(repr=False)  # (n,) from 0
    _loaded: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _open: "OrderedDict[int, _OpenStack]" = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(
        cls,
        names: Sequence[str],
        *,
        root: str | os.PathLike[str],
        expected_box: int | npt.NDArray[np.integer] | None = None,
    ) -> Self:
        """Look at the header of every stack and check that all images exist.

        Parameters
        ----------
        names : sequence of str, length n
            Values of ``rlnImageName``.
        root : path-like
            Folder that relative names start from: the project directory.
        expected_box : int or ndarray, shape (n,), optional
            Box size that the optics table gives [px].

        Raises
        ------
        ImageError
            If a stack is missing, truncated or has a wrong extension, if an image number is out
            of range, or if images are not square, of odd size, or not of the expected size. The
            message names the first such row.
        """
        all_names = tuple(names)
        files: dict[str, int] = {}
        headers: list[MrcHeader] = []
        file_index = np.empty(len(all_names), dtype=np.int64)
        section = np.empty(len(all_names), dtype=np.int64)
        for row, name in enumerate(all_names):
            try:
                number, path = split_image_name(name)
            except ImageError as error:
                raise ImageError(f"particle row {row + 1}: {error}") from None
            index = files.get(path)
            if index is None:
                index = files[path] = len(headers)
                headers.append(_open_header(path, "@" in name, Path(root), row, name))
            if not 1 <= number <= headers[index].nz:
                raise ImageError(
                    f"particle row {row + 1}: image {number} of {path} does not exist; the stack"
                    f" has {headers[index].nz} images. The stack and the STAR file do not belong"
                    " together, or the stack is incomplete."
                )
            file_index[row] = index
            section[row] = number - 1
        boxes = np.array([header.nx for header in headers], dtype=np.int64)
        box_sizes = boxes[file_index] if headers else np.empty(0, dtype=np.int64)
        if expected_box is not None:
            wrong = np.flatnonzero(box_sizes != np.asarray(expected_box))
            if len(wrong):
                row = int(wrong[0])
                expected = np.broadcast_to(np.asarray(expected_box), box_sizes.shape)[row]
                raise ImageError(
                    f"particle row {row + 1}: {all_names[row]} has a box of {box_sizes[row]} px,"
                    f" but {expected} px are expected (rlnImageSize of its optics group). Correct"
                    " the optics table or extract the particles again."
                )
        return cls(all_names, box_sizes, tuple(headers), file_index, section)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def pixel_sizes(self) -> npt.NDArray[np.float64]:
        """Pixel size in the header of every image's stack [Å], NaN if unknown, shape (n,)."""
        known = [header.pixel_size or np.nan for header in self._headers]
        return np.array(known, dtype=np.float64)[self._file_index]

    def take(self, rows: npt.ArrayLike) -> Self:
        """Select or reorder images.

        Parameters
        ----------
        rows : array-like, shape (m,), int
            Rows from 0; row `i` of the result is row ``rows[i]`` of this one.

        Returns
        -------
        images : ParticleImages
        """
        chosen = np.asarray(rows, dtype=np.int64)
        return type(self)(
            tuple(self.names[row] for row in chosen),
            self.box_sizes[chosen],
            self._headers,
            self._file_index[chosen],
            self._section[chosen],
        )

    def stacks(self) -> list[tuple[MrcHeader, npt.NDArray[np.int64]]]:
        """Return the stacks in use, each with its sections in use, from 0 and ascending."""
        return [
            (self._headers[index], np.unique(self._section[self._file_index == index]))
            for index in np.unique(self._file_index).tolist()
        ]

    def with_copies(self, copies: Mapping[str, MrcHeader]) -> Self:
        """Read from copies of stacks.

        Parameters
        ----------
        copies : mapping of str to MrcHeader
            By name of the original: a stack of the sections in use only, in the order of `stacks`.

        Returns
        -------
        images : ParticleImages
            With the same names.
        """
        headers = list(self._headers)
        section = self._section.copy()
        for index, header in enumerate(self._headers):
            if header.path in copies:
                own = self._file_index == index
                headers[index] = copies[header.path]
                section[own] = np.unique(section[own], return_inverse=True)[1]
        return type(self)(self.names, self.box_sizes, tuple(headers), self._file_index, section)

    def in_memory(self, rows: npt.ArrayLike) -> Self:
        """Read images once and keep them in memory; the others are read when they are needed.

        Parameters
        ----------
        rows : array-like, shape (m,), int
        """
        chosen = np.unique(np.asarray(rows, dtype=np.int64))
        loaded: dict[int, npt.NDArray[np.float32]] = {}
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            for box in np.unique(self.box_sizes[part]):
                same = part[self.box_sizes[part] == box]
                loaded.update(zip(same.tolist(), self.read(same), strict=True))
        return replace(self, _loaded=loaded, _open=OrderedDict(), _lock=threading.Lock())

    def read(
        self, indices: npt.ArrayLike, *, must_be_finite: bool = True
    ) -> npt.NDArray[np.float32]:
        """Read images.

        Parameters
        ----------
        indices : array-like, shape (m,), int
            Particle rows from 0, in any order, all of the same box size.
        must_be_finite : bool
            Whether pixels that are not finite are an error.

        Returns
        -------
        images : ndarray, shape (m, box, box), float32
            A new array.

        Raises
        ------
        ImageError
            If an image has pixels that are not finite, or a stack can not be read any more.
        ValueError
            If the box sizes differ.
        """
        rows = np.atleast_1d(np.asarray(indices, dtype=np.int64))  # (m,)
        if len(rows) == 0:
            box = int(self.box_sizes[0]) if len(self) else 0
            return np.empty((0, box, box), dtype=np.float32)
        boxes = self.box_sizes[rows]
        box = int(boxes[0])
        if (boxes != box).any():
            raise ValueError(f"images of different boxes: {sorted(set(boxes.tolist()))}")
        images = np.empty((len(rows), box, box), dtype=np.float32)
        if self._loaded and all(row in self._loaded for row in rows.tolist()):
            for image, row in zip(images, rows.tolist(), strict=True):
                image[:] = self._loaded[row]
            return images
        files, sections = self._file_index[rows], self._section[rows]
        # runs of neighbours in one file are one copy
        breaks = np.flatnonzero((np.diff(files) != 0) | (np.diff(sections) != 1)) + 1
        edges = [0, *breaks.tolist(), len(rows)]
        for start, stop in pairwise(edges):
            index, first = int(files[start]), int(sections[start])
            stored = self._read_sections(index, first, stop - start)
            header = self._headers[index]
            images[start:stop] = stored if stored.ndim == 3 else decode_pixels(header, stored)
        if must_be_finite:
            self._check_finite(images, rows)
        return images

    def _read_sections(self, index: int, first: int, count: int) -> npt.NDArray[Any]:
        """Read sections that follow each other.

        By position instead of through a memory map: pages of a map count as memory of the process,
        and a file that shrinks would end the process without a message.
        """
        header = self._headers[index]
        shape: tuple[int, ...] = (count, header.ny, header.nx)
        if header.section_items != header.nx * header.ny:  # packed
            shape = (count, header.section_items)
        stored = np.empty(shape, header.dtype)
        n_bytes = stored.nbytes
        start = header.data_offset + first * (n_bytes // count)
        raw: Any = stored.reshape(-1).view(np.uint8)
        target = memoryview(raw)
        stack = self._stack(index)  # kept until the end, so that nobody closes it
        done = 0
        try:
            while done < n_bytes:
                n_read = os.preadv(stack.descriptor, [target[done:]], start + done)
                if n_read == 0:
                    raise ImageError(
                        f"{header.path}: the stack changed while it was in use: it ends at byte "
                        f"{start + done}, expected {start + n_bytes} and more."
                    )
                done += n_read
        except OSError as error:
            raise ImageError(
                f"{header.path}: can not read the image file: {error.strerror}."
            ) from error
        return stored

    def _stack(self, index: int) -> "_OpenStack":
        """Give an open stack, closing the one unused for longest if needed."""
        with self._lock:
            stack = self._open.get(index)
            if stack is not None:
                self._open.move_to_end(index)
                return stack
        header = self._headers[index]
        try:
            if read_mrc_header(header.path) != header:
                raise ImageError(f"{header.path}: the stack changed while it was in use.")
        except MrcError as error:
            raise ImageError(str(error)) from error
        stack = _OpenStack(header.path)
        with self._lock:
            self._open[index] = stack
            while len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
        return stack

    def _check_finite(self, images: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            sums = images.reshape(len(images), -1).sum(axis=1, dtype=np.float64)  # (m,)
        bad = np.flatnonzero(~np.isfinite(sums))
        if len(bad):
            row = int(rows[bad[0]])
            raise ImageError(
                f"particle row {row + 1}: {self.names[row]} has pixels that are not finite numbers"
                " (NaN or infinite). Remove the particle (--exclude_bad), or extract it again."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files and loaded images out, so that other processes have their own."""
        return {**self.__dict__, "_open": OrderedDict(), "_lock": None, "_loaded": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _open_header(path: str, is_numbered: bool, root: Path, row: int, name: str) -> MrcHeader:
    place = f"particle row {row + 1} ({name})"
    if not path.endswith(_STACK_SUFFIXES + _IMAGE_SUFFIXES):
        raise ImageError(f"{place}: expected a file with the extension .mrcs or .mrc.")
    try:
        header = read_mrc_header(find_stack(path, root))
    except MrcError as error:
        raise ImageError(f"{place}: {error}") from error
    if header.nx != header.ny or header.nx % 2:
        raise ImageError(
            f"{place}: images of {header.nx} x {header.ny} px; they must be square and of even"
            " size. Extract the particles again with an even box size."
        )
    if is_numbered and not (header.is_stack or header.space_group == 0):
        raise ImageError(
            f"{place}: a stack of images must have the extension .mrcs, or space group 0 in its"
            f" header, found {header.space_group}; rename it."
        )
    if header.nz != 1 and not (header.is_stack or is_numbered):
        raise ImageError(
            f"{place}: a volume of {header.nz} sections, not a 2D image. Stacks of images must"
            " have the extension .mrcs."
        )
    return header
