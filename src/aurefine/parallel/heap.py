"""What the C library keeps of memory that is free."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

__all__ = ["return_free_memory"]


def return_free_memory() -> None:
    """Give memory that is free back to the system, where the C library can do that."""
    library = _gnu_library()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


@lru_cache(maxsize=1)
def _gnu_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
