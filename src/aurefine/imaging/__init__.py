"""Soft masks, background normalisation and noise spectra."""

from aurefine.imaging.masks import (
    BackgroundStatistics,
    apply_circular_mask,
    background_profile,
    background_weight,
    normalisation_statistics,
    radius_squared_map,
    soft_sphere,
    soft_sphere_fill,
)
from aurefine.imaging.noise import power_by_ring

__all__ = [
    "BackgroundStatistics",
    "apply_circular_mask",
    "background_profile",
    "background_weight",
    "normalisation_statistics",
    "power_by_ring",
    "radius_squared_map",
    "soft_sphere",
    "soft_sphere_fill",
]
