"""Figures and reports of a run."""

__all__ = ["directions", "plots", "postprocess"]
