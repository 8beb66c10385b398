"""Instructions on vectors of floats, for loops whose sums must stay in registers."""

from __future__ import annotations

from llvmlite import binding, ir
from numba import types

__all__ = ["FLOAT", "LANES", "VECTOR", "VectorCode", "integer"]

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8

FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)


def integer(value):
    """Return a 64-bit constant."""
    return ir.Constant(ir.IntType(64), value)


class VectorCode:
    """Writes the instructions of an intrinsic; arrays are named by the number of their argument."""

    def __init__(self, context, builder, signature, args):
        self.builder = builder
        self._data = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else None
            for kind, value in zip(signature.args, args, strict=True)
        ]
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        self._multiply_add = builder.module.declare_intrinsic(f"llvm.fmuladd.v{LANES}f32", (), kind)

    def pointer(self, array, index):
        """Address of an element."""
        return self.builder.gep(self._data[array], [index])

    def vector(self, array, index):
        """Address of a vector that begins at an element."""
        return self.builder.bitcast(self.pointer(array, index), VECTOR.as_pointer())

    def load(self, array, index):
        """Vector that begins at an element."""
        return self.builder.load(self.vector(array, index), align=4)

    def store(self, value, array, index):
        """Write a vector, beginning at an element."""
        self.builder.store(value, self.vector(array, index), align=4)

    def scalar(self, array, index):
        """One element."""
        return self.builder.load(self.pointer(array, index))

    def splat(self, value):
        """Vector of equal numbers."""
        one = self.builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, integer(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, one, mask)

    def multiply_add(self, a, b, c):
        """A b + c."""
        return self.builder.call(self._multiply_add, [a, b, c])

    def place(self, row, stride, column):
        """Index of an element."""
        return self.builder.add(self.builder.mul(row, stride), column)
