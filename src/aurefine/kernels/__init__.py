"""Hot loops: `reference` (NumPy, the specification) and fast backends."""
