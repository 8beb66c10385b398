"""Where the output of processes goes that an MPI launcher has started.

A launcher gives its processes a pseudo-terminal, or a pipe, and passes on what they write.
"""

from __future__ import annotations

import os
from pathlib import Path

from aurefine.parallel.comm import launched_place

__all__ = ["launcher_shows_terminal", "launcher_writes_to"]

_NAMES = ("mpirun", "mpiexec", "orterun", "prterun", "prte", "mpiexec.hydra")


def launcher_writes_to(stream: int, path: Path) -> bool:
    """Whether a launcher passes a stream (1 or 2) of this process on to a file."""
    pid = _launcher()
    if pid is None:
        return False
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/{stream}"), path.stat())
    except OSError:
        return False


def launcher_shows_terminal() -> bool:
    """Whether what this process writes ends on a terminal, as far as a launcher decides it."""
    if launched_place()[1] < 2:
        return True
    pid = _launcher()
    try:
        return pid is not None and os.readlink(f"/proc/{pid}/fd/1").startswith("/dev/")
    except OSError:
        return False


def _launcher() -> int | None:
    """Process that started this one through MPI, if it is on the same machine."""
    if launched_place()[1] < 2:
        return None
    import psutil

    try:
        found = [p.pid for p in psutil.Process().parents() if p.name() in _NAMES]
    except psutil.Error:
        return None
    return found[-1] if found else None
