"""Synthetic particle images from atoms or maps."""

__all__ = ["atoms", "particles", "projector", "settings", "truth"]
