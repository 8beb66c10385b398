"""Peak memory of an ordinary and of a last iteration.

    python benchmarks/memory.py --atoms MODEL.npz --boxes 64 128 256 --relion --o docs/memory.md

A few particles are enough: memory grows with them only by their metadata. The last iteration, which
takes all shells up to the edge of the transform, is forced after the first one. ``--relion`` runs
relion_refine_mpi with three processes beside it (one ordinary iteration and a forced last one).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import JOB_OPTIONS, OURS, publish, relion_mpi, surroundings
from sampling import Samples, read_samples, sampled

EXTENT = 226.56  # of the box, Å
GIB = 1 << 30


def run(command: list[str], options: list[str], data: Path, folder: Path) -> Samples:
    """Run a command in the folder of the data, and return what it used."""
    if sampled([*command, *options, "--o", str(folder / "run")], folder, data):
        raise SystemExit(f"{command} failed:\n{(folder / 'run.err').read_text()}")
    return read_samples(folder)


def peaks(command: list[str], threads: str, data: Path, folder: Path, sym: str) -> list[Samples]:
    """Return what an ordinary iteration and a last one use."""
    options = [
        *("--i", "particles.star", "--ref", "reference.mrc", "--sym", sym, "--j", threads),
        *("--particle_diameter", "190", "--ini_high", "50", "--random_seed", "1"),
        *JOB_OPTIONS.split(),
    ]
    first = run(command, [*options, "--auto_iter_max", "1"], data, folder)
    start = str(folder / "run_it001_optimiser.star")
    last = [*("--continue", start, "--force_converge", "--auto_iter_max", "99", "--j", threads)]
    return [first, run(command, last, data, folder / "last")]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--atoms", type=Path, required=True, help="atom set of the particles")
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--boxes", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--particles", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--relion", action="store_true")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    rows = []
    with tempfile.TemporaryDirectory(prefix="memory-") as temporary:
        for box in arguments.boxes:
            work = Path(temporary) / str(box)
            data = work / "data"
            command = [
                *(sys.executable, "-m", "aurefine", "simulate", "--o", str(data), "--snr", "0.3"),
                *("--atoms", str(arguments.atoms), "--box", str(box)),
                *("--angpix", f"{EXTENT / box:g}", "--n_particles", str(arguments.particles)),
                *("--n_micrographs", "2"),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            programs = {"aurefine": (OURS, str(arguments.threads))}
            if arguments.relion:
                programs["RELION, 3 processes"] = (relion_mpi(3), "1")
            for name, (program, threads) in programs.items():
                folder = work / name.split(",")[0]
                found = peaks(program, threads, data, folder, arguments.sym)
                cells = [f"{s.memory / GIB:.2f} ({s.memory_of_one / GIB:.2f})" for s in found]
                rows.append([str(box), name, *cells])
                print(rows[-1], file=sys.stderr, flush=True)
    text = "\n".join(
        [
            "# Peak memory",
            "",
            f"{arguments.particles} particles, {arguments.sym}; GiB of all processes together, in "
            "brackets that of the largest one.",
            "",
            "| box [px] | program | ordinary iteration | last iteration |",
            "| --- | --- | --- | --- |",
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            *where,
        ]
    )
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
