"""Transforms, crop and pad, shells, filters and the Fourier shell correlation."""
