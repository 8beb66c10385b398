"""Refinement with several processes: time, and bytes between processes against a model.

    python benchmarks/mpi_scaling.py --data ../shared/data/d2-small --sym D2 --diameter 190

Runs the first iterations with one process and 1 and 2 threads, and with 3 and 5 processes of one
thread. Bytes are counted where they are sent; run.out has them for each iteration. The model says
how many there should be from box, image size, particles and processes, and is then evaluated for a
large data set on a cluster. The time of symmetrising and reconstruction, which one process of each
half makes, is measured for growing boxes and extrapolated.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from aurefine.geometry.symmetry import point_group
from aurefine.io.particles import read_particles
from aurefine.io.star import read_star
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.exact_volume import VolumeScales
from aurefine.refine.maximisation import reconstruct, symmetrise
from aurefine.refine.options import RefineOptions
from aurefine.refine.projector import padded_size
from aurefine.refine.state import Poses
from aurefine.refine.sums import complete_sums, empty_sums
from measuring import JOB_OPTIONS, OURS, Usage, measured_job, surroundings

PURPOSES = ("poses", "state", "models", "batches", "sums", "halves")
COLUMN = 8  # bytes of a number in a column of poses


@dataclass(frozen=True)
class Iteration:
    """What the volume of communication follows from."""

    n_particles: int
    box: int
    image_size: int
    n_followers: int
    n_directions: int = 3072
    n_groups: int = 1
    n_optics: int = 1
    join_shell: int = 0
    padding: float = 2.0

    @property
    def words(self) -> int:
        """Sums of one half."""
        radius = round(self.padding * self.image_size / 2)
        edge = 2 * (radius + 1) + 1
        return 3 * edge**2 * (radius + 2)

    def bytes(self) -> dict[str, float]:
        """Bytes that reach another process, by purpose."""
        n, box, followers = self.n_particles, self.box, self.n_followers
        directions, rings = 16 * self.n_directions, box // 2 + 1
        small = 2 * self.n_optics * rings + 2 * self.n_groups + self.n_directions + 5
        r_max = self.image_size // 2
        joined = 2 * np.pi / 3 * (self.padding * self.join_shell) ** 3
        return {
            "poses": followers * (len(fields(Poses)) * COLUMN * n + directions),
            "state": followers * (2 * directions + COLUMN * n / 2),
            "models": (followers + 2) * (4 * box**3 + COLUMN * self.n_directions),
            "batches": (1 + len(BatchResult.__slots__)) * COLUMN * n,
            "sums": (followers - 2) * (4 * self.words + 9 * COLUMN * small),
            "halves": 2 * 12 * joined + 8 * (2 * r_max + 1) ** 2 * (r_max + 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--sym", default="C1")
    parser.add_argument("--diameter", type=float, required=True)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--boxes", type=int, nargs="*", default=[64, 96, 128])
    parser.add_argument("--o", type=Path)
    arguments = parser.parse_args()
    lines = [*surroundings(sys.argv), ""]
    with tempfile.TemporaryDirectory() as folder:
        lines += measured_runs(arguments, Path(folder))
    lines += ["", *large_set(), "", *serial_part(arguments.boxes, arguments.sym)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if arguments.o:
        arguments.o.write_text(text)


def measured_runs(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Time the runs and compare their bytes with the model."""
    options = [
        *JOB_OPTIONS.split(), "--i", "particles.star", "--ref", "reference.mrc", "--ini_high", "50",
        "--sym", arguments.sym, "--particle_diameter", str(arguments.diameter), "--random_seed",
        "1", "--auto_iter_max", str(arguments.iterations),
    ]  # fmt: skip
    beside = shutil.which("mpirun", path=str(Path(sys.executable).parent))
    launcher = [beside or "mpirun", "--oversubscribe", "--bind-to", "none", "-n"]
    kinds: dict[str, tuple[list[str], list[str]]] = {
        "1 process, 1 thread": (OURS, ["--j", "1"]),
        "1 process, 2 threads": (OURS, ["--j", "2"]),
        "3 processes (2 align), 1 thread each": ([*launcher, "3", *OURS], ["--j", "1"]),
        "5 processes (4 align), 1 thread each": ([*launcher, "5", *OURS], ["--j", "1"]),
    }
    used: dict[str, list[Usage]] = {name: [] for name in kinds}
    for repeat in range(arguments.repeats):
        for number, (name, (command, threads)) in enumerate(kinds.items()):
            root = folder / f"{repeat}_{number}" / "run"
            data = arguments.data.resolve()
            used[name].append(measured_job(command, [*options, *threads], data, root))
    lines = ["| run | wall [s] | CPU [s] |", "| --- | --- | --- |"]
    for name, usages in used.items():
        wall, cpu = min(u.wall for u in usages), min(u.cpu for u in usages)
        lines.append(f"| {name} | {wall:.1f} | {cpu:.1f} |")
    lines += ["", "MB between processes, measured / model:", ""]
    lines += [
        "| processes | iteration | image size [px] | " + " | ".join(PURPOSES) + " | total |",
        "| --- " * (len(PURPOSES) + 4) + "|",
    ]
    n = len(read_particles(arguments.data / "particles.star").particles)
    for n_processes, number in ((3, 2), (5, 3)):
        root = folder / f"0_{number}" / "run"
        for iteration in range(1, arguments.iterations + 1):
            lines.append(compared(root, iteration, n, n_processes - 1))
    return lines


