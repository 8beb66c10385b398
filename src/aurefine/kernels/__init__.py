"""Hot loops: `reference` (NumPy, the specification) and fast backends."""

__all__ = [
    "accumulate",
    "accuracy",
    "additions",
    "ctf",
    "fixed_point",
    "images",
    "local",
    "pairs",
    "posterior",
    "products",
    "reference",
    "scoring",
    "slices",
    "volume",
]
