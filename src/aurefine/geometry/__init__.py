"""Euler angles, point groups and the sampling of orientations and offsets."""
