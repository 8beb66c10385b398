"""Where the output of processes goes that an MPI launcher has started.

A launcher gives its processes a pseudo-terminal, or a pipe, and passes on what they write.
"""

from __future__ import annotations

import os
from pathlib import Path

from aurefine.parallel.comm import launched_place

__all__ = ["launcher_ends_soon", "launcher_shows_terminal", "launcher_writes_to"]

_NAMES = ("mpirun", "mpiexec", "orterun", "prterun", "prte", "mpiexec.hydra")
_SERVANTS = ("orted", "prted", "hydra_pmi_proxy", "hydra_bstrap_proxy")  # on other machines


def launcher_ends_soon() -> bool:
    """Whether a launcher that passes SIGTERM on ends the processes by force soon after.

    Open MPI does so after a quarter of a second (version 5) or a second (version 4); SLURM's srun
    leaves them the time that the cluster allows.
    """
    return bool(_parents(_NAMES + _SERVANTS))


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
    found = _parents(_NAMES)
    return found[-1] if found else None


def _parents(names: tuple[str, ...]) -> list[int]:
    """Processes above this one that have one of these names, from below, if MPI is used."""
    if launched_place()[1] < 2:
        return []
    import psutil

    try:
        return [p.pid for p in psutil.Process().parents() if p.name() in names]
    except psutil.Error:
        return []
