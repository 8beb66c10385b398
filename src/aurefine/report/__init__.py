"""Figures and reports of a run."""

__all__ = ["plots", "postprocess"]
