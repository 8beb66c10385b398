"""Contrast transfer function, aberrations and optics groups."""
