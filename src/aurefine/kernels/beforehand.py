"""Compiling kernels in a second process before they are needed, where a run is the first one.

Numba compiles one function at a time in a process. What the other process has stored in the cache
by the time that it is needed here is loaded from there.

``python -m aurefine.kernels.beforehand`` compiles them all; with a process id it ends with that
process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fnmatch import filter as matching
from pathlib import Path

from aurefine.kernels.signatures import LATER_KERNELS

__all__ = ["compiled_beside"]

_POLL = 0.2  # seconds


@contextlib.contextmanager
def compiled_beside() -> Iterator[None]:
    """Compile the kernels that are not in the cache in another process, as long as the block runs.

    Does nothing if they are all there, or if the cache or a process can not be had.
    """
    child = None
    if not _are_stored():
        with contextlib.suppress(OSError):
            child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
    try:
        yield
    finally:
        if child is not None:
            child.terminate()
            child.wait()


def _are_stored() -> bool:
    """Whether there is nothing to compile, or nowhere to store it."""
    folder = Path(LATER_KERNELS[0][0].stats.cache_path)
    if folder.exists() and not os.access(folder, os.W_OK):
        return True
    names = os.listdir(folder) if folder.exists() else []
    for kernel, _ in LATER_KERNELS:
        code = kernel.py_func.__code__
        own = f"*.{kernel.py_func.__qualname__}-{code.co_firstlineno}.*.nbi"
        written = [(folder / name).stat().st_mtime for name in matching(names, own)]
        if max(written, default=0.0) < Path(code.co_filename).stat().st_mtime:
            return False
    return True


def _end_with(parent: int) -> None:
    """End this process when the one that has started it is gone, however that ended."""
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # which goes to the whole group
        threading.Thread(target=_end_with, args=[int(sys.argv[1])], daemon=True).start()
    for _kernel, _types in LATER_KERNELS:
        _kernel.compile(_types)
