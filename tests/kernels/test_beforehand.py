"""Kernels are compiled beside a run only where they are not in the cache."""

import contextlib
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from aurefine.kernels import beforehand


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The only kernel that a run needs, from a file of its own; and its index in the cache."""
    source = tmp_path / "module.py"
    source.write_text("")
    cache = tmp_path / "cache"
    cache.mkdir()
    code = SimpleNamespace(co_filename=str(source), co_firstlineno=7)
    made = SimpleNamespace(
        stats=SimpleNamespace(cache_path=str(cache)),
        py_func=SimpleNamespace(__qualname__="kernel", __code__=code),
    )
    monkeypatch.setattr(beforehand, "LATER_KERNELS", [(made, ())])
    return source, cache / "module.kernel-7.py311.nbi"


@pytest.fixture
def started(monkeypatch):
    """Processes that were started instead of the one that compiles."""
    found = []

    def start(command, **options):
        found.append(popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        return found[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(beforehand.subprocess, "Popen", start)
    return found


def test_another_process_compiles_until_the_block_ends(kernel, started):
    with beforehand.compiled_beside():
        assert [child.poll() for child in started] == [None]
    assert started[0].returncode is not None


def test_it_ends_when_the_run_fails(kernel, started):
    with pytest.raises(KeyboardInterrupt), beforehand.compiled_beside():
        raise KeyboardInterrupt
    assert started[0].returncode is not None


def test_nothing_is_compiled_twice(kernel, started):
    _, index = kernel
    index.write_bytes(b"")
    with beforehand.compiled_beside():
        assert not started


def test_newer_sources_are_compiled_again(kernel, started):
    _, index = kernel
    index.write_bytes(b"")
    os.utime(index, (1, 1))
    with beforehand.compiled_beside():
        assert len(started) == 1


def test_a_kernel_of_another_line_does_not_count(kernel, started):
    _, index = kernel
    index.with_name("module.kernel-8.py311.nbi").write_bytes(b"")
    with beforehand.compiled_beside():
        assert len(started) == 1


def test_a_run_goes_on_without_another_process(kernel, monkeypatch):
    def fail(*args, **options):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(beforehand.subprocess, "Popen", fail)
    with beforehand.compiled_beside() as nothing:
        assert nothing is None


@pytest.mark.slow
def test_the_other_process_fills_the_cache_and_ends_with_its_parent(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    lines = [
        "import os, subprocess, sys, time",
        "child = subprocess.Popen([sys.executable, '-m', 'aurefine.kernels.beforehand',"
        " str(os.getpid())])",
        "print(child.pid, flush=True)",
        "time.sleep(600)",
    ]
    parent = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    child = psutil.Process(int(parent.stdout.readline()))
    while not list(tmp_path.rglob("*.combine_images-*.nbi")):
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.communicate()
    with contextlib.suppress(psutil.NoSuchProcess):
        while child.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.1)
    assert not list(tmp_path.rglob("*.children_with_weight-*.nbi"))  # the last one
