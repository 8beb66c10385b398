"""The micrographs of one process: extract them with threads, and report what came of them."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from aurefine.errors import AurefineError
from aurefine.jobs.extract_micrograph import MicrographBuffer, MicrographResult, extract_micrograph
from aurefine.jobs.extract_options import ExtractSettings
from aurefine.jobs.extract_rows import ExtractPlan, MicrographTask
from aurefine.jobs.job_control import check_abort
from aurefine.parallel.comm import Communicator
from aurefine.parallel.pool import WorkerPool

__all__ = ["Share", "deal_out", "dismiss", "extract_together", "follow", "stop_file"]

_SECONDS_BETWEEN_REPORTS = 10.0
_KEPT_BYTES = 30 * 1024**2


@dataclass(frozen=True)
class Share:
    """The tasks of one process; `rows` holds their rows, from row `first` of the plan on."""

    tasks: tuple[MicrographTask, ...]
    rows: pd.DataFrame
    first: int


class _StoppedError(AurefineError):
    """Another process has failed."""


def deal_out(plan: ExtractPlan, tasks: Sequence[MicrographTask], n_shares: int) -> list[Share]:
    """Cut tasks into contiguous shares of about equal numbers of micrographs."""
    bounds = [len(tasks) * k // n_shares for k in range(n_shares + 1)]
    shares = []
    for start, stop in pairwise(bounds):
        some = tuple(tasks[start:stop])
        first, last = (some[0].rows.start, some[-1].rows.stop) if some else (0, 0)
        shares.append(Share(some, plan.rows.iloc[first:last], first))
    return shares


def stop_file(settings: ExtractSettings) -> Path:
    """Return the file whose presence tells all processes that one of them has failed."""
    return Path(settings.part_dir) / ".stop-extraction"


def extract_together(
    shares: Sequence[Share], settings: ExtractSettings, communicator: Communicator
) -> list[MicrographResult]:
    """Extract all shares, one by each process, and return the results in the order of the tasks.

    Raises
    ------
    AurefineError
        The first failure, by rank, that is not only a consequence of another one.
    """
    own = communicator.scatter([(share, settings) for share in shares])
    outcomes = communicator.gather(_try_share(*own))
    stop_file(settings).unlink(missing_ok=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for failure in sorted(failures, key=lambda f: isinstance(f, _StoppedError)):
        raise failure
    return [result for outcome in outcomes if isinstance(outcome, list) for result in outcome]


def follow(communicator: Communicator) -> None:
    """Work on the share that the leader gives this process, unless it dismisses it."""
    own: tuple[Share, ExtractSettings] | None = communicator.scatter(None)
    if own is not None:
        communicator.gather(_try_share(*own))


def dismiss(communicator: Communicator) -> None:
    """Tell the processes that wait in `follow` that there is nothing to do."""
    communicator.scatter([None] * communicator.size)


def _try_share(share: Share, settings: ExtractSettings) -> list[MicrographResult] | Exception:
    try:
        return _extract_share(share, settings)
    except Exception as error:
        if not isinstance(error, _StoppedError):
            with contextlib.suppress(OSError):
                stop_file(settings).touch()
        return error


def _extract_share(share: Share, settings: ExtractSettings) -> list[MicrographResult]:
    report = _progress_report(len(share.tasks))
    buffers = threading.local()  # one for each thread

    def work(task: MicrographTask) -> MicrographResult:
        check_abort(settings.pipeline_control)
        if stop_file(settings).exists():
            raise _StoppedError("another process has failed.")
        if not hasattr(buffers, "own"):
            buffers.own = MicrographBuffer()
        rows = share.rows.iloc[task.rows.start - share.first : task.rows.stop - share.first]
        result = extract_micrograph(task, rows, settings, buffers.own)
        if result.problem:
            sys.stderr.write(
                f"WARNING: skipping {task.name}, which has {len(rows)} particles: "
                f"{result.problem}\n"
            )
            sys.stderr.flush()
        report()
        return result

    # Once such a block was freed, glibc keeps smaller ones for the process; without, it hands the
    # arrays of each batch back to the system, and a third of the time goes into page faults.
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    with WorkerPool(min(settings.n_workers, len(share.tasks))) as pool:
        return pool.map(work, share.tasks)


def _progress_report(n_total: int) -> Callable[[], None]:
    """Return a function that counts micrographs and now and then prints how many are done."""
    n_done, last = 0, time.monotonic()

    def report() -> None:
        nonlocal n_done, last
        n_done += 1
        now = time.monotonic()
        if now - last > _SECONDS_BETWEEN_REPORTS:
            last = now
            sys.stdout.write(f" {n_done} of {n_total} micrographs done\n")
            sys.stdout.flush()

    return report
