"""How the time of iterations grows with particles, box and threads.

    python benchmarks/scaling.py --atoms MODEL.npz --work scaling --o docs/scaling.md

Simulates sets of the same particles (D2 by default) that differ in one thing, makes the first
iterations with each, and fits time = c n^p. Each point is the fastest of some repeats, without
start-up and compilation. Iteration 1 is a search by cross-correlation; the second one has broad
posteriors; the third one more peaked ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from aurefine.jobs import refine3d
from measuring import publish, surroundings

EXTENT = 226.56  # of the box, Å


def simulated(arguments: argparse.Namespace, box: int, particles: int) -> Path:
    """Make particles unless they are there."""
    folder = Path(arguments.work) / f"{box}-{particles}"
    if not (folder / "simulation.json").exists():
        command = [
            *(sys.executable, "-m", "aurefine", "simulate", "--o", str(folder)),
            *("--atoms", str(arguments.atoms), "--box", str(box), "--snr", "0.06"),
            *("--angpix", f"{EXTENT / box:g}", "--n_particles", str(particles)),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def seconds(
    folder: Path, arguments: argparse.Namespace, threads: int
) -> tuple[list[float], list[float]]:
    """Return wall and CPU seconds of each iteration, the smallest of the repeats."""
    diameter = json.loads((folder / "simulation.json").read_text())["options"]["particle_diameter"]
    found = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory(prefix="scaling-") as temporary:
            result = refine3d.refine(
                folder / "particles.star",
                folder / "reference.mrc",
                f"{temporary}/run",
                symmetry=arguments.sym,
                particle_diameter=diameter,
                initial_lowpass=50.0,
                firstiter_cc=True,
                ctf=True,
                norm=True,
                scale=True,
                flatten_solvent=True,
                zero_mask=True,
                low_resol_join_halves=40.0,
                offset_range_px=5.0,
                offset_step_px=2.0,
                random_seed=1,
                n_threads=threads,
                auto_iter_max=arguments.iterations,
            )
        history = result.history
        found.append([history["seconds"].to_numpy(), history["cpu_seconds"].to_numpy()])
    wall, cpu = np.min(found, axis=0)
    return wall.tolist(), cpu.tolist()


def exponents(sizes: list[int], times: list[list[float]]) -> list[float]:
    """Fit the exponent of each iteration."""
    if len(sizes) < 2:
        return [float("nan")] * len(times[0])
    fit = np.polyfit(np.log(sizes), np.log(np.array(times)), 1)
    return [float(p) for p in fit[0]]


def series(
    title: str, label: str, sizes: list[int], times: list[tuple[list[float], list[float]]]
) -> list[str]:
    """Return a Markdown table of one series and its exponents."""
    n = len(times[0][0])
    head = [label, *(f"iteration {k} wall / CPU [s]" for k in range(1, n + 1))]
    rows = [head, ["---"] * len(head)]
    for size, (wall, cpu) in zip(sizes, times, strict=True):
        rows.append([str(size), *(f"{w:.2f} / {c:.2f}" for w, c in zip(wall, cpu, strict=True))])
    by_wall = exponents(sizes, [wall for wall, _ in times])
    by_cpu = exponents(sizes, [cpu for _, cpu in times])
    pairs = zip(by_wall, by_cpu, strict=True)
    if len(sizes) > 1:
        rows.append(["**exponent**", *(f"**{w:.2f} / {c:.2f}**" for w, c in pairs)])
    return [f"## {title}", "", *("| " + " | ".join(row) + " |" for row in rows), ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--atoms", type=Path, required=True, help="atom set of the particles")
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--work", type=Path, required=True, help="folder for the particles, kept")
    parser.add_argument("--particles", type=int, nargs="*", default=[250, 500, 1000, 2000])
    parser.add_argument("--boxes", type=int, nargs="*", default=[48, 64, 96, 128])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--box", type=int, default=64, help="where particles or threads vary")
    parser.add_argument("--number", type=int, default=500, help="where box or threads vary")
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--o", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    refine3d.write_figures = lambda *_: None  # they are no part of the iterations
    most = max(arguments.threads, default=1)
    seconds(simulated(arguments, arguments.box, arguments.number), arguments, most)
    lines = ["# Scaling", "", f"Symmetry {arguments.sym}.", ""]
    if arguments.particles:
        times = [
            seconds(simulated(arguments, arguments.box, n), arguments, most)
            for n in arguments.particles
        ]
        title = f"Particles, box {arguments.box}, {most} threads"
        lines += series(title, "particles", arguments.particles, times)
    if arguments.boxes:
        times = [
            seconds(simulated(arguments, box, arguments.number), arguments, most)
            for box in arguments.boxes
        ]
        title = f"Box of {EXTENT:g} Å, {arguments.number} particles, {most} threads"
        lines += series(title, "box [px]", arguments.boxes, times)
    if arguments.threads:
        folder = simulated(arguments, arguments.box, arguments.number)
        times = [seconds(folder, arguments, threads) for threads in arguments.threads]
        title = f"Threads, box {arguments.box}, {arguments.number} particles"
        lines += series(title, "threads", arguments.threads, times)
    text = "\n".join([*lines, *where])
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
