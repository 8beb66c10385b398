"""`aurefine doctor`: versions, cores, memory and the measured speed of matrix products."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Sequence

import numpy as np

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser

__all__ = ["gemm_rate", "report_lines", "run"]

_PACKAGES = ("numpy", "scipy", "numba", "pandas", "healpix", "threadpoolctl", "rich")
_SLOW_GFLOPS = 10.0  # per thread; even old cores with AVX2 reach 20


def run(argv: Sequence[str]) -> int:
    """Print the report."""
    build_parser((), "aurefine doctor", "Show versions, cores, memory and speed.").parse_args(argv)
    for line in report_lines():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


def report_lines() -> list[str]:
    """Return the report, one line per fact; takes about two seconds."""
    import psutil

    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    single, every = gemm_rate(n_threads=1), gemm_rate(n_threads=None)
    lines = [
        f"aurefine         {program_version()}",
        f"python           {platform.python_version()} ({sys.executable})",
        f"system           {platform.system()} {platform.release()} {platform.machine()}",
        *(f"{name:<16} {_version_of(name)}" for name in _PACKAGES),
        f"cores            {cores} usable, {psutil.cpu_count(logical=False)} physical",
        f"memory           {memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} free",
        f"linear algebra   {_blas()}",
        f"matrix products  {single:.0f} GFlop/s with one thread, {every:.0f} with all (float32)",
    ]
    core_type = os.environ.get("OPENBLAS_CORETYPE")
    if core_type:
        lines.append(
            f"WARNING: OPENBLAS_CORETYPE={core_type} is set; NumPy can be several times slower "
            "than this processor allows. Unset it, unless you know why it is there."
        )
    if single < _SLOW_GFLOPS:
        lines.append(
            f"WARNING: {single:.0f} GFlop/s per thread is slow; is another program running, or "
            "NumPy built without a fast BLAS?"
        )
    return lines


def gemm_rate(n_threads: int | None, *, size: int = 1536, seconds: float = 0.5) -> float:
    """Measure the speed of float32 matrix products.

    Parameters
    ----------
    n_threads : int or None
        BLAS threads; None for the library's own choice.
    size : int
        Rows and columns of the square matrices.
    seconds : float
        Time to measure for.

    Returns
    -------
    rate : float
        Best of the repeats [GFlop/s].
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    a = rng.random((size, size), dtype=np.float32)
    b = rng.random((size, size), dtype=np.float32)
    out = np.empty_like(a)
    best = 0.0
    with threadpool_limits(limits=n_threads, user_api="blas"):
        np.matmul(a, b, out=out)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            np.matmul(a, b, out=out)
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best / 1e9


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _blas() -> str:
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info.get("user_api") == "blas"]
    return "; ".join(
        f"{info['internal_api']} {info.get('version')}"
        + (f" ({info['architecture']})" if "architecture" in info else "")
        + f", {info['num_threads']} threads"
        for info in found
    )
