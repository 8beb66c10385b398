"""Hot loops: `reference` (NumPy, the specification) and fast backends."""

__all__ = [
    "accumulate",
    "accuracy",
    "ctf",
    "fixed_point",
    "images",
    "local",
    "pairs",
    "posterior",
    "reference",
    "scoring",
    "slices",
    "volume",
]
