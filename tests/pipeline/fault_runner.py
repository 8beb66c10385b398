"""Run `aurefine` and end the process, or break its files, at one chosen moment.

Usage: python fault_runner.py MOMENT WHAT COUNT_FILE aurefine arguments ...

Moments are counted: every opening, flushing and renaming of a file, and every batch of particles.
At moment number MOMENT (0: never) the process is killed (WHAT is "kill") or every file operation
from there on fails ("full": no space left, "readonly": read-only file system). The number of
moments seen is left in COUNT_FILE.
"""

import builtins
import errno
import os
import signal
import sys

MOMENT, WHAT, COUNT_FILE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
MOST_WRITES = 3  # of a file that count, so that small files and batches count as much as large ones
CODES = {"full": errno.ENOSPC, "readonly": errno.EROFS}

seen = 0
real_open, real_replace, real_fsync = builtins.open, os.replace, os.fsync


def moment(path):
    """Count, and do what was asked for when the time has come."""
    global seen
    seen += 1
    if not MOMENT or seen < MOMENT:
        return
    if WHAT == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    name = [] if path is None else [str(path)]
    raise OSError(CODES[WHAT], os.strerror(CODES[WHAT]), *name)


class HalfWritten:
    """A stream that counts its first writes as moments, some bytes after they have begun."""

    def __init__(self, stream, path):
        self._stream, self._path = stream, path
        self._n_counted = 0

    def write(self, data):
        if self._n_counted == MOST_WRITES:
            return self._stream.write(data)
        self._n_counted += 1
        half = len(data) // 2
        self._stream.write(data[:half])
        self._stream.flush()
        moment(self._path)
        self._stream.write(data[half:])
        return len(data)

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stream.close()

    def __iter__(self):
        return iter(self._stream)


def is_result(path):
    return isinstance(path, (str, os.PathLike)) and ".tmp-" in str(path)


def open_file(path, mode="r", *rest, **more):
    if not is_result(path) or mode.startswith("r"):
        return real_open(path, mode, *rest, **more)
    moment(path)
    return HalfWritten(real_open(path, mode, *rest, **more), path)


def replace(source, target, **more):
    if is_result(source):
        moment(source)  # the name that the real one gives
    real_replace(source, target, **more)


def fsync(descriptor):
    moment(None)  # as the real one: it does not know the name
    real_fsync(descriptor)


def count_batches():
    from aurefine.jobs.refine_job import RefineJob

    original = RefineJob.particles_done

    def particles_done(self, n):
        if WHAT == "kill":
            moment("batch")
        original(self, n)

    RefineJob.particles_done = particles_done


if __name__ == "__main__":
    from aurefine.cli.main import run_command

    count_batches()
    builtins.open, os.replace, os.fsync = open_file, replace, fsync
    code = run_command(sys.argv[4:])
    with real_open(COUNT_FILE, "w") as stream:
        stream.write(str(seen))
    sys.exit(code)
