"""Quick start of commands that are over in a second."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["one_blas_thread"]

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy and SciPy, if they are imported in this block, start no threads for BLAS.

    Starting them takes a tenth of a second, and these commands share the work out themselves.
    What the user has set is left alone.
    """
    added = [name for name in _VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
