"""Extraction of particles from micrographs."""
