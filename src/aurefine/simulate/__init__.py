"""Synthetic particle images from atoms or maps."""
