"""Hot loops: `reference` (NumPy, the specification) and fast backends.

Compiled functions that others call have ``forceinline=True``, so that each kernel is one piece of
code: of separate copies a process would run the one that it happened to load first, and results
would depend in their last bits on whether the kernels were in the cache.
"""

__all__ = [
    "accumulate",
    "accuracy",
    "additions",
    "ctf",
    "fixed_point",
    "images",
    "local",
    "maps",
    "pairs",
    "posterior",
    "products",
    "reference",
    "rotations",
    "scoring",
    "slices",
    "volume",
]
