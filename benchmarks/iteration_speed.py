"""Time of exhaustive iterations: aurefine against RELION with 2 threads and with 3 processes.

    python benchmarks/iteration_speed.py --data ../shared/data/d2-small --sym D2 --diameter 190

Every program makes the first iterations of an auto-refinement (HEALPix order 2, oversampling 1,
offsets 5/2). The time of an iteration is that between its files and those of the iteration before,
so that start-up, compilation and the first noise spectra do not count. A run of aurefine before the
measurement fills the compilation cache. relion_refine can not split the data into halves: it
refines the same particles as one set, which is the same work except for one reconstruction less.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aurefine.io.particles import read_particles
from aurefine.io.star import read_star
from measuring import JOB_OPTIONS, OURS, publish, relion_mpi, run_job, surroundings

HALVES = ("--auto_refine", "--split_random_halves", "--low_resol_join_halves", "40")


@dataclass(frozen=True)
class Iteration:
    """One iteration of a run."""

    seconds: float
    image_size: int  # of the transforms [px]
    angular_order: int


def iterations(root: Path, n: int) -> list[Iteration]:
    """Return the iterations of a run, from the times at which its files were complete."""

    def finished(iteration: int) -> float:
        # the last file of an iteration differs between the programs
        files = root.parent.glob(f"{root.name}_it{iteration:03d}_*")
        return max(path.stat().st_mtime for path in files)

    found = []
    for iteration in range(1, n + 1):
        stem = root.parent / f"{root.name}_it{iteration:03d}"
        model = next(
            path
            for path in (Path(f"{stem}_half1_model.star"), Path(f"{stem}_model.star"))
            if path.exists()
        )
        size = read_star(model).values("model_general")["rlnCurrentImageSize"]
        sampling = read_star(f"{stem}_sampling.star").values("sampling_general")
        found.append(
            Iteration(
                finished(iteration) - finished(iteration - 1),
                int(size),
                int(sampling["rlnHealpixOrder"]),
            )
        )
    return found


def best_of(runs: list[list[Iteration]]) -> list[Iteration]:
    """Return the fastest of equal iterations."""
    return [min(same, key=lambda item: item.seconds) for same in zip(*runs, strict=True)]


def table(runs: dict[str, list[Iteration]], ours: str) -> list[str]:
    """Return a Markdown table with one row for each program."""
    n = len(runs[ours])
    lines = [
        ["", *(f"iteration {k} [s]" for k in range(1, n + 1)), "image sizes [px]", "orders"],
        ["---"] * (n + 3),
    ]
    for name, items in runs.items():
        cells = [f"{item.seconds:.2f}" for item in items]
        if name != ours:
            ratios = [a.seconds / b.seconds for a, b in zip(items, runs[ours], strict=True)]
            cells = [
                f"{cell} (**{ratio:.1f}×**)" for cell, ratio in zip(cells, ratios, strict=True)
            ]
        sizes = ", ".join(str(item.image_size) for item in items)
        orders = ", ".join(str(item.angular_order) for item in items)
        lines.append([name, *cells, sizes, orders])
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="particles.star, reference.mrc")
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--diameter", type=float, default=190.0, help="of the particle mask [Å]")
    parser.add_argument("--ini_high", type=float, default=50.0, help="[Å]")
    parser.add_argument("--iterations", type=int, default=2, help="how many are made and timed")
    parser.add_argument("--repeats", type=int, default=1, help="the fastest run counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=3, help="of relion_refine_mpi")
    parser.add_argument("--skip", nargs="*", choices=("threads", "mpi"), default=())
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    data, n = arguments.data.resolve(), arguments.iterations
    common = [
        *("--i", "particles.star", "--ref", "reference.mrc", "--sym", arguments.sym),
        *("--particle_diameter", f"{arguments.diameter:g}"),
        *("--ini_high", f"{arguments.ini_high:g}", "--random_seed", "1"),
    ]
    job = [*common, *JOB_OPTIONS.split(), "--auto_iter_max", str(n)]
    one_set = [
        *common,
        *(option for option in JOB_OPTIONS.split() if option not in HALVES),
        *("--iter", str(n), "--K", "1"),
    ]
    threads = ["--j", str(arguments.threads)]
    relion = ["--pool", "3", "--dont_combine_weights_via_disc"]
    ours = f"aurefine, {arguments.threads} threads"
    programs = {ours: (OURS, [*job, *threads])}
    if "threads" not in arguments.skip:
        programs[f"relion_refine, {arguments.threads} threads"] = (
            ["relion_refine"],
            [*one_set, *relion, *threads],
        )
    if "mpi" not in arguments.skip:
        programs[f"relion_refine_mpi, {arguments.processes} processes"] = (
            relion_mpi(arguments.processes),
            [*job, *relion, "--j", "1"],
        )
    with tempfile.TemporaryDirectory(prefix="iteration-speed-") as temporary:
        work = Path(temporary)
        run_job(OURS, programs[ours][1], data, work / "warm" / "run")
        runs = {}
        for number, (name, (command, options)) in enumerate(programs.items()):
            repeats = []
            for repeat in range(arguments.repeats):
                root = work / f"{number}-{repeat}" / "run"
                run_job(command, options, data, root)
                repeats.append(iterations(root, n))
            runs[name] = best_of(repeats)
    table_of_particles = read_particles(data / "particles.star")
    box = int(table_of_particles.optics["rlnImageSize"].iloc[0])
    text = "\n".join(
        [
            "# Time of exhaustive iterations",
            "",
            f"Data: {data.name}, {len(table_of_particles.particles)} particles, box {box}, "
            f"symmetry {arguments.sym}.",
            "In brackets: how many times longer than aurefine takes.",
            "Iteration 1 is a cross-correlation search.",
            *where,
            f"Options: `{' '.join(job)}`.",
            "",
            *table(runs, ours),
        ]
    )
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
