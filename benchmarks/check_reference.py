"""How often `aurefine check` finds a wrong pixel size, and how often it finds one that is not.

    python benchmarks/check_reference.py --models ../shared/data/models --work /tmp/sets

Simulates sets of several symmetries, changes the pixel size of the true map by resampling it, and
filters it to several resolutions.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np

from aurefine.cli.main import run_command
from aurefine.fourier import lowpass_filter
from aurefine.geometry.symmetry import point_group
from aurefine.io import read_map
from aurefine.jobs.check_reference import check_reference
from aurefine.jobs.refine_input import load_inputs
from aurefine.jobs.refine_options import to_refine_options
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.initialise import initial_state
from aurefine.simulate.projector import resample_map

# name: atoms, symmetry, diameter [Å], pixel size [Å], signal-to-noise ratio, more options
SETS = {
    "d2": ("bgal_d2", "D2", 190.0, 3.54, 0.04, []),
    "c1": ("b2ar_gs_c1", "C1", 170.0, 3.2, 0.03, []),
    "o": ("apoferritin_o", "O", 140.0, 3.2, 0.05, []),
    "i2": ("stnv_i", "I2", 210.0, 4.5, 0.05, []),
    "c4": ("synthetic_c4", "C4", 170.0, 4.0, 0.05, []),
    "views": ("bgal_d2", "D2", 190.0, 3.54, 0.04, ["--view_axes", "0,0,1", "--view_kappa", "20"]),
    "phase plate": ("bgal_d2", "D2", 190.0, 3.54, 0.04, ["--phase_shift", "90"]),
}
FILTERS = (0.0, 20.0, 30.0, 40.0, 50.0)  # Å, 0 for none
SIZES = (1.0, 1.08, 0.92)


def simulate(name: str, seed: int, models: Path, work: Path) -> Path:
    """Make one set if it is not there yet."""
    atoms, _, _, pixel_size, snr, more = SETS[name]
    folder = work / f"{name.replace(' ', '_')}_{seed}"
    if not (folder / "particles.star").exists():
        argv = ["simulate", "--atoms", f"{models}/{atoms}.npz", "--o", str(folder)]
        argv += ["--n_particles", "300", "--box", "64", "--angpix", str(pixel_size)]
        argv += ["--snr", str(snr), "--noise_lowfreq", "3", "--random_seed", str(seed + 1), *more]
        if run_command(argv):
            raise SystemExit(f"{name}: the simulation failed")
    return folder


def main() -> None:
    """Print one row per filter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--n", type=int, default=100, help="particles compared")
    parser.add_argument("--seeds", type=int, default=2, help="simulations of each set")
    parser.add_argument("--filters", nargs="*", type=float, default=FILTERS, help="[Å], 0 for none")
    parser.add_argument("--sizes", nargs="*", type=float, default=SIZES, help="of the pixel")
    given = parser.parse_args()
    found = {(f, size): [0, 0] for f in given.filters for size in given.sizes}
    seconds: dict[tuple[float, float], list[float]] = {key: [] for key in found}
    slopes: list[float] = []
    for name, seed in product(given.sets, range(given.seeds)):
        folder = simulate(name, seed, given.models, given.work)
        _, symmetry, diameter, pixel_size, _, _ = SETS[name]
        star, reference = str(folder / "particles.star"), str(folder / "true_map.mrc")
        options = to_refine_options(
            {
                "particles": star, "reference": reference, "output": "x", "symmetry": symmetry,
                "ctf": True, "particle_diameter": diameter, "zero_mask": True,
                "initial_lowpass": 50.0,
            }
        )  # fmt: skip
        inputs = load_inputs(star, options, 1, lambda _: None)
        true_map, _ = read_map(reference)
        with WorkerPool(1) as pool:
            state = initial_state(
                (true_map, true_map), pixel_size, inputs.particles, inputs.poses,
                inputs.group_names, len(inputs.particles.optics_groups), options, 1, pool,
            )  # fmt: skip
            for key in found:
                lowpass, size = key
                values = true_map
                if size != 1:
                    values = resample_map(values, pixel_size * size, 64, pixel_size)
                if lowpass > 0:
                    values = lowpass_filter(values, pixel_size, lowpass).astype(np.float32)
                start = time.process_time()
                for report in check_reference(
                    values, name, pixel_size, inputs.particles, inputs.poses, state.models[0],
                    point_group(symmetry), options, diameter=diameter, n_particles=given.n,
                    seed=seed, pool=pool,
                ):  # fmt: skip
                    seconds[key].append(time.process_time() - start)
                    print(
                        f"{name}, {lowpass:g} Å, pixel {size:g}, seed {seed}: {report.n_particles} "
                        f"particles, size {report.size:.3f} ± {report.size_error:.3f}, "
                        f"{'found' if report.findings else 'nothing'}, {seconds[key][-1]:.1f} s",
                        file=sys.stderr,
                        flush=True,
                    )
                    found[key][0] += bool(report.findings)
                    found[key][1] += 1
                    if size == 1:
                        slopes.append(report.slope)
    titles = " | ".join(f"pixel size times {size:g}" for size in given.sizes)
    print(f"| Reference filtered at | {titles} |\n| --- |{' --- |' * len(given.sizes)}")
    for lowpass in given.filters:
        cells = [
            f"{found[lowpass, s][0]} of {found[lowpass, s][1]}, "
            f"{np.median(seconds[lowpass, s]):.1f} s"
            for s in given.sizes
        ]
        print(f"| {f'{lowpass:g} Å' if lowpass else 'not'} | {' | '.join(cells)} |")
    print("\nCPU seconds are medians.")
    if slopes:
        print(f"Greyscale factors of correct references: {min(slopes):.2f} to {max(slopes):.2f}")


if __name__ == "__main__":
    main()
