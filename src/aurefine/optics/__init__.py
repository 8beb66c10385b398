"""Contrast transfer function, aberrations and optics groups."""

__all__ = ["aberrations", "ctf", "groups", "mtf", "wavelength"]
