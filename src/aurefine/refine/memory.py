"""How much memory a refinement needs, from the sizes of the arrays that its steps allocate.

Everything is in bytes. The largest iteration is the last one, which uses the data to Nyquist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aurefine.refine.half_volume import half_volume_voxels, occupied_voxels
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.projector import padded_size

__all__ = [
    "TABLE_BYTES",
    "MemoryNeed",
    "RunSize",
    "batch_size",
    "disk_need",
    "memory_need",
    "n_batches",
    "n_sum_copies",
    "padded_map_bytes",
    "pair_bytes",
    "projector_bytes",
    "sums_bytes",
    "sums_wait_in_file",
    "table_limit",
]

_SEARCH = "all orientations"  # stage
_GIB = 1 << 30
_MIB = 1 << 20
_MAX_BATCH = 512  # particles
_MIN_BATCH = 8
_SMALL_BATCH = 64  # particles, below which cutting costs more than sharing gains
_SHARED_BY = 12  # parts that 1, 2, 3, 4, 6 or 12 followers of a half share evenly
_LARGE_BATCH = 128 * _MIB  # of that many particles; else half as many are enough
_SMALL = 32 * _MIB  # sums that never wait in a file
_LARGE_SHARE = 0.5  # of the padded map

# measured: see benchmarks/memory_estimate.py
_PROGRAM = 260 * _MIB  # interpreter, libraries, compiled kernels
_HEAP = 1.06  # what the heap takes, over what is in use
_FIGURES = 75 * _MIB  # drawn at the end of a run
_DRAWING = 105 * _MIB  # the second process that draws some of them
_PER_PARTICLE = 2500  # tables, poses, and their copies while an iteration is written
_PER_THREAD = 10 * _MIB  # scores of the first pass
_COPIES = 48 * _MIB  # of the sums, for further threads
WINDOW_BYTES = 64 * _MIB  # combined slices before they are inserted, at most, in two windows
_TOUCHED = 0.44  # of the padded map, in pages of 2 MiB
_TABLE_SHARE = 1.25  # of the budget: slices of all orientations
TABLE_BYTES = 12.5  # of a pixel of them; a quarter of the pixels also in bytes
_PAIR_SHARE = 0.4  # of the budget: significant pairs of the particles in one go, at most
_LOCAL_PAIR_SHARE = 0.1  # particles hardly share orientations in local searches
_SLICES = 10  # of them for each particle
_ROW_SHARE = 0.3  # of the fine offsets whose shifted images exist


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSize:
    """What the need of one process follows from."""

    box: int  # px
    padding: float
    memory_budget: float  # GiB
    n_threads: int
    n_particles: int  # of both halves
    n_fine_offsets: int
    has_symmetry: bool
    halves_here: int = 2  # half sets that the process works on
    uses_mask: bool = False
    corrects_fsc: bool = False
    compensates_density: bool = False
    preread_bytes: int = 0  # images kept in memory
    stores_partial: bool = False  # whether unfinished iterations are stored
    n_orientations: int = 0  # in the finest search of all orientations
    search_shell: int = 0  # largest shell of its first pass


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Peak of each stage of an iteration; they do not overlap."""

    stages: dict[str, int]

    @property
    def peak(self) -> int:
        """Largest of them."""
        return max(self.stages.values())

    @property
    def moment(self) -> str:
        """When in a run the peak is reached."""
        is_search = max(self.stages, key=lambda name: self.stages[name]) == _SEARCH
        return "a search of all orientations" if is_search else "the last iteration"


def padded_map_bytes(box: int, padding: float) -> int:
    """Size of the padded map of float32, which is also that of its transform."""
    return 4 * padded_size(box, padding) ** 3


def projector_bytes(box: int, padding: float, r_max: int) -> int:
    """Size of the padded reference that slices are taken from."""
    return 8 * half_volume_voxels(_radius(box, padding, r_max))


