"""Scores of a first look as products of bytes, with the instructions that processors have for them.

Slices and images are rounded to 8 bits, each with a scale of its own.  AVX-512 multiplies and adds
four times as many bytes as floats at a time, and the scores tell well enough which orientations are
likely: their error is known, and small against the range that is kept.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from aurefine.kernels.copying import copy_vector

__all__ = [
    "GROUP",
    "QUAD",
    "WIDTH",
    "best_from_bytes",
    "bytes_pay",
    "pack_rows",
    "pack_slices",
    "room_for_rows",
]

GROUP = 12  # rows of images, whose sums with two vectors of slices stay in the registers
WIDTH = 32  # slices that are multiplied together
QUAD = 4  # bytes that one lane adds up
_LARGEST = 127  # of a signed byte
_MIDDLE = 128  # what is added to slices, which must not be negative

_NEEDED = {"+avx512f", "+avx512bw", "+avx512vnni"}
_LONGEST = (2**31 - 1) // (255 * _LARGEST)  # row whose sums can not leave 32 bits

Float32 = npt.NDArray[np.float32]
PackedRows = tuple[npt.NDArray[np.int8], Float32, npt.NDArray[np.int32], Float32]

_INT = ir.IntType(32)
_INT64 = ir.IntType(64)
_VECTOR = ir.VectorType(_INT, 16)


def bytes_pay(length: int) -> bool:
    """Whether this processor multiplies bytes fast, and rows of a length can be added up."""
    return length <= _LONGEST and _has_instructions()


@lru_cache(maxsize=1)
def _has_instructions() -> bool:
    """Whether Numba may use the instructions; variables of the environment can forbid that."""
    features = getattr(config, "CPU_FEATURES", None)
    if features is None:
        features = get_host_cpu_features()
    return set(features.split(",")) >= _NEEDED


def room_for_rows(n: int, length: int) -> PackedRows:
    """What `pack_rows` sets for `n` rows: bytes, scale, middle, power."""
    packed = np.zeros((-(-n // GROUP), -(-length // QUAD), GROUP, QUAD), np.int8)
    scale, power = np.empty((2, n), np.float32)
    return packed, scale, np.empty(n, np.int32), power


@intrinsic
def _multiply(typing, rows, first_row, slices, first_slice, n_quads, out):
    """Write the products of `GROUP` packed rows with `WIDTH` packed slices.

    Parameters
    ----------
    rows : int8, flat
        In quads of each row, from `first_row` on.
    slices : uint8, flat
        In quads of each slice, from `first_slice` on.
    out : int32, shape (GROUP * WIDTH,)
    """
    number = types.int64
    signature = types.void(rows, number, slices, number, number, out)

    def codegen(context, builder, signature, args):
        def address(array, index, kind):
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())

        def place(first, quad, size, extra):
            start = builder.add(first, builder.mul(quad, _INT64(QUAD * size)))
            return builder.add(start, _INT64(extra))

        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = "llvm.x86.avx512.vpdpbusd.512"
        add_products = builder.module.declare_intrinsic(name, (), kind)
        nothing = ir.Constant(_VECTOR, [0] * 16)
        sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(2 * GROUP)]
        for total in sums:
            builder.store(nothing, total)
        with cgutils.for_range(builder, args[4]) as quads:
            both = [
                builder.load(
                    address(2, place(args[3], quads.index, WIDTH, 64 * h), _VECTOR), align=1
                )
                for h in range(2)
            ]
            for r in range(GROUP):
                own = place(args[1], quads.index, GROUP, QUAD * r)
                quad = builder.load(address(0, own, _INT), align=1)
                one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), quad, _INT(0))
                quad = builder.shuffle_vector(one, one, nothing)
                for total, half in zip(sums[2 * r : 2 * r + 2], both, strict=True):
                    value = builder.call(add_products, [builder.load(total), half, quad])
                    builder.store(value, total)
        for k, total in enumerate(sums):
            target = address(5, _INT64(16 * k), _VECTOR)
            builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    return signature, codegen


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _scaled(row, factor, scaled):
    """Multiply a row by factors; return the largest magnitude and the sum of squares."""
    largest = np.float32(0.0)
    power = np.float32(0.0)
    for k in range(row.size):
        value = row[k] * factor[k]
        scaled[k] = value
        largest = max(largest, abs(value))
        power += value * value
    return largest, power


@njit(nogil=True, cache=True, error_model="numpy")
def pack_rows(rows, factor, out, scale, middle, power):
    """Round the rows of images to bytes.

    Parameters
    ----------
    rows : float32, shape (n, length)
    factor : float32, shape (length,)
        Multiplies each row.
    out : int8, shape (n_groups, n_quads, GROUP, 4)
        Zeros; those of the rows are set.
    scale : float32, shape (n,)
        Set to what a byte stands for; not a number if the row is not finite.
    middle : int32, shape (n,)
        Set to what the products have too much because slices are not negative.
    power : float32, shape (n,)
        Set to the sum of squares of the row times the factors.
    """
    scaled = np.empty(rows.shape[1], np.float32)
    half = np.float32(0.5)
    for i in range(rows.shape[0]):
        largest, power[i] = _scaled(rows[i], factor, scaled)
        scale[i] = largest / np.float32(_LARGEST)
        middle[i] = 0
        if not np.isfinite(power[i]):
            scale[i] = np.nan
        elif largest > 0:
            own = out[i // GROUP, :, i % GROUP]
            inverse = np.float32(_LARGEST) / largest
            total = np.int32(0)
            for k in range(scaled.size):
                value = np.int32(np.floor(scaled[k] * inverse + half))
                own[k // QUAD, k % QUAD] = value
                total += value
            middle[i] = _MIDDLE * total


@njit(nogil=True, cache=True, error_model="numpy")
def pack_slices(slices, factor):
    """Round slices to bytes.

    Parameters
    ----------
    slices : float32, shape (n, length)
    factor : float32, shape (length,)
        Multiplies each slice.

    Returns
    -------
    packed : uint8, shape (n_blocks, n_quads, WIDTH, 4)
        Bytes plus 128, filled up with 128.
    scale : float32, shape (n_blocks * WIDTH,)
        What a byte stands for.
    power : float32
        Largest sum of squares of a slice times the factors.
    """
    n, length = slices.shape
    n_blocks = (n + WIDTH - 1) // WIDTH
    packed = np.full((n_blocks, (length + QUAD - 1) // QUAD, WIDTH, QUAD), _MIDDLE, np.uint8)
    scale = np.zeros(n_blocks * WIDTH, np.float32)
    scaled = np.empty(length, np.float32)
    most = np.float32(0.0)
    shift = np.float32(_MIDDLE + 0.5)
    for i in range(n):
        largest, power = _scaled(slices[i], factor, scaled)
        most = max(most, power)
        scale[i] = largest / np.float32(_LARGEST)
        if largest > 0:
            own = packed[i // WIDTH, :, i % WIDTH]
            inverse = np.float32(_LARGEST) / largest
            for k in range(length):
                own[k // QUAD, k % QUAD] = np.uint8(np.int32(scaled[k] * inverse + shift))
    return packed, scale, most


@njit(nogil=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def best_from_bytes(
    rows, row_scale, row_middle, norm_weights, slices, slice_scale, powers, log_prior, priors, out
):
    """Write the log weight of each orientation at its best offset, from packed bytes.

    Parameters
    ----------
    rows, row_scale, row_middle
        See `pack_rows`; all offsets of one particle, then those of the next.
    slices, slice_scale
        See `pack_slices`.
    norm_weights, powers, log_prior, out
        See `aurefine.kernels.two_step.best_over_offsets`.
    priors : float32, shape (n_particles, n_offsets)
        Of the offsets.
    """
    n_particles, n_orientations = out.shape
    n_groups, n_quads = rows.shape[:2]
    n_rows = row_scale.size
    n_offsets = priors.shape[1]
    prior = priors.reshape(-1)
    flat_rows = rows.reshape(-1)
    flat_slices = slices.reshape(-1)
    products = np.empty(GROUP * WIDTH, np.int32)
    best = np.empty((n_particles, WIDTH), np.float32)
    norms = np.empty((n_particles, n_orientations), np.float32)
    np.dot(norm_weights, powers.T, norms)
    for block in range(slices.shape[0]):
        first = block * WIDTH
        own_scale = slice_scale[first : first + WIDTH]
        best[:] = -np.inf
        for g in range(n_groups):
            _multiply(
                flat_rows, g * n_quads * GROUP * QUAD, flat_slices, first * n_quads * QUAD,
                n_quads, products,
            )  # fmt: skip
            for row in range(g * GROUP, min((g + 1) * GROUP, n_rows)):
                target = best[row // n_offsets]
                own = products[(row - g * GROUP) * WIDTH : (row - g * GROUP + 1) * WIDTH]
                scale = row_scale[row]
                middle = row_middle[row]
                more = prior[row]
                for o in range(WIDTH):
                    value = np.float32(np.int32(own[o] - middle)) * (scale * own_scale[o]) + more
                    target[o] = max(target[o], value)
        n = min(WIDTH, n_orientations - first)
        for p in range(n_particles):
            base = best[p]
            for o in range(n):
                half_norm = np.float32(0.5) * norms[p, first + o]
                base[o] += log_prior[first + o] - half_norm
            copy_vector(base[:n], out[p, first : first + n])
