"""Fully automatic 3D refinement of cryo-EM particle images."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

__all__ = ["RefinementResult", "__version__", "refine"]


class _RefinePackage(ModuleType):
    """The subpackage `aurefine.refine`, which can be called like the function of that name."""

    def __call__(self, *files: Any, **options: Any) -> Any:
        """Refine a map; see `aurefine.jobs.refine3d.refine` for arguments and result."""
        return _api().refine(*files, **options)


class _Package(ModuleType):
    """This package: whoever imports the subpackage, `aurefine.refine` stays callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "refine" and isinstance(value, ModuleType):
            value.__class__ = _RefinePackage
        super().__setattr__(name, value)


def _api() -> ModuleType:
    return importlib.import_module("aurefine.jobs.refine3d")


def __getattr__(name: str) -> Any:
    """Load the Python API on first use, so that `import aurefine` stays fast."""
    if name == "refine":
        return importlib.import_module("aurefine.refine")
    if name == "RefinementResult":
        return _api().RefinementResult
    raise AttributeError(f"module 'aurefine' has no attribute {name!r}")


sys.modules[__name__].__class__ = _Package
