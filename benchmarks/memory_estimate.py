"""Peak memory of refinements against the estimate that is printed at their start.

Usage: python benchmarks/memory_estimate.py FOLDER [--boxes 64 128 256 512] [--sym C1 D2]

For each box: the first iteration, one whose image size is set to a share of the box (0.6, as it
often is before the last one), and the joined last iteration, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from aurefine.cli.main import run_command
from aurefine.io import read_star
from aurefine.jobs.refine_estimate import run_size
from aurefine.jobs.refine_input import load_inputs
from aurefine.jobs.refine_options import to_refine_options, to_run_settings
from aurefine.refine import schedule
from aurefine.refine.memory import memory_need
from aurefine.refine.state import ControllerState
from measuring import surroundings

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


def refine_with_size(size: int, argv: list[str]) -> int:
    """Run a refinement whose image size [px] is fixed until the last iteration; 0 leaves it."""
    usual = schedule.update_image_size

    def fixed(controller: ControllerState, *arguments: float) -> ControllerState:
        found = usual(controller, *arguments)  # type: ignore[arg-type]
        return found if found.has_converged or not size else replace(found, current_size=size)

    schedule.update_image_size = fixed  # type: ignore[assignment]
    return run_command(["refine", *argv])


def peak_of(folder: Path, words: str, size: int = 0) -> float:
    """Run a refinement in a process of its own and return its peak resident memory [MiB]."""
    command = [sys.executable, __file__, "--size", str(size), "--refine", *words.split()]
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(command, cwd=folder, stdout=nothing)
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
    # none of the iterations here searches all orientations at the finest step
    size = replace(run_size(inputs, options, settings), n_orientations=0)
    return memory_need(size, r_max, is_last=is_last).peak / 2**20


def measure(
    folder: Path, box: int, n_particles: int, symmetry: str, threads: int, share: float
) -> list[str]:
    """Return rows of the table for one box."""
    simulate(folder, box, n_particles)
    root = f"{symmetry}/run"
    common = f"--sym {symmetry} --j {threads} --o {root} --no_progress"
    onwards = f"--continue {root}_it001_optimiser.star {common}"
    peaks = {"first": peak_of(folder, f"{_OPTIONS} {common} --auto_iter_max 1")}
    general = read_star(folder / f"{root}_it001_half1_model.star").values("model_general")
    sizes = {"first": int(general["rlnCurrentImageSize"]), "last": box}
    sizes["before"] = 2 * round(share * box / 2)
    peaks["before"] = peak_of(folder, f"{onwards} --auto_iter_max 2", sizes["before"])
    peaks["last"] = peak_of(folder, f"{onwards} --force_converge --auto_iter_max 9")
    rows = []
    for name in ("first", "before", "last"):
        shell, peak = sizes[name] // 2, peaks[name]
        expected = estimate_of(folder, shell, symmetry, threads, is_last=name == "last")
        rows.append(
            f"| {box} | {symmetry} | {name} | {2 * shell} | {expected:.0f} | {peak:.0f} | "
            f"{100 * (expected / peak - 1):+.0f} % | {peaks['last'] / peak:.2f} |"
        )
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--boxes", type=int, nargs="*", default=[64, 128, 256, 512])
    parser.add_argument("--n_particles", type=int, default=60)
    parser.add_argument("--share", type=float, default=0.6, help="image size before / box")
    parser.add_argument("--sym", nargs="*", default=["C1", "D2"])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for line in surroundings(sys.argv):
        print(line)
    print("| Box | Symmetry | Iteration | Image size | Estimate | Peak | Difference | Last/this |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for box in arguments.boxes:
        for symmetry in arguments.sym:
            folder = arguments.folder / f"d{box}"
            for row in measure(
                folder, box, arguments.n_particles, symmetry, arguments.threads, arguments.share
            ):
                print(row, flush=True)


if __name__ == "__main__":
    if "--refine" in sys.argv:
        place = sys.argv.index("--refine")
        sys.exit(refine_with_size(int(sys.argv[place - 1]), sys.argv[place + 1 :]))
    main()