def compared(root: Path, iteration: int, n_particles: int, n_followers: int) -> str:
    """Return the row of one iteration of a run."""
    stem = f"{root}_it{iteration:03d}"
    star = read_star(f"{stem}_half1_model.star")
    general = star.values("model_general")
    box, size = int(general["rlnOriginalImageSize"]), int(general["rlnCurrentImageSize"])
    directions = len(read_star(f"{stem}_sampling.star").table("sampling_directions"))
    text = root.with_name("run.out").read_text()
    shown = re.findall(r"MB between processes: (.*)", text)[iteration - 1]
    found = {part.split()[0]: float(part.split()[1]) for part in shown.split(", ")}
    resolution = re.findall(r"half-reconstructions up to (\S+) Angstrom", text)[iteration - 1]
    model = Iteration(
        n_particles,
        box,
        size,
        n_followers,
        n_directions=directions,
        n_groups=int(general["rlnNrGroups"]),
        join_shell=round(box * float(general["rlnPixelSize"]) / float(resolution)),
    ).bytes()
    cells = [f"{found.get(p, 0.0):.2f} / {model[p] / 1e6:.2f}" for p in PURPOSES]
    total = sum(found.get(p, 0.0) for p in PURPOSES), sum(model.values()) / 1e6
    cells.append(f"{total[0]:.2f} / {total[1]:.2f}")
    return f"| {n_followers + 1} | {iteration} | {size} | " + " | ".join(cells) + " |"


def large_set() -> list[str]:
    """Evaluate the model for 10^6 particles of 512 px on 64 nodes."""
    lines = [
        "GB between processes, 10^6 particles, box 512, 64 followers and a leader:",
        "",
        "| image size [px] | " + " | ".join(PURPOSES) + " |",
        "| --- " * (len(PURPOSES) + 1) + "|",
    ]
    for size in (128, 256, 512):
        model = Iteration(
            10**6, 512, size, 64, n_directions=196_608, n_groups=10_000, join_shell=20
        ).bytes()
        lines.append(f"| {size} | " + " | ".join(f"{model[p] / 1e9:.2f}" for p in PURPOSES) + " |")
    return lines


def serial_part(boxes: list[int], symmetry: str) -> list[str]:
    """Time what one process of each half does while the other ones wait."""
    group, options = point_group(symmetry), RefineOptions()
    rows = []
    with WorkerPool(1) as pool:
        for box in boxes:
            radius = padded_size(box, 2.0) // 2
            one = np.ones(1, np.float32)
            sums = empty_sums(
                radius=radius,
                scales=VolumeScales(np.zeros(0, np.float32), one, one),
                padding=2.0,
                box=box,
                n_noise_groups=1,
                n_groups=1,
                n_directions=1,
            )
            assert sums.exact is not None
            sums.exact.words[...] = 1
            complete_sums(sums, pool)
            no_prior = np.zeros(box // 2 + 1)
            seconds = [
                least_cpu(lambda s=sums: symmetrise(s, group, pool)),
                least_cpu(
                    lambda s=sums, b=box, p=no_prior: reconstruct(s, b, b // 2, p, options, pool)
                ),
            ]
            rows.append((box, *seconds))
    lines = [
        f"CPU seconds of one process with image size = box ({symmetry}):",
        "",
        "| box [px] | symmetrise | reconstruct |",
        "| --- | --- | --- |",
        *(f"| {box} | {a:.2f} | {b:.2f} |" for box, a, b in rows),
    ]
    box, *last = rows[-1]
    scaled = [value * (512 / box) ** 3 for value in last]
    return [*lines, f"| 512 (by volume) | {scaled[0]:.0f} | {scaled[1]:.0f} |"]


def least_cpu(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least CPU time of some repetitions, after one that compiles."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main()
