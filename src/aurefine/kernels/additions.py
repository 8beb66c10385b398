"""Additions of one sample to sums of 32-bit integers, eight words at a time."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["AHEAD", "BLOCK", "add_sample", "add_zoned_sample"]

BLOCK = 512  # columns of the weights
AHEAD = 12  # samples

_INT = ir.IntType(32)
_INT64 = ir.IntType(64)
_INT8 = ir.VectorType(_INT, 8)
_POINTER = ir.IntType(8).as_pointer()
_FLOAT = ir.FloatType()
_FLOAT4 = ir.VectorType(_FLOAT, 4)
_FLOAT8 = ir.VectorType(_FLOAT, 8)


def _lane_scales(builder, x, y, z, limit, data_ratio, weight_ratio):
    """Return a function (dz, dy) -> factors of the words of a row, by the zones of its voxels."""

    def lanes(values):
        vector = ir.Constant(_FLOAT8, ir.Undefined)
        for i, value in enumerate(values):
            vector = builder.insert_element(vector, value, ir.Constant(_INT, i))
        return vector

    def square(value, step):
        moved = builder.fadd(value, ir.Constant(_FLOAT, float(step)))
        return builder.fmul(moved, moved)

    one = ir.Constant(_FLOAT8, [1.0] * 8)
    outer = lanes([data_ratio, data_ratio, weight_ratio] * 2 + [data_ratio] * 2)
    along = lanes([square(x, 0)] * 3 + [square(x, 1)] * 5)
    bound = lanes([limit] * 8)

    def in_row(dz, dy):
        across = builder.fadd(square(z, dz), square(y, dy))
        is_outer = builder.fcmp_ordered(">=", builder.fadd(along, lanes([across] * 8)), bound)
        return builder.select(is_outer, outer, one)

    return in_row


def _write_addition(context, builder, signature, args):
    """Write the instructions of `add_sample`, or with more arguments of `add_zoned_sample`."""

    def address(array, index, kind):
        data = context.make_array(signature.args[array])(context, builder, args[array]).data
        return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())

    def lanes(vector, indices):
        mask = ir.Constant(ir.VectorType(_INT, len(indices)), indices)
        return builder.shuffle_vector(vector, vector, mask)

    def weight(row):
        index = builder.add(j, ir.Constant(_INT64, BLOCK * row))
        nothing = ir.Constant(_FLOAT8, ir.Undefined)
        scalar = builder.load(address(5, index, _FLOAT))
        return lanes(builder.insert_element(nothing, scalar, ir.Constant(_INT, 0)), [0] * 8)

    def place(sample):
        voxel = builder.zext(builder.load(address(1, sample, _INT)), _INT64)
        return builder.mul(voxel, ir.Constant(_INT64, 3))

    def function(name, result, arguments):
        kind = ir.FunctionType(result, arguments)
        return builder.module.declare_intrinsic(name, (), kind)

    _, _, step_y, step_z, _, _, j, *zones = args
    origin, upper = address(0, ir.Constant(_INT64, 0), _INT), address(0, step_z, _INT)
    rows = origin, builder.gep(origin, [step_y]), upper, builder.gep(upper, [step_y])
    later = place(builder.add(j, ir.Constant(_INT64, AHEAD)))
    prefetch = function("llvm.prefetch.p0", ir.VoidType(), [_POINTER, _INT, _INT, _INT])
    for row in rows:
        pointer = builder.bitcast(builder.gep(row, [later]), _POINTER)
        builder.call(prefetch, [pointer, _INT(1), _INT(3), _INT(1)])
    value = builder.load(address(4, builder.shl(j, ir.Constant(_INT64, 2)), _FLOAT4), align=16)
    value = lanes(value, [0, 1, 2, 0, 1, 2, 3, 3])
    # 1 - x for the near neighbour, x for the far one; exact with and without fused rounding
    sign = ir.Constant(_FLOAT8, [-1.0] * 3 + [1.0] * 3 + [0.0] * 2)
    one = ir.Constant(_FLOAT8, [1.0] * 3 + [0.0] * 5)
    add_product = function("llvm.fmuladd.v8f32", _FLOAT8, [_FLOAT8] * 3)
    value = builder.fmul(value, builder.call(add_product, [weight(4), sign, one]))
    nearest = function("llvm.lrint.v8i32.v8f32", _INT8, [_FLOAT8])
    here = place(j)
    in_row = _lane_scales(builder, *zones) if zones else None
    sums = []
    wraps = ir.Constant(_INT8, [0] * 8)
    for k, row in enumerate(rows):
        own = builder.fmul(value, in_row(k // 2, k % 2)) if in_row else value
        term = builder.call(nearest, [builder.fmul(own, weight(k))])
        target = builder.bitcast(builder.gep(row, [here]), _INT8.as_pointer())
        old = builder.load(target, align=4)
        new = builder.add(old, term)
        wrap = builder.and_(builder.xor(old, new), builder.xor(term, new))
        wraps = builder.or_(wraps, wrap)
        sums.append((new, target))
    negative = builder.icmp_signed("<", wraps, ir.Constant(_INT8, [0] * 8))
    byte = ir.IntType(8)
    wrapped = builder.icmp_unsigned("!=", builder.bitcast(negative, byte), byte(0))
    with builder.if_then(builder.not_(wrapped), likely=True):
        for new, target in sums:
            builder.store(new, target, align=4)
    return builder.zext(wrapped, _INT)


@intrinsic
def add_sample(typing, words, voxels, step_y, step_z, values, weights, j):
    """Add sample `j` to the eight voxels around it, unless a sum would wrap.

    The words of two neighbours in x are six in a row; the vectors have eight lanes, of which
    the last two add zero.  ``values[4 * j:4 * j + 4]`` are real part, imaginary part, weight and
    zero; `weights` has rows of `BLOCK` columns: the weights of the four rows of voxels, and that
    of the far neighbour in x.  The voxels of sample ``j + AHEAD`` are fetched into the cache.
    Returns 0, or 1 if nothing was added because a sum would wrap.
    """
    signature = types.int32(words, voxels, types.int64, types.int64, values, weights, types.int64)

    return signature, _write_addition


@intrinsic
def add_zoned_sample(
    typing, words, voxels, step_y, step_z, values, weights, j,
    x, y, z, limit, data_ratio, weight_ratio,
):  # fmt: skip
    """Add a sample as `add_sample` does where its voxels belong to two zones.

    Values are those of the inner zone; voxels at a squared radius of `limit` or more multiply
    them by the ratios, which are powers of two.  (x, y, z) is the position of the first voxel.
    """
    signature = types.int32(
        words, voxels, types.int64, types.int64, values, weights, types.int64,
        *[types.float32] * 6,
    )  # fmt: skip
    return signature, _write_addition
