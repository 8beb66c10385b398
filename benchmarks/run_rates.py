"""Rates of slices and of their insertion in an iteration of a run, in the order of the run.

    python benchmarks/run_rates.py Refine3D/job001/run_it016_optimiser.star

Goes on with one iteration. Insertions are timed as they happen. Slices are taken and scored by one
kernel; before that, a part of what it is given is taken by the kernel for slices alone, in the same
order, so that no more voxels are in the cache. Times are processor times of one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import aurefine
from aurefine.kernels.slices import extract_slices
from aurefine.refine import insertion, local, search
from measuring import publish, surroundings, table

EVERY = 8  # one in so many calls is taken twice
ORIENTATIONS = 8  # whose slices are taken together, in the first pass and with their children


@dataclass
class Rate:
    """Samples and the time that they took."""

    samples: int = 0
    seconds: float = 0.0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, samples: int, seconds: float) -> None:
        """Count some more."""
        with self.lock:
            self.samples += samples
            self.seconds += seconds

    def is_due(self) -> bool:
        """Whether this call is one to be taken twice."""
        with self.lock:
            self.calls += 1
            return self.calls % EVERY == 1


def timed_insertion(rate: Rate, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return the kernel that counts what it inserts."""

    def insert(*arguments: Any) -> Any:
        start = time.thread_time()
        found = kernel(*arguments)
        first, last = arguments[6:8]
        rate.add(len(arguments[5]) * (last - first), time.thread_time() - start)
        return found

    return insert


def take_slices(rate: Rate, volume: Any, rotations: Any, x: Any, y: Any) -> None:
    """Time the slices of rotations, shape (n_groups, n, 3, 3), group by group."""
    out = np.empty((rotations.shape[1], 2 * len(x)), np.float32)
    start = time.thread_time()
    for group in rotations:
        extract_slices(volume, group, x, y, out)
    rate.add(rotations.shape[0] * rotations.shape[1] * len(x), time.thread_time() - start)


def followed(
    rate: Rate, kernel: Callable[..., Any], taken: Callable[..., tuple[Any, ...]]
) -> Callable[..., Any]:
    """Return a kernel of a search before which some of its slices are taken."""

    def score(*arguments: Any) -> Any:
        if rate.is_due():
            take_slices(rate, *taken(*arguments))
        return kernel(*arguments)

    return score


def of_neighbourhoods(
    volume: Any, first: Any, rotations: Any, prior: Any, x: Any, y: Any, *rest: Any
) -> tuple[Any, ...]:
    """Return what `take_slices` takes, from arguments of the first pass."""
    n = len(rotations) // ORIENTATIONS
    return volume, rotations[: n * ORIENTATIONS].reshape(n, ORIENTATIONS, 3, 3), x, y


def of_children(volume: Any, rotations: Any, x: Any, y: Any, *rest: Any) -> tuple[Any, ...]:
    """Return what `take_slices` takes, from arguments of the second pass."""
    return volume, rotations, x, y


def no_samples() -> tuple[Any, ...]:
    """Return arguments of the kernel: a call with them loads it before its time counts."""
    nothing = np.zeros((1, 3, 3), np.float32), *np.zeros((2, 0), np.float32)
    return (np.zeros(2 * 5 * 5 * 3, np.float32), 5), *nothing, np.zeros((1, 0), np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("optimiser", type=Path, help="of the iteration before")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, help="folder that the run was started in")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    extract_slices(*no_samples())
    optimiser = arguments.optimiser.resolve()
    iteration = int(optimiser.name.partition("_it")[2][:3]) + 1
    rates = {name: Rate() for name in ("insertion", "slices, first pass", "slices, second pass")}
    inserted, coarse, fine = rates.values()
    insertion.insert_slices = timed_insertion(inserted, insertion.insert_slices)
    local.score_local = followed(coarse, local.score_local, of_neighbourhoods)
    search.fine_scores = followed(fine, search.fine_scores, of_children)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(arguments.data or "."):
        aurefine.refine(
            output=f"{folder}/run",
            continue_from=str(optimiser),
            auto_iter_max=iteration,
            n_threads=arguments.threads,
        )
    rows = [
        [name, f"{rate.samples / 1e6:.0f}", f"{1e9 * rate.seconds / rate.samples:.1f}"]
        for name, rate in rates.items()
        if rate.samples
    ]
    head = [f"iteration {iteration}", "samples [10⁶]", "ns per sample"]
    text = "\n".join([*table(head, rows), "", *where])
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
