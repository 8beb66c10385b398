"""Fully automatic 3D refinement of cryo-EM particle images."""

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "refine"]


def __getattr__(name: str) -> Any:
    """Load the Python API on first use, so that `import aurefine` stays fast."""
    if name == "refine":
        from aurefine.jobs.refine3d import refine

        return refine
    raise AttributeError(f"module 'aurefine' has no attribute {name!r}")
