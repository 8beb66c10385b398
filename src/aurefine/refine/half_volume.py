"""Large half volumes whose corners take no memory.

Only a sphere of a half volume is ever used, but its arrays are cubes. Pages of memory that nobody
has written to do not exist; so where a volume is large, it gets small pages outside its middle
planes, and the rows outside the sphere are left alone, which saves a fifth of it.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aurefine.io.file_array import release_pages
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import even_parts, n_pieces

__all__ = [
    "give_back",
    "half_volume_voxels",
    "leaves_out_corners",
    "occupied_voxels",
    "over_planes",
    "row_reach",
    "zero_half_volume",
]

Result = TypeVar("Result")

_PIECES = 32  # that the planes of a volume are cut into at most
_FEW_VOXELS = 1 << 16  # that are not worth waking another thread
_SMALL = 16 << 20  # voxels
_MIDDLE = 0.9  # planes with at least this share of rows in the sphere are stored whole


class _SparseMemory(mmap.mmap):
    """Memory of this process alone, whose pages do not exist before they are written to."""


def half_volume_voxels(radius: int) -> int:
    """Voxels of the half volume that holds a sphere and a margin of one voxel."""
    edge = 2 * (radius + 1) + 1
    return edge * edge * (radius + 2)


def leaves_out_corners(radius: int) -> bool:
    """Whether the corners of a half volume take no memory; small pages cost some speed."""
    return half_volume_voxels(radius) > _SMALL


def occupied_voxels(radius: int) -> int:
    """Voxels of a half volume that take memory."""
    if not leaves_out_corners(radius):
        return half_volume_voxels(radius)
    reach = _stored_reach(2 * (radius + 1) + 1)
    return int((2 * reach + 1).sum()) * (radius + 2)


def over_planes(
    pool: WorkerPool, n_planes: int, function: Callable[[int, int], Result]
) -> list[Result]:
    """Call a function with the first and the last plane of each piece of a volume."""
    pieces = even_parts(n_planes, n_pieces(n_planes**3 // 2, _FEW_VOXELS, _PIECES))
    return pool.map(lambda piece: function(piece.start, piece.stop), pieces)


def row_reach(edge: int) -> npt.NDArray[np.int64]:
    r"""Largest \|y\| of the rows in each plane that hold anything, shape (edge,)."""
    centre = edge // 2
    z = np.arange(edge) - centre
    return np.minimum(np.sqrt((centre + 1) ** 2 - z**2).astype(np.int64), centre)


def zero_half_volume(radius: int, n_components: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return zeros of shape (edge, edge, radius + 2, n_components), the edge being 2 radius + 3."""
    edge = 2 * (radius + 1) + 1
    shape = (edge, edge, radius + 2, n_components)
    if not leaves_out_corners(radius) or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros(shape, dtype)
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = _SparseMemory(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    whole = np.flatnonzero(_stored_reach(edge) == edge // 2)
    plane = n_bytes // edge
    start, stop = _whole_pages(int(whole[0]) * plane, (int(whole[-1]) + 1) * plane)
    with contextlib.suppress(OSError):  # a kernel without large pages
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory.madvise(mmap.MADV_HUGEPAGE, start, stop - start)
    return np.frombuffer(memory, dtype).reshape(shape)


def give_back(volume: npt.NDArray[Any]) -> None:
    """Give back memory of a half volume that is not needed now; its values stay.

    That is all of it if it waits in a file, and else the corners, which must be zero.
    """
    base: Any = volume
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if isinstance(base, _SparseMemory):
        for start, stop in _corners(len(volume), volume.nbytes):
            base.madvise(mmap.MADV_DONTNEED, start, stop - start)
    else:
        release_pages(volume)


def _stored_reach(edge: int) -> npt.NDArray[np.int64]:
    """Like `row_reach`, the middle planes being stored whole, in large pages."""
    reach, centre = row_reach(edge), edge // 2
    return np.where(reach >= _MIDDLE * centre, centre, reach)


def _corners(edge: int, n_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of bytes, in whole pages, between the rows in use of neighbouring planes."""
    reach, row = _stored_reach(edge), n_bytes // edge**2
    first = (np.arange(edge) * edge + edge // 2 - reach) * row
    after = first + (2 * reach + 1) * row
    for begin, end in zip([0, *after.tolist()], [*first.tolist(), n_bytes], strict=True):
        start, stop = _whole_pages(begin, end)
        if stop > start:
            yield start, stop


def _whole_pages(start: int, stop: int) -> tuple[int, int]:
    page = mmap.PAGESIZE
    return -(-start // page) * page, stop // page * page
