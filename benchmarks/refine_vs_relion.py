"""Whole refinements by RELION and aurefine on the same particles: time, memory, and what they find.

    python benchmarks/refine_vs_relion.py --atoms MODEL.npz --sym D2 --box 128 --particles 3000

simulates particles, runs relion_refine_mpi and then aurefine with the same options, samples both,
and prints wall time, CPU time and memory iteration by iteration and end to end, with the image
sizes, the significant samples and Pmax that explain them. ``--data FOLDER`` takes particles that
exist, ``--relion-run ROOT`` and ``--our-run ROOT`` take runs, finished or not, with the log of
`sampling.py` beside them. Followers of RELION have one thread each: the CPU time of the busier
one is a lower bound of the wall time, whatever else the machine was doing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aurefine.io.particles import read_particles
from aurefine.io.star import read_star
from measuring import JOB_OPTIONS, OURS, publish, relion_mpi, surroundings
from quality_relion import evaluate
from quality_relion import table as quality_table
from sampling import Samples, logs, read_samples, sampled


@dataclass(frozen=True)
class Iteration:
    """What the files of an iteration say."""

    resolution: float  # Å
    size: int  # px
    order: int
    is_local: bool
    n_significant: float  # coarse samples, mean over the particles
    pmax: float  # mean over the particles


@dataclass(frozen=True)
class Run:
    """One program's run."""

    root: Path
    iterations: dict[int, Iteration]
    samples: Samples | None
    is_finished: bool

    def cpu(self, iteration: int, *, busiest: bool = False) -> float:
        """Return the CPU seconds of an iteration; NaN if samples do not tell it from others."""
        if self.samples is None or iteration not in self.iterations:
            return float("nan")
        times = self.samples.busiest_by_iteration if busiest else self.samples.cpu_by_iteration
        if iteration not in times:
            return float("nan")
        spent = times[iteration] - times.get(iteration - 1, 0.0)
        return spent if spent > 0 else float("nan")

    def wall(self, iteration: int) -> float:
        """Return the seconds between the files of an iteration and those of the one before."""

        if iteration not in self.iterations:
            return float("nan")

        def finished(number: int) -> float:
            name = f"{self.root}_it{number:03d}_optimiser.star"
            if self.is_finished and number == max(self.iterations):
                name = f"{self.root}_data.star"
            path = Path(name)
            return path.stat().st_mtime if path.exists() else float("nan")

        return finished(iteration) - finished(iteration - 1)


def read_run(root: Path) -> Run:
    """Read what there is of a run."""
    found = {}
    number = 1
    while Path(f"{root}_it{number:03d}_optimiser.star").exists():
        found[number] = _iteration(f"{root}_it{number:03d}", "_half1_model.star")
        number += 1
    is_finished = Path(f"{root}_class001.mrc").exists()
    if is_finished:
        found[number] = _iteration(str(root), "_model.star")
    samples = read_samples(root.parent) if logs(root.parent) else None
    return Run(root, found, samples, is_finished)


def _iteration(stem: str, model_end: str) -> Iteration:
    model = read_star(f"{stem}{model_end}", only=["model_general"]).values("model_general")
    sampling = read_star(f"{stem}_sampling.star").values("sampling_general")
    table = read_particles(f"{stem}_data.star").particles
    return Iteration(
        resolution=float(model["rlnCurrentResolution"]),
        size=int(model["rlnCurrentImageSize"]),
        order=int(sampling["rlnHealpixOrder"]),
        is_local=int(model["rlnOrientationalPriorMode"]) > 0,
        n_significant=float(table["rlnNrOfSignificantSamples"].astype(float).mean()),
        pmax=float(table["rlnMaxValueProbDistribution"].astype(float).mean()),
    )


def iteration_table(relion: Run, ours: Run) -> list[str]:
    """Return a Markdown table: one row for each iteration that either program has made."""
    head = [
        *("iteration", "resolution [Å]", "size [px]", "order", "significant", "Pmax"),
        *("wall [s]", "CPU of RELION [s]", "busier follower [s]", "CPU of aurefine [s]"),
        "CPU ratio",
    ]
    lines = [head, ["---"] * len(head)]
    for number in sorted(set(relion.iterations) | set(ours.iterations)):
        pair = [run.iterations.get(number) for run in (relion, ours)]

        def both(form: str, name: str, pair: list[Iteration | None] = pair) -> str:
            return " / ".join(
                "-" if one is None else f"{getattr(one, name):{form}}" for one in pair
            )

        orders = " / ".join(
            "-" if one is None else f"{one.order}{' local' if one.is_local else ''}" for one in pair
        )
        relion_cpu, our_cpu = relion.cpu(number), ours.cpu(number)
        lines.append(
            [
                str(number),
                *(both(".2f", "resolution"), both("d", "size"), orders),
                *(both(".1f", "n_significant"), both(".3f", "pmax")),
                f"{_number(relion.wall(number))} / {_number(ours.wall(number))}",
                _number(relion_cpu),
                _number(relion.cpu(number, busiest=True)),
                _number(our_cpu),
                _number(relion_cpu / our_cpu, "×"),
            ]
        )
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _number(value: float, unit: str = "") -> str:
    """Return a number with one decimal, or a dash if it is not known."""
    return f"{value:.1f}{unit}" if np.isfinite(value) else "-"


