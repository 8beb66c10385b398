"""How soon a refinement does useful work: the first time, and on a machine where it ran before.

    python benchmarks/startup.py --data ../shared/data/d2-small --sym D2 --diameter 190

Starts `aurefine refine` with an empty cache of compiled code and again with a filled one, as a run
of a minute or more leaves it, and takes the wall and CPU time of three moments: the first line of
the log, the start of the first expectation step (particles and reference are read, noise spectra
estimated, maps written), and the first particles that are aligned. On a busy machine CPU time, of
one thread in this phase, tells more than wall time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from measuring import JOB_OPTIONS, OURS, publish, surroundings

MOMENTS = ("first line", "expectation step", "first particles", "end")


def moments(command: list[str], cache: Path, work: Path) -> dict[str, tuple[float, float]]:
    """Run a command and return wall and CPU seconds at each moment.

    The log is read from its file: the program writes it line by line.
    """
    log = work / "run.out"
    log.unlink(missing_ok=True)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONUNBUFFERED": "1"}
    start = time.perf_counter()
    job = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    process = psutil.Process(job.pid)
    found: dict[str, tuple[float, float]] = {}
    now = (0.0, 0.0)
    while job.poll() is None:
        try:
            times = process.cpu_times()
        except psutil.Error:
            break
        now = (time.perf_counter() - start, times.user + times.system)
        text = log.read_text() if log.exists() else ""
        after = text.partition(" Expectation iteration 1\n")[2]
        seen = {
            "first line": bool(text),
            "expectation step": " Expectation iteration 1\n" in text,
            "first particles": after.startswith("."),
        }
        for moment, is_seen in seen.items():
            if is_seen:
                found.setdefault(moment, now)
        time.sleep(0.02)
    if job.wait():
        raise SystemExit(job.stderr.read() if job.stderr else "the program failed")
    return {**found, "end": now}


def fill(cache: Path) -> None:
    """Compile what the process beside a short run had no time for."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "aurefine.kernels.beforehand"]
    subprocess.run(command, env=environment, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="particles.star, reference.mrc")
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--diameter", type=float, default=190.0, help="of the particle mask [Å]")
    parser.add_argument("--iterations", type=int, default=1, help="of each run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    data = arguments.data.resolve()
    with tempfile.TemporaryDirectory(prefix="startup-") as temporary:
        cache = Path(temporary) / "cache"
        rows = []
        for name in ("first time", "again"):
            work = Path(temporary) / name.replace(" ", "-")
            work.mkdir()
            command = [
                *(*OURS, "--i", str(data / "particles.star"), "--ref", str(data / "reference.mrc")),
                *("--sym", arguments.sym, "--particle_diameter", f"{arguments.diameter:g}"),
                *("--ini_high", "50", "--random_seed", "1", *JOB_OPTIONS.split()),
                *("--auto_iter_max", str(arguments.iterations), "--j", str(arguments.threads)),
                *("--o", str(work / "run")),
            ]
            times = moments(command, cache, work)
            if name == "first time":
                fill(cache)
            rows.append(
                [name]
                + [f"{times[m][0]:.1f} / {times[m][1]:.1f}" if m in times else "-" for m in MOMENTS]
            )
    text = "\n".join(
        [
            "# Start of a refinement",
            "",
            "Wall / CPU seconds since the start of the program.",
            "",
            "| cache of compiled code | " + " | ".join(MOMENTS) + " |",
            "| --- |" + " --- |" * len(MOMENTS),
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            *where,
        ]
    )
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
