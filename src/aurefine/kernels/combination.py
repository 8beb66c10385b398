"""What one image adds to the sums of one orientation, in registers."""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from aurefine.kernels.vectors import LANES, VECTOR, VectorCode, integer

__all__ = ["CHILDREN", "add_image", "sum_ramps"]

CHILDREN = LANES // 2  # orientations at a time: their sums take half of the registers

_IMAGE, _POWER_WEIGHT, _SLICES, _COMBINED, _SEEN = 2, 3, 5, 8, 10


@intrinsic
def sum_ramps(typing, cosines, sines, terms, first, last, weights, column, stride, out, begin, end):
    """Write weighted sums of phase ramps for `CHILDREN` orientations.

    Parameters
    ----------
    cosines, sines : float32
        Flat; the ramp k begins at ``terms[k]``, k from `first` to `last`.
    terms : int64
    weights : float32
        Flat; that of ramp k and orientation c is ``weights[k * stride + column + c]``.
    out : float32
        Flat, in rows of ``end - begin`` numbers: cosines of all orientations, then sines.
    begin, end : int
        Pixels, a multiple of `LANES`.
    """
    number = types.int64
    signature = types.void(
        cosines, sines, terms, number, number, weights, number, number, out, number, number
    )

    def codegen(context, builder, signature, args):
        code = VectorCode(context, builder, signature, args)
        _, _, _, first, last, _, column, stride, _, begin, end = args
        length = builder.sub(end, begin)
        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(2 * CHILDREN)]
        with cgutils.for_range(builder, builder.udiv(length, integer(LANES))) as vectors:
            j = builder.mul(vectors.index, integer(LANES))
            here = builder.add(begin, j)
            for total in sums:
                builder.store(VECTOR([0.0] * LANES), total)
            with cgutils.for_range(builder, builder.sub(last, first)) as ramps:
                k = builder.add(first, ramps.index)
                place = builder.add(code.scalar(2, k), here)
                parts = code.load(0, place), code.load(1, place)
                own = code.place(k, stride, column)
                for c in range(CHILDREN):
                    weight = code.splat(code.scalar(5, builder.add(own, integer(c))))
                    for part, total in zip(parts, sums[c::CHILDREN], strict=True):
                        value = code.multiply_add(weight, part, builder.load(total))
                        builder.store(value, total)
            for row, total in enumerate(sums):
                at = code.place(integer(row), length, j)
                code.store(builder.load(total), 8, at)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add_image(
    typing, m_real, m_imag, image, power_weight, own, slices, slice_place, imaginary, combined,
    combined_place, seen, seen_place, total, n_pixels, begin, end, is_first,
):  # fmt: skip
    """Add an image to the sums of an orientation, and the slice to what the image has seen.

    With m the sum of weighted phase ramps (`sum_ramps`), this adds, pixel by pixel,

    - the image times m, and `total` times its power weight, to three rows of `combined`;
    - the slice times the conjugate of m, conjugated, and `total` times the power of the slice, to
      three rows of `seen`.

    Parameters
    ----------
    m_real, m_imag : float32, shape (end - begin,)
    image, power_weight, slices, combined, seen : float32
        Flat; those that are followed by a place begin there.  Rows have `n_pixels` numbers; an
        image has two, real parts first.  A slice begins with the pixel `begin`.
    imaginary : int
        Distance of imaginary from real parts of a slice.
    total : float32
        Sum of the weights.
    begin, end : int
        Pixels, a multiple of `LANES`.
    is_first : bool
        Whether `combined` is overwritten instead.
    """
    number = types.int64
    signature = types.void(
        m_real, m_imag, image, power_weight, number, slices, number, number, combined, number,
        seen, number, types.float32, number, number, number, types.boolean,
    )  # fmt: skip

    def codegen(context, builder, signature, args):
        code = VectorCode(context, builder, signature, args)
        own, slice_place, imaginary, combined_place, seen_place = (
            args[k] for k in (4, 6, 7, 9, 11)
        )
        total, n_pixels, begin, end, is_first = args[12:]
        total = code.splat(total)
        zero = VECTOR([0.0] * LANES)

        def rows(array, place, n, distance=n_pixels):
            """Addresses of the same vector in `n` rows, one from the other to save registers."""
            found = [code.pointer(array, place)]
            while len(found) < n:
                found.append(builder.gep(found[-1], [distance]))
            return [builder.bitcast(pointer, VECTOR.as_pointer()) for pointer in found]

        def load(pointer):
            return builder.load(pointer, align=4)

        def add(pointer, *terms, overwrites=None):
            value = load(pointer)
            if overwrites is not None:
                value = builder.select(overwrites, VECTOR([0.0] * LANES), value)
            for a, b in terms:
                value = code.multiply_add(a, b, value)
            builder.store(value, pointer, align=4)

        count = builder.udiv(builder.sub(end, begin), integer(LANES))
        with cgutils.for_range(builder, count) as vectors:
            i = builder.mul(vectors.index, integer(LANES))
            j = builder.add(begin, i)
            re, im = code.load(0, i), code.load(1, i)
            minus_im = builder.fsub(zero, im)
            x, y = (load(pointer) for pointer in rows(_IMAGE, j, 2))
            sums = rows(_COMBINED, builder.add(combined_place, j), 3)
            add(sums[0], (x, re), (y, minus_im), overwrites=is_first)
            add(sums[1], (x, im), (y, re), overwrites=is_first)
            weight = code.load(_POWER_WEIGHT, builder.add(own, j))
            add(sums[2], (total, weight), overwrites=is_first)
            a, b = (load(p) for p in rows(_SLICES, builder.add(slice_place, i), 2, imaginary))
            power = code.multiply_add(a, a, builder.fmul(b, b))
            sums = rows(_SEEN, builder.add(seen_place, j), 3)
            add(sums[0], (re, a), (im, b))
            add(sums[1], (re, b), (minus_im, a))
            add(sums[2], (total, power))
        return context.get_dummy_value()

    return signature, codegen
