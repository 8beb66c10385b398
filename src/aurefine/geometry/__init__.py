"""Euler angles, point groups and the sampling of orientations and offsets."""

__all__ = ["directions", "euler", "local", "sampling", "symmetry"]
