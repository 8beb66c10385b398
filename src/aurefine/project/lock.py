"""The lock of a project: RELION's lock directory, and a lock that the system releases by itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from aurefine.errors import OutputError

__all__ = ["project_lock"]

_SYSTEM_LOCK = ".aurefine_lock"
_RELION_LOCK = ".relion_lock"
_RELION_FILE = "lock_default_pipeline.star"
_SIGNATURE = "aurefine"
_SETTLED = 1.0  # seconds after which an empty lock directory is no longer being filled
_LONG = 30.0  # seconds; a change takes milliseconds
_POLL = 0.05


@contextlib.contextmanager
def project_lock(folder: Path, reason: str, *, timeout: float = 60.0) -> Iterator[None]:
    """Hold the project for a change of its pipeline file.

    Two locks are taken: a lock of the operating system on ``.aurefine_lock``, which vanishes with
    its process, and RELION's directory ``.relion_lock``, which RELION heeds.  A directory that an
    aurefine process left behind when it was killed is removed; one that another program holds is
    waited for.

    Parameters
    ----------
    folder : Path
        The project.
    reason : str
        Written into the lock for whoever finds it.
    timeout : float
        How long to wait for others [s].

    Raises
    ------
    OutputError
        If the folder is not writable, or if the lock is still held after `timeout`.
    """
    deadline = time.monotonic() + timeout
    try:
        descriptor = os.open(folder / _SYSTEM_LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{folder}: can not lock the project: {error.strerror}.") from None
    try:
        _take_system_lock(descriptor, folder, deadline)
        _take_relion_lock(descriptor, folder, reason, deadline)
        try:
            yield
        finally:
            _release_relion_lock(folder)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)  # this also releases the system's lock


def _take_system_lock(descriptor: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            raise OutputError(
                f"{folder}: the file system does not support locks: {error.strerror}."
            ) from None
        if time.monotonic() > deadline:
            raise OutputError(
                f"{folder}: the project is locked by {_holder(descriptor)}. Try again later, or "
                "end that process."
            )
        time.sleep(_POLL)


def _take_relion_lock(descriptor: int, folder: Path, reason: str, deadline: float) -> None:
    directory = folder / _RELION_LOCK
    # what stands in the file was left by a process that was killed while it held the lock
    was_killed = os.fstat(descriptor).st_size > 0
    signature = json.dumps(
        {"program": _SIGNATURE, "host": socket.gethostname(), "pid": os.getpid(), "why": reason}
    )
    os.pwrite(descriptor, signature.encode(), 0)
    os.ftruncate(descriptor, len(signature.encode()))
    while True:
        try:
            directory.mkdir(mode=0o700)
            break
        except FileExistsError:
            if _is_left_behind(directory, was_killed):
                _release_relion_lock(folder)
                continue
        except OSError as error:
            raise OutputError(f"{directory}: can not be made: {error.strerror}.") from None
        if time.monotonic() > deadline:
            os.ftruncate(descriptor, 0)
            raise OutputError(
                f"{directory}: the project is locked by another program{_words(directory)}. If no "
                f"RELION is running in this project, remove the lock: rm -r {directory}"
            )
        time.sleep(_POLL)
    (directory / _RELION_FILE).write_text(signature + "\n")


def _is_left_behind(directory: Path, was_killed: bool) -> bool:
    """Whether a lock directory belongs to an aurefine process that no longer exists.

    The caller holds the system's lock, so that no living aurefine process can hold this one.
    """
    try:
        text = (directory / _RELION_FILE).read_text(errors="replace")
    except FileNotFoundError:
        # RELION fills the directory at once; only a killed process leaves it empty
        with contextlib.suppress(OSError):
            return was_killed and time.time() - directory.stat().st_mtime > _SETTLED
        return False
    except OSError:
        return False
    if f'"program": "{_SIGNATURE}"' in text:
        if f'"host": {json.dumps(socket.gethostname())}' in text:
            return True
        with contextlib.suppress(OSError):  # the system's lock may not reach other computers
            return time.time() - directory.stat().st_mtime > _LONG
    return was_killed and not text


def _release_relion_lock(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / _RELION_LOCK / _RELION_FILE).unlink()
    with contextlib.suppress(FileNotFoundError):
        (folder / _RELION_LOCK).rmdir()


def _holder(descriptor: int) -> str:
    try:
        held = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {held['pid']} on {held['host']} ({held['why']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _words(directory: Path) -> str:
    with contextlib.suppress(OSError):
        text = (directory / _RELION_FILE).read_text(errors="replace").strip()
        return f" ({text[:200]})" if text else ""
    return ""
