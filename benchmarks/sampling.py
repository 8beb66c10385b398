"""CPU time and memory of a running job and of all processes that it starts, iteration by iteration.

    python benchmarks/sampling.py FOLDER COMMAND...

runs a command, with its output in FOLDER/run.out, and appends a line of JSON to FOLDER/cpu.jsonl
every second: seconds since the start, CPU seconds and resident bytes of each process, the newest
finished iteration in the folder, and the load of the machine.
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
        (folder / "cpu.jsonl").open("w") as log,
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


def read_samples(path: Path) -> Samples:
    """Read a log; the last iteration is the joined one if the job ended."""
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
    total: dict[int, float] = {}
    busiest: dict[int, float] = {}
    before = 0
    for line in lines:
        found = re.search(r"_it(\d+)_", line["it"] or "")
        now = int(found.group(1)) if found else 0
        seconds = [line["cpu"].get(pid, 0.0) for pid in workers]
        for iteration in range(before, now):
            total[iteration + 1], busiest[iteration + 1] = sum(seconds), max(seconds)
        before = now
    seconds = [lines[-1]["cpu"].get(pid, 0.0) for pid in workers]
    total[before + 1], busiest[before + 1] = sum(seconds), max(seconds)
    return Samples(
        wall=lines[-1]["t"],
        cpu_by_iteration=total,
        busiest_by_iteration=busiest,
        memory=max(sum(line["rss"].values()) for line in lines),
        memory_of_one=max(max(line["rss"].values()) for line in lines),
        load=sum(line["load"] for line in lines) / len(lines),
    )


if __name__ == "__main__":
    sys.exit(sampled(sys.argv[2:], Path(sys.argv[1])))
