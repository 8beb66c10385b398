"""Copies between arrays, number by number.

Where an array is assigned to a slice, Numba compiles the words of its message on shapes that do not
match: 3 s for each kernel.
"""

from __future__ import annotations

from numba import njit

__all__ = ["copy_matrix", "copy_vector"]


@njit(nogil=True, cache=True, forceinline=True)
def copy_vector(source, target):
    """Copy a vector to the beginning of another one, which is not shorter."""
    for i in range(source.size):
        target[i] = source[i]


@njit(nogil=True, cache=True, forceinline=True)
def copy_matrix(source, target):
    """Copy a matrix to one of the same shape."""
    for i in range(source.shape[0]):
        copy_vector(source[i], target[i])
