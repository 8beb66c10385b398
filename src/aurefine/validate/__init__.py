"""Analysis of results: orientation distribution and directional resolution."""

__all__ = ["directional_fsc", "orientations"]
