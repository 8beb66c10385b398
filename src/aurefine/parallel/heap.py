"""What the C library keeps of memory that is free."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

__all__ = ["return_free_memory", "use_one_heap"]

_ARENA_MAX = -8  # of mallopt()


def use_one_heap() -> None:
    """Let threads that start from now on share one heap, so that all use what one has freed.

    Without effect where the C library is not that of GNU.
    """
    library = _gnu_library()
    if library is not None:
        library.mallopt(_ARENA_MAX, 1)


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
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
