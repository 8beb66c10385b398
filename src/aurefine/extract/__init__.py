"""Extraction of particles from micrographs."""

from aurefine.extract.coordinates import Recentring, project_point, recentre_particles
from aurefine.extract.images import ImageCounts, ImageSettings, extract_images
from aurefine.extract.normalise import (
    Background,
    make_background,
    normalise_images,
    remove_dust,
)
from aurefine.extract.rescale import rescale_images
from aurefine.extract.window import (
    cut_windows,
    grey_level,
    window_corners,
    windows_off_micrograph,
    windows_over_edge,
)

__all__ = [
    "Background",
    "ImageCounts",
    "ImageSettings",
    "Recentring",
    "cut_windows",
    "extract_images",
    "grey_level",
    "make_background",
    "normalise_images",
    "project_point",
    "recentre_particles",
    "remove_dust",
    "rescale_images",
    "window_corners",
    "windows_off_micrograph",
    "windows_over_edge",
]
