"""Peak memory of refinements against the estimate that is printed at their start.

Usage: python benchmarks/memory_estimate.py FOLDER [--boxes 64 128 256] [--first 512] [--sym C1]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from aurefine.io import read_star
from aurefine.jobs.refine_estimate import run_size
from aurefine.jobs.refine_input import load_inputs
from aurefine.jobs.refine_options import to_refine_options, to_run_settings
from aurefine.refine.memory import memory_need
from measuring import OURS, surroundings

_EXTENT = 226.56  # Å
_OPTIONS = (
    "--i particles.star --ref reference.mrc --firstiter_cc --ini_high 50 --ctf --zero_mask "
    "--particle_diameter 190 --flatten_solvent --low_resol_join_halves 40 --norm --scale "
    "--healpix_order 2 --offset_range 5 --offset_step 2 --random_seed 1 --no_progress"
)


def simulate(folder: Path, box: int, n_particles: int) -> None:
    """Make data unless they are there."""
    if (folder / "particles.star").exists():
        return
    words = (
        f"simulate --preset demo --o {folder} --n_particles {n_particles} --n_micrographs 4 "
        f"--box {box} --angpix {_EXTENT / box:.6f} --snr 0.5 --ini_high 40 --random_seed 3"
    )
    subprocess.run([sys.executable, "-m", "aurefine", *words.split()], check=True)


def peak_of(folder: Path, words: str) -> float:
    """Run a refinement and return its peak resident memory [MiB]."""
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen([*OURS, *words.split()], cwd=folder, stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"aurefine refine {words} failed in {folder}")
    return usage.ru_maxrss / 1024


def estimate_of(folder: Path, r_max: int, symmetry: str, threads: int, *, is_last: bool) -> float:
    """Return the estimate for an iteration [MiB]."""
    values = {
        "output": "run", "particles": str(folder / "particles.star"), "reference": "reference.mrc",
        "symmetry": symmetry, "n_threads": threads, "offset_range_px": 5.0, "offset_step_px": 2.0,
    }  # fmt: skip
    options, settings = to_refine_options(values), to_run_settings(values)
    inputs = load_inputs(settings.particles, options, 1, print)
    size = run_size(inputs, options, settings)
    return memory_need(size, r_max, is_last=is_last).peak / 2**20


def measure(
    folder: Path, box: int, n_particles: int, symmetry: str, threads: int, *, whole: bool
) -> list[str]:
    """Return rows of the table for one box."""
    simulate(folder, box, n_particles)
    root = f"{symmetry}/run"
    common = f"--sym {symmetry} --j {threads} --o {root}"
    before = peak_of(folder, f"{_OPTIONS} {common} --auto_iter_max 1")
    general = read_star(folder / f"{root}_it001_half1_model.star").values("model_general")
    r_max = int(general["rlnCurrentImageSize"]) // 2
    rows = []
    wanted = [("first", before, r_max)]
    if whole:
        words = f"--continue {root}_it001_optimiser.star --force_converge --auto_iter_max 9"
        wanted.append(("last", peak_of(folder, f"{words} {common} --no_progress"), box // 2))
    for name, peak, shell in wanted:
        expected = estimate_of(folder, shell, symmetry, threads, is_last=name == "last")
        rows.append(
            f"| {box} | {symmetry} | {name} | {2 * shell} | {expected:.0f} | {peak:.0f} | "
            f"{100 * (expected / peak - 1):+.0f} % |"
            + (f" {peak / before:.2f} |" if name == "last" else " |")
        )
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--boxes", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--first", type=int, nargs="*", default=[512])
    parser.add_argument("--n_particles", type=int, default=60)
    parser.add_argument("--sym", nargs="*", default=["C1", "D2"])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for line in surroundings(sys.argv):
        print(line)
    print("| Box | Symmetry | Iteration | Image size | Estimate | Peak | Difference | Last/first |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for box in (*arguments.boxes, *arguments.first):
        for symmetry in arguments.sym:
            folder = arguments.folder / f"d{box}"
            whole = box in arguments.boxes
            for row in measure(
                folder, box, arguments.n_particles, symmetry, arguments.threads, whole=whole
            ):
                print(row, flush=True)


if __name__ == "__main__":
    main()
