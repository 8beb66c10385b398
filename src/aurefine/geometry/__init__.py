"""Euler angles, HEALPix grids, point groups and orientation sampling."""
