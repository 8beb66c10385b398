"""Which kernels a refinement compiles, and for which types of arguments."""

from __future__ import annotations

from typing import Any

from numba import types

from aurefine.kernels.accumulate import children_with_weight, combine_images
from aurefine.kernels.accuracy import smallest_offset_error, smallest_rotation_error
from aurefine.kernels.byte_products import best_from_bytes, bytes_pay, pack_rows, pack_slices
from aurefine.kernels.fixed_point import add_words, insert_slices, words_to_floats
from aurefine.kernels.images import shift_transforms
from aurefine.kernels.local import fill_local_orientations
from aurefine.kernels.posterior import normalise_posterior, offset_moments, significant_points
from aurefine.kernels.two_step import (
    best_over_offsets,
    likely_orientations,
    score_likely,
    score_local,
)
from aurefine.kernels.volume import symmetrise_planes

__all__ = ["LATER_KERNELS"]

_B, _I, _D = types.boolean, types.int64, types.float64
_B2 = types.boolean[:, ::1]
_N1, _N4 = types.int32[::1], types.int32[:, :, :, ::1]
_S4, _U4 = types.int8[:, :, :, ::1], types.uint8[:, :, :, ::1]
_I1, _I2 = types.int64[::1], types.int64[:, ::1]
_F1, _F2, _F3, _F4 = (
    types.float32[::1],
    types.float32[:, ::1],
    types.float32[:, :, ::1],
    types.float32[:, :, :, ::1],
)
_D1, _D2, _D3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_VOLUME = types.Tuple((_F1, _I))
_WORDS = types.Tuple((_N1, _I))
_SCALES = types.UniTuple(_F1, 3)
_OPERATORS = types.Array(types.float64, 3, "C", readonly=True)
_ANY_F2 = types.float32[:, :]

_FIRST_LOOK: list[tuple[Any, tuple[Any, ...]]] = [
    (pack_rows, (_F2, _F1, _S4, _F1, _N1, _F1)),
    (pack_slices, (_F2, _F1)),
    (best_from_bytes, (_S4, _F1, _N1, _F2, _U4, _F1, _F2, _F1, _F2, _ANY_F2)),
]
if not bytes_pay(0):
    _FIRST_LOOK = [(best_over_offsets, (_F3, _F2, _F2, _F2, _F1, _F2, _I, _ANY_F2))]

# Those that an iteration needs after the first scores, the earliest first. Images and scores of the
# first pass are not among them: the program compiles these itself in the meantime.
LATER_KERNELS: list[tuple[Any, tuple[Any, ...]]] = [
    (
        combine_images,
        (
            *(_VOLUME, _F4, _F1, _F1, _I1, _I1, _I1, _I1, _F3, _F3, _F3),
            *(_F2, _F2, _F2, _F2, _F2, _I1, _F2, _I2, _F3, _D2, _D2),
        ),
    ),
    (insert_slices, (_WORDS, _SCALES, _F3, _F1, _F1, _F3, _I, _I)),
    (significant_points, (_F2, _D, _I)),
    (normalise_posterior, (_I1, _F3, _F2, _F1, _D, _I1, _D1, _D1, _I, _I)),
    *_FIRST_LOOK,
    (score_likely, (_I1, _I1, _F2, _F2, _F1, _F2, _F3, _F2, _D, _I)),
    (likely_orientations, (_F2, _F1, _D)),
    (smallest_rotation_error, (_VOLUME, _D, _D, _D, _I, _F1, _F1, _F1, _I1, _D, _D1)),
    (smallest_offset_error, (_VOLUME, _D, _D, _D, _D1, _F1, _F1, _F1, _D)),
    (
        score_local,
        (_VOLUME, _I1, _F3, _F1, _F1, _F1, _I1, _F3, _F2, _F2, _D, _D, _D, _I, _B),
    ),
    (
        fill_local_orientations,
        (_D3, _I1, _D1, _D1, _I1, _D1, _I, _D, _D, _D2, _I1, _I1, _I1, _F1, _F3),
    ),
    (shift_transforms, (_F3, _N1, _N1, _D2, _I)),
    (symmetrise_planes, (_F4, _OPERATORS, _I, _I, _I, _I, _F4)),
    (add_words, (_N1, _N1)),
    (words_to_floats, (_N4, _SCALES, _I, _I, _F4)),
    (offset_moments, (_I1, _F3, _I1, _D2, _D1, _D1, _I, _I)),
    (children_with_weight, (_I1, _I1, _F3, _B2)),
]