def sums_bytes(box: int, padding: float, r_max: int) -> int:
    """Size of the back-projected sums of one half: real part, imaginary part, weight."""
    return 12 * half_volume_voxels(_radius(box, padding, r_max))


def n_sum_copies(n_bytes: int, n_threads: int) -> int:
    """Copies of sums of `n_bytes` that take contributions beside them; threads share if few."""
    return min(n_threads - 1, _COPIES // n_bytes)


def sums_wait_in_file(box: int, padding: float, r_max: int) -> bool:
    """Whether the sums of one half are kept in a file while the other half is worked on.

    That depends on the sizes only and is the case in the last iterations. The sums of both halves
    together would then be the largest use of memory of the whole run.
    """
    n_bytes = sums_bytes(box, padding, r_max)
    return n_bytes > max(_SMALL, _LARGE_SHARE * padded_map_bytes(box, padding))


def batch_size(box: int, n_pixels: int, n_fine_offsets: int, memory_budget: float) -> int:
    """Particles per batch from the byte budget; does not depend on threads.

    Parameters
    ----------
    box : int
        Of the images [px].
    n_pixels : int
        Fourier pixels in use.
    n_fine_offsets : int
    memory_budget : float
        GiB.
    """
    per_particle = 4 * (4 * box**2 + 10 * n_pixels)
    rows = 8 * n_pixels * n_fine_offsets
    per_particle += rows // 2
    least = _MIN_BATCH if _MIN_BATCH * per_particle <= _LARGE_BATCH else _MIN_BATCH // 2
    return int(np.clip(memory_budget * _GIB / 4 // per_particle, least, _MAX_BATCH))


def n_batches(n_particles: int, size: int) -> int:
    """Equal batches of at most `size` particles that a half is cut into; enough to be shared."""
    return max(-(-n_particles // size), min(_SHARED_BY, n_particles // _SMALL_BATCH))


def memory_need(size: RunSize, r_max: int, *, is_last: bool) -> MemoryNeed:
    """Return the peak memory of one process in an iteration, stage by stage.

    Parameters
    ----------
    size : RunSize
    r_max : int
        Largest shell in use; half the box in the last iteration.
    is_last : bool
        Whether unregularised maps are made, too.
    """
    box, padding = size.box, size.padding
    one_map = 4 * box**3
    padded = padded_map_bytes(box, padding)
    voxels = occupied_voxels(_radius(box, padding, r_max))
    projector, sums = 8 * voxels, 12 * voxels
    waits = size.halves_here > 1 and sums_wait_in_file(box, padding, r_max)
    other_sums = sums if size.halves_here > 1 and not waits else 0

    always = _PROGRAM + _PER_PARTICLE * size.n_particles + size.preread_bytes
    always += one_map * (2 + int(size.uses_mask))
    unfiltered = one_map * size.halves_here * int((is_last or size.corrects_fsc) and not waits)
    half_way = 8 * padded_size(box, padding) * box * (_radius(box, padding, r_max) + 1)
    inverse = 3 * padded if size.compensates_density else half_way
    working = _working_set(size, r_max) + pair_bytes(size.memory_budget, is_local=True)
    copies = sums * n_sum_copies(sums, size.n_threads)
    symmetric = 8 * voxels if size.has_symmetry else 0  # two of three components at a time
    stages = {
        # most of the padded map is zero and takes no memory
        "reference": other_sums + max(padded + int(_TOUCHED * padded), padded + projector),
        "alignment": other_sums + sums + copies + projector + working,
        _SEARCH: _exhaustive_search(size, min(size.search_shell, r_max)),
        "symmetry": other_sums + sums + symmetric,
        "FSC": other_sums + sums + unfiltered + 2 * one_map,
        "reconstruction": other_sums + sums + unfiltered + inverse + 2 * one_map,
        "files": 5 * one_map,
        "figures": _FIGURES + (_DRAWING if size.n_threads > 1 else 0),
    }
    return MemoryNeed({name: int(_HEAP * (always + n)) for name, n in stages.items()})


def disk_need(size: RunSize, r_max: int, *, is_last: bool) -> int:
    """Return the disk space of the files of an iteration, with those that exist meanwhile."""
    one_map = 4 * size.box**3
    n_maps = 3 if is_last else 4 if size.corrects_fsc else 2
    waiting = (
        size.halves_here * int(size.stores_partial) * sums_bytes(size.box, size.padding, r_max)
    )
    if size.halves_here > 1 and sums_wait_in_file(size.box, size.padding, r_max):
        waiting += 2 * sums_bytes(size.box, size.padding, r_max) + 2 * one_map
    return n_maps * one_map + 700 * size.n_particles + 4 * _MIB + waiting


def smaller(size: RunSize) -> list[tuple[str, RunSize]]:
    """Return changes that need less memory, as options, from the least harmful to the worst."""
    found = []
    if size.preread_bytes:
        found.append(("without --preread_images", replace(size, preread_bytes=0)))
    if size.memory_budget > 0.25:
        found.append(("--memory_budget 0.25", replace(size, memory_budget=0.25)))
    if size.n_threads > 2:
        found.append(("--j 2", replace(size, n_threads=2)))
    if size.padding > 1:
        found.append(("--pad 1", replace(size, padding=1.0)))
    return found


def pair_bytes(memory_budget: float, *, is_local: bool) -> int:
    """Bytes that the significant pairs of the particles searched in one go may take.

    Parameters
    ----------
    memory_budget : float
        GiB.
    is_local : bool
        Whether searches are local.
    """
    share = _LOCAL_PAIR_SHARE if is_local else _PAIR_SHARE
    return int(share * memory_budget * _GIB)


def table_limit(memory_budget: float) -> int:
    """Bytes that the slices of all orientations may take; beyond, they are made again and again.

    Parameters
    ----------
    memory_budget : float
        GiB.
    """
    return int(_TABLE_SHARE * memory_budget * _GIB)


def _exhaustive_search(size: RunSize, shell: int) -> int:
    """Sums, reference and slices of a search of all orientations."""
    if not size.n_orientations:
        return 0
    voxels = occupied_voxels(_radius(size.box, size.padding, shell))
    n_pixels = fourier_pixels(size.box, 2 * shell).n_pixels
    table = int(TABLE_BYTES * size.n_orientations * n_pixels)
    slices = min(table, table_limit(size.memory_budget))
    scores = 4 * size.n_orientations * _particles_in_batch(size, n_pixels)
    working = _working_set(size, shell)  # posteriors are peaked by then
    n_sums = size.halves_here + n_sum_copies(12 * voxels, size.n_threads)
    return (8 + 12 * n_sums) * voxels + slices + scores + working


def _working_set(size: RunSize, r_max: int) -> int:
    """Arrays of the batches in flight, but for their significant pairs."""
    n_pixels = fourier_pixels(size.box, 2 * r_max).n_pixels
    n = _particles_in_batch(size, n_pixels)
    ahead = 6 * n_pixels if size.n_threads > 1 else 0  # what is prepared of the next batch
    images = 4 * n * (3 * size.box**2 + 18 * n_pixels + ahead)
    rows = int(8 * n * n_pixels * size.n_fine_offsets * _ROW_SHARE)
    ramps = 8 * n_pixels * size.n_fine_offsets
    window = min(WINDOW_BYTES, 12 * n * n_pixels * _SLICES)
    # shifted images are needed before anything is combined
    return images + max(rows, window) + ramps + _PER_THREAD * size.n_threads


def _particles_in_batch(size: RunSize, n_pixels: int) -> int:
    most = batch_size(size.box, n_pixels, size.n_fine_offsets, size.memory_budget)
    half = -(-size.n_particles // 2)
    return -(-half // max(n_batches(half, most), 1))


def _radius(box: int, padding: float, r_max: int) -> int:
    """Radius of the padded transform [voxels]."""
    return int(np.floor(padded_size(box, padding) / box * r_max + 0.5))
