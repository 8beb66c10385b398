"""How much memory the steps of an iteration need."""

from __future__ import annotations

import numpy as np

from aurefine.refine.projector import padded_size

__all__ = ["padded_map_bytes", "sums_bytes", "sums_wait_in_file"]

_SUMS_VOXEL = 12  # bytes: real part, imaginary part, weight
_SMALL = 32 << 20  # bytes of sums that never wait in a file
_LARGE_SHARE = 0.9  # of the padded map


def padded_radius(box: int, padding: float, r_max: int) -> int:
    """Radius of the padded transform [voxels] for a largest shell."""
    return int(np.floor(padded_size(box, padding) / box * r_max + 0.5))


def sums_bytes(box: int, padding: float, r_max: int) -> int:
    """Size of the back-projected sums of one half."""
    return _half_volume(padded_radius(box, padding, r_max)) * _SUMS_VOXEL


def padded_map_bytes(box: int, padding: float) -> int:
    """Size of the padded map of float32, which is also that of its transform."""
    return 4 * padded_size(box, padding) ** 3


def sums_wait_in_file(box: int, padding: float, r_max: int) -> bool:
    """Whether the sums of one half are kept in a file while the other half is worked on.

    That depends on the sizes only and is the case in the last iterations. The sums of both halves
    together would then be the largest use of memory of the whole run.
    """
    n_bytes = sums_bytes(box, padding, r_max)
    return n_bytes > max(_SMALL, _LARGE_SHARE * padded_map_bytes(box, padding))


def _half_volume(radius: int) -> int:
    """Voxels of the half volume that holds a sphere and a margin of one voxel."""
    edge = 2 * (radius + 1) + 1
    return edge * edge * (radius + 2)