def totals(relion: Run, ours: Run, threads: int) -> list[str]:
    """Return the comparison end to end, over the iterations that both programs have finished."""
    if relion.samples is None or ours.samples is None:
        walls = [sum(run.wall(n) for n in run.iterations) for run in (relion, ours)]
        return [
            f"- wall time between the files: {walls[0]:.0f} s against {walls[1]:.0f} s "
            f"({walls[0] / walls[1]:.1f}×); there is no log of CPU time of "
            f"{'RELION' if relion.samples is None else 'aurefine'}.",
        ]
    what = "end to end"
    last_relion, last_ours = max(relion.iterations), max(ours.iterations)
    if not (relion.is_finished and ours.is_finished):
        last_relion = last_ours = min(last_relion, last_ours)
        what = f"iterations 1 to {last_ours} (a run is not finished)"
    follower = relion.samples.busiest_by_iteration[last_relion]
    relion_cpu = relion.samples.cpu_by_iteration[last_relion]
    cpu = ours.samples.cpu_by_iteration[last_ours]
    gib = 1 << 30
    return [
        f"- {what}: CPU {relion_cpu:.0f} s against {cpu:.0f} s: **{relion_cpu / cpu:.1f}×**;",
        f"  busier follower {follower:.0f} s against {cpu / threads:.0f} s "
        f"(CPU time over {threads} threads): {follower * threads / cpu:.1f}×.",
        f"- wall time of the whole jobs: {relion.samples.wall:.0f} s at a mean load of "
        f"{relion.samples.load:.1f}, against {ours.samples.wall:.0f} s at {ours.samples.load:.1f}.",
        f"- peak memory, all processes together: {relion.samples.memory / gib:.2f} GiB against "
        f"{ours.samples.memory / gib:.2f} GiB; of the largest process: "
        f"{relion.samples.memory_of_one / gib:.2f} against "
        f"{ours.samples.memory_of_one / gib:.2f} GiB.",
    ]


def simulated(arguments: argparse.Namespace, work: Path) -> Path:
    """Make the particles of the benchmark, and return their folder."""
    folder = work / "data"
    if not (folder / "simulation.json").exists():
        pixel_size = arguments.extent / arguments.box
        command = [
            *(sys.executable, "-m", "aurefine", "simulate", "--o", str(folder)),
            *("--atoms", str(arguments.atoms), "--box", str(arguments.box)),
            *("--angpix", f"{pixel_size:g}", "--n_particles", str(arguments.particles)),
            *("--snr", str(arguments.snr), "--random_seed", str(arguments.seed)),
            *("--j", str(arguments.threads)),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of particles that exist")
    parser.add_argument("--atoms", type=Path, help="atom set to simulate particles from")
    parser.add_argument("--box", type=int, default=64, choices=(64, 128, 256))
    parser.add_argument("--particles", type=int, default=1000, help="500 to 10,000")
    parser.add_argument("--extent", type=float, default=226.56, help="of the box [Å]")
    parser.add_argument("--snr", type=float, default=0.06)
    parser.add_argument("--sym", default="C1")
    parser.add_argument("--diameter", type=float, default=200.0, help="of the particle mask [Å]")
    parser.add_argument("--ini_high", type=float, default=50.0, help="[Å]")
    parser.add_argument("--radius", type=float, default=95.0, help="of the spherical mask [Å]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of aurefine")
    parser.add_argument("--processes", type=int, default=3, help="of relion_refine_mpi")
    parser.add_argument("--ours", default="", help="further options of aurefine")
    parser.add_argument("--relion-run", type=Path, help="root of a run, e.g. DIR/run")
    parser.add_argument("--our-run", type=Path, help="root of a run")
    parser.add_argument("--work", type=Path, required=True, help="folder for data and runs, kept")
    parser.add_argument("--o", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    if (arguments.data is None) == (arguments.atoms is None):
        parser.error("give --data or --atoms")
    where = surroundings(sys.argv)
    work = arguments.work.resolve()
    data = arguments.data.resolve() if arguments.data else simulated(arguments, work)
    options = [
        *("--i", str(data / "particles.star"), "--ref", str(data / "reference.mrc")),
        *("--sym", arguments.sym, "--particle_diameter", f"{arguments.diameter:g}"),
        *("--ini_high", f"{arguments.ini_high:g}", "--random_seed", str(arguments.seed)),
        *JOB_OPTIONS.split(),
    ]
    jobs = {
        "RELION": (arguments.relion_run, [*relion_mpi(arguments.processes), *options, "--j", "1"]),
        "aurefine": (
            arguments.our_run,
            [*OURS, *options, "--j", str(arguments.threads), *arguments.ours.split()],
        ),
    }
    runs = {}
    for name, (root, command) in jobs.items():
        if root is None:
            root = work / name / "run"
            if sampled([*command, "--o", str(root)], root.parent, data):
                raise SystemExit(f"{name} failed: {root.parent / 'run.err'}")
        runs[name] = read_run(root.resolve())
    relion, ours = runs["RELION"], runs["aurefine"]
    n_particles = len(read_particles(data / "particles.star").particles)
    lines = [
        f"# {data.name}: {n_particles} particles, {arguments.sym}",
        "",
        "In each cell: RELION / aurefine.",
        "*Significant* is the mean number of coarse samples that go into the second pass.",
        "",
        *iteration_table(relion, ours),
        "",
        *totals(relion, ours, arguments.threads),
        "",
    ]
    outputs = [run.root.parent / "run.out" for run in runs.values()]
    if relion.is_finished and ours.is_finished and all(path.exists() for path in outputs):
        found = {
            name: evaluate(
                str(run.root),
                data,
                arguments.sym,
                arguments.radius,
                None if run.samples is None else run.samples.wall,
            )
            for name, run in runs.items()
        }
        lines += [*quality_table(found, arguments.radius), ""]
    text = "\n".join([*lines, *where, f"Options: `{' '.join(options)}`."])
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
