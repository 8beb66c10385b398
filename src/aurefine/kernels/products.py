"""Small matrix products whose sums stay in vector registers."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from aurefine.kernels.vectors import FLOAT, LANES, VECTOR, VectorCode, integer

__all__ = ["COLUMNS", "add_products"]

COLUMNS = 8


def _sums_of_lanes(builder, vectors):
    """Add up the lanes of each of some vectors: sums in their order, in as few vectors."""
    index = ir.VectorType(ir.IntType(32), LANES)
    width = LANES
    while width > 1:
        joined = []
        for a, b in zip(vectors[::2], vectors[1::2], strict=True):
            even, odd = (
                builder.shuffle_vector(a, b, ir.Constant(index, list(range(k, 2 * LANES, 2))))
                for k in (0, 1)
            )
            joined.append(builder.fadd(even, odd))
        vectors = joined
        width //= 2
    return vectors


@intrinsic
def add_products(
    typing,
    rows,
    first_row,
    row_stride,
    row_jump,
    slices,
    first,
    stride,
    jump,
    n,
    out,
    place,
    out_stride,
):
    """Add the products of two rows with eight slices to an output of two rows.

    Parameters
    ----------
    rows, slices : float32
        C order; the second row begins `row_stride` after ``rows[first_row]``, slices begin
        `stride` numbers apart from ``slices[first]`` on (flat positions).
    row_jump, jump : int
        Distance of imaginary from real parts in the rows and in the slices.
    n : int
        Columns to multiply of either part, a multiple of `LANES`.
    out : float32
        ``out[place:place + 8]`` and, `out_stride` after it, the sums of the second row.
    """
    number = types.int64
    signature = types.void(
        rows, number, number, number, slices, number, number, number, number, out, number, number
    )

    def codegen(context, builder, signature, args):
        code = VectorCode(context, builder, signature, args)
        _, first_row, row_stride, row_jump, _, first, stride, jump, n, _, place, out_stride = args
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(2 * COLUMNS)]
        for total in sums:
            builder.store(ir.Constant(VECTOR, [0.0] * LANES), total)
        starts = [first_row, builder.add(first_row, row_stride)]
        columns = [code.place(integer(c), stride, first) for c in range(COLUMNS)]
        step = integer(LANES)
        with cgutils.for_range(builder, integer(2)) as parts:
            own = [code.place(parts.index, row_jump, start) for start in starts]
            others = [code.place(parts.index, jump, column) for column in columns]
            with cgutils.for_range(builder, builder.udiv(n, step)) as loop:
                k = builder.mul(loop.index, step)
                a = [code.load(0, builder.add(start, k)) for start in own]
                for c, column in enumerate(others):
                    b = code.load(4, builder.add(column, k))
                    for r in range(2):
                        total = sums[r * COLUMNS + c]
                        builder.store(code.multiply_add(a[r], b, builder.load(total)), total)
        found = _sums_of_lanes(builder, [builder.load(total) for total in sums])
        half = ir.VectorType(FLOAT, COLUMNS)
        for r in range(2):
            vector = found[r * COLUMNS // LANES]
            lanes = list(range(r * COLUMNS % LANES, r * COLUMNS % LANES + COLUMNS))
            part = builder.shuffle_vector(
                vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), COLUMNS), lanes)
            )
            target = code.pointer(9, place if r == 0 else builder.add(place, out_stride))
            target = builder.bitcast(target, half.as_pointer())
            builder.store(builder.fadd(builder.load(target, align=4), part), target, align=4)
        return context.get_dummy_value()

    return signature, codegen
