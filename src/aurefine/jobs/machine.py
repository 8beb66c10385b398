"""What this machine has: memory that a process may use, and free disk space."""

from __future__ import annotations

import contextlib
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FreeMemory", "free_disk", "free_memory"]

_CGROUP = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # what version 1 of control groups says instead of "max" is larger


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """Memory that can still be used [bytes] and what sets the limit."""

    n_bytes: int
    reason: str


def free_memory() -> FreeMemory:
    """Return the memory that this process can still use.

    The smallest of what the machine has free, of the limits of its control groups (containers,
    batch queues) and of its own limit (`ulimit -v`).
    """
    import psutil

    found = [FreeMemory(int(psutil.virtual_memory().available), "free memory of this machine")]
    found += [
        FreeMemory(n_bytes, "limit of the container or the batch queue")
        for n_bytes in _control_groups()
    ]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        used = int(psutil.Process().memory_info().vms)
        found.append(FreeMemory(max(0, limit - used), "limit of the process (ulimit -v)"))
    return min(found, key=lambda free: free.n_bytes)


def free_disk(folder: str | Path) -> int:
    """Return the free space [bytes] of the disk that a folder, existing or not, is on."""
    path = Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _control_groups() -> list[int]:
    """Free bytes below the limits of all control groups of this process."""
    found = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":  # version 2
            names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
            root = _CGROUP
        elif "memory" in controllers.split(","):
            names = (
                "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat",
                "total_inactive_file",
            )  # fmt: skip
            root = _CGROUP / "memory"
        else:
            continue
        group = root / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder == root.parent:
                break
            with contextlib.suppress(ValueError):
                limit = int(_read(folder / names[0]))
                used = int(_read(folder / names[1])) - _cached(folder / names[2], names[3])
                if limit < _NO_LIMIT:
                    found.append(max(0, limit - used))
    return found


def _cached(path: Path, label: str) -> int:
    """Bytes of files that the kernel gives up when memory is needed."""
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == label:
            return int(value)
    return 0


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
