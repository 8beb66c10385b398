"""CPU time and memory of a running job and of all processes that it starts, iteration by iteration.

    python benchmarks/sampling.py FOLDER COMMAND...

runs a command, with its output in FOLDER/run.out, and appends a line of JSON to FOLDER/cpu_1.jsonl
every second: seconds since the start, CPU seconds and resident bytes of each process, the newest
finished iteration in the folder, and the load of the machine. When the folder has a log already,
the command is taken to continue that job, and the next log is cpu_2.jsonl.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

INTERVAL = 1.0  # s


@dataclass(frozen=True)
class Samples:
    """What a job used; processes that only start others or wait do not count as workers."""

    wall: float  # s
    cpu_by_iteration: dict[int, float]  # s, of all workers, until the iteration was finished
    busiest_by_iteration: dict[int, float]  # s, of the busiest worker
    memory: int  # bytes, of all processes at the same time
    memory_of_one: int  # bytes, of one process
    load: float  # mean


def sampled(command: list[str], folder: Path, cwd: Path | None = None) -> int:
    """Run a command and sample it; return its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with (
        (folder / "run.out").open("a") as out,
        (folder / "run.err").open("a") as err,
        (folder / f"cpu_{len(logs(folder)) + 1}.jsonl").open("w") as log,
    ):
        job = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=err)
        start = time.time()
        while True:
            try:
                family = [psutil.Process(job.pid)]
                family += family[0].children(recursive=True)
                cpu = {p.pid: sum(p.cpu_times()[:2]) for p in family}
                memory = {p.pid: p.memory_info().rss for p in family}
            except psutil.Error:
                cpu, memory = {}, {}
            names = sorted(path.name for path in folder.glob("*_it*_optimiser.star"))
            sample = {
                "t": time.time() - start,
                "cpu": cpu,
                "rss": memory,
                "it": names[-1] if names else None,
                "load": os.getloadavg()[0],
            }
            if cpu:
                log.write(json.dumps(sample) + "\n")
                log.flush()
            try:
                return job.wait(INTERVAL)
            except subprocess.TimeoutExpired:
                continue


def logs(folder: Path) -> list[Path]:
    """Return the logs in a folder, one for each part of its job."""
    return sorted(folder.glob("cpu_*.jsonl"))


def read_samples(folder: Path) -> Samples:
    """Read the logs of a job.

    The last iteration is the joined one if the job ended. What a part that was stopped did in an
    iteration that the next part made again does not count.
    """
    parts = [_read_log(path) for path in logs(folder)]
    if not parts:
        raise SystemExit(f"{folder} has no log of samples")
    walls = []
    total: dict[int, float] = {}
    busiest: dict[int, float] = {}
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        before = [max(found.values(), default=0.0) for found in (total, busiest)]
        last = max(part.total) if following is None else min(following.total) - 1
        # nothing counts of a part that the next one began anew
        walls.append(part.wall if following is None else part.ended.get(last, 0.0))
        for number in [n for n in part.total if n <= last]:
            total[number] = before[0] + part.total[number]
            busiest[number] = before[1] + part.busiest[number]
    return Samples(
        wall=sum(walls),
        cpu_by_iteration=total,
        busiest_by_iteration=busiest,
        memory=max(part.memory for part in parts),
        memory_of_one=max(part.memory_of_one for part in parts),
        load=sum(part.load * wall for part, wall in zip(parts, walls, strict=True)) / sum(walls),
    )


@dataclass(frozen=True)
class _Part:
    """What one log says; by iteration: seconds until it was finished."""

    wall: float  # s
    ended: dict[int, float]
    total: dict[int, float]
    busiest: dict[int, float]
    memory: int  # bytes
    memory_of_one: int  # bytes
    load: float


def _read_log(path: Path) -> _Part:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line for line in lines if line["cpu"]]
    if not lines:
        raise SystemExit(f"{path} has no samples")
    known: dict[str, float] = {}
    for line in lines:  # processes do not end at the same time
        known |= line["cpu"]
        line["cpu"] = dict(known)
    most = max(known.values())
    workers = [pid for pid, seconds in known.items() if seconds > 0.3 * most]
    ended: dict[int, float] = {}
    total: dict[int, float] = {}
    busiest: dict[int, float] = {}

    def finish(iteration: int, line: dict[str, Any]) -> None:
        seconds = [line["cpu"].get(pid, 0.0) for pid in workers]
        ended[iteration] = line["t"]
        total[iteration], busiest[iteration] = sum(seconds), max(seconds)

    before = _iteration(lines[0]["it"])
    for line in lines:
        now = _iteration(line["it"])
        for iteration in range(before, now):
            finish(iteration + 1, line)
        before = now
    finish(before + 1, lines[-1])
    return _Part(
        wall=lines[-1]["t"],
        ended=ended,
        total=total,
        busiest=busiest,
        memory=max(sum(line["rss"].values()) for line in lines),
        memory_of_one=max(max(line["rss"].values()) for line in lines),
        load=sum(line["load"] for line in lines) / len(lines),
    )


def _iteration(name: str | None) -> int:
    found = re.search(r"_it(\d+)_", name or "")
    return int(found.group(1)) if found else 0


if __name__ == "__main__":
    sys.exit(sampled(sys.argv[2:], Path(sys.argv[1])))
