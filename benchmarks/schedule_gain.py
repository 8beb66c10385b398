"""Cheaper iterations: what each of them gains, and whether it costs resolution or poses.

    python benchmarks/schedule_gain.py --models MODELS --work gain --o docs/schedule_gain.md

Small sets of five symmetries are simulated with several seeds each and refined with RELION's
schedule (``--relion_schedule``), with each saving alone, and with those that are on by default.
Every run is compared with the one by RELION's schedule on the same particles, or by another one
(``--against``). CPU time is that of the iterations: start-up, figures and compilation do not count.
Finished runs are kept in ``runs.json`` of the work folder, by box.

What scoring in steps costs, in boxes that are large enough for all of its steps:

    python benchmarks/schedule_gain.py --models MODELS --work steps --box 64 \\
        --schedules default "all rings at once" --against "all rings at once"
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aurefine.fourier import fsc_of_maps
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from aurefine.jobs import refine3d
from measuring import crossing, publish, surroundings
from quality_relion import pose_errors

EXTENT = 200.0  # of the box, Å
SCHEDULES: dict[str, dict[str, Any]] = {
    "RELION's": {"relion_schedule": True},
    "fewer samples": {"relion_schedule": True, "max_significant": 500},
    "early particles": {"relion_schedule": True, "early_particles": 100},
    "scoring tolerance": {"relion_schedule": True, "scoring_tolerance": 0.01},
    "jump": {"relion_schedule": True, "jump_sampling": True},
    "clear poses": {"relion_schedule": True, "reuse_poses": 0.5},
    "RELION's offset prior": {"relion_schedule": True, "quirk_offset_prior": True},
    "all rings at once": {"two_step_scoring": False},
    "default": {},
}


@dataclass(frozen=True)
class Case:
    """One kind of particles."""

    name: str
    symmetry: str
    model: str
    n_particles: int
    snr: float
    views: str = ""  # axis that most particles are seen along
    lowpass: float = 50.0  # of the reference, Å; a shell of protein has no features at 50 Å


CASES = (
    Case("c1", "C1", "b2ar_gs_c1", 320, 0.2),
    Case("c4", "C4", "synthetic_c4", 240, 0.12),
    Case("d2", "D2", "bgal_d2", 240, 0.07),
    Case("d2_views", "D2", "bgal_d2", 240, 0.07, views="0.3,0.2,1"),
    Case("d3", "D3", "synthetic_d3", 240, 0.07),
    Case("i", "I", "stnv_i", 160, 0.08, lowpass=30.0),
)


@dataclass(frozen=True)
class Outcome:
    """What one run took and found."""

    name: str
    seed: int
    schedule: str
    iterations: int
    cpu: float  # s
    shell_true: float  # where the FSC to the true map falls below 0.5, inside a sphere
    shell_half: float  # where that between the half maps falls below 0.143, inside a sphere
    angle: float  # median error, degrees
    offset: float  # median error, Å


def simulated(case: Case, box: int, models: Path, work: Path, seed: int) -> tuple[Path, float]:
    """Make the particles unless they are there; return their folder and diameter [Å]."""
    folder = work / f"{case.name}-{seed}"
    if not (folder / "simulation.json").exists():
        command = [
            *(sys.executable, "-m", "aurefine", "simulate", "--o", str(folder)),
            *("--atoms", str(models / f"{case.model}.npz"), "--box", str(box)),
            *("--angpix", str(EXTENT / box), "--n_particles", str(case.n_particles)),
            *("--snr", str(case.snr), "--random_seed", str(seed), "--reference_scale", "3"),
            *("--n_micrographs", "6", "--ini_high", str(case.lowpass)),
        ]
        if case.views:
            command += ["--view_axes", case.views, "--view_fraction", "0.7"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    settings = json.loads((folder / "simulation.json").read_text())
    return folder, float(settings["options"]["particle_diameter"])


def measured(
    case: Case, seed: int, schedule: str, folder: Path, diameter: float, threads: int
) -> Outcome:
    """Refine and compare with the truth."""
    with tempfile.TemporaryDirectory(prefix="schedule-gain-") as temporary:
        result = refine3d.refine(
            folder / "particles.star",
            folder / "reference.mrc",
            f"{temporary}/run",
            symmetry=case.symmetry,
            particle_diameter=diameter,
            initial_lowpass=case.lowpass,
            firstiter_cc=True,
            ctf=True,
            norm=True,
            scale=True,
            flatten_solvent=True,
            zero_mask=True,
            low_resol_join_halves=40.0,
            offset_range_px=5.0,
            offset_step_px=2.0,
            random_seed=seed,
            n_threads=threads,
            **SCHEDULES[schedule],
        )
        angle, offset = pose_errors(
            f"{temporary}/run_data.star", folder / "truth.star", case.symmetry
        )
    truth, _ = read_map(folder / "true_map.mrc")
    box = len(truth)
    mask = soft_sphere(box, diameter / 2 / EXTENT * box, 5)
    halves = [half * mask for half in result.half_maps]
    to_truth = fsc_of_maps(result.map * mask, truth * mask)
    return Outcome(
        name=case.name,
        seed=seed,
        schedule=schedule,
        iterations=len(result.history),
        cpu=float(result.history["cpu_seconds"].sum()),
        shell_true=float(box / crossing(to_truth, 0.5, box)),
        shell_half=float(box / crossing(fsc_of_maps(*halves), 0.143, box)),
        angle=float(np.median(angle)),
        offset=float(np.median(offset)),
    )


Runs = Mapping[tuple[str, int, str], Outcome]


def differences(
    runs: Runs, schedule: str, reference: str, value: Callable[[Outcome, Outcome], float]
) -> dict[str, list[float]]:
    """Compare the runs of a schedule with those of another one, by set and seed."""
    found: dict[str, list[float]] = {}
    for (name, seed, own_schedule), own in runs.items():
        usual = runs.get((name, seed, reference))
        if own_schedule == schedule and usual is not None:
            found.setdefault(name, []).append(value(own, usual))
    return found


def summary(runs: Runs, schedule: str, reference: str) -> list[str]:
    """Return one row of the table over all sets: gains and losses with standard errors."""

    def by_set(value: Callable[[Outcome, Outcome], float]) -> list[list[float]]:
        return list(differences(runs, schedule, reference, value).values())

    def cell(value: Callable[[Outcome, Outcome], float], form: str) -> str:
        values = np.concatenate(by_set(value))
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return f"{values.mean():{form}} ± {error:{form.lstrip('+')}}"

    cpu = np.concatenate(by_set(lambda own, usual: usual.cpu / own.cpu))
    worst = min(float(np.mean(v)) for v in by_set(lambda a, b: a.shell_true - b.shell_true))
    return [
        schedule,
        f"{np.exp(np.log(cpu).mean()):.2f}× ({cpu.min():.2f} to {cpu.max():.2f})",
        cell(lambda own, usual: own.iterations - usual.iterations, "+.1f"),
        cell(lambda own, usual: own.shell_true - usual.shell_true, "+.2f"),
        f"{worst:+.2f}",
        cell(lambda own, usual: own.shell_half - usual.shell_half, "+.2f"),
        cell(lambda own, usual: 100 * (own.angle / usual.angle - 1), "+.1f"),
        cell(lambda own, usual: 100 * (own.offset / usual.offset - 1), "+.1f"),
    ]


def details(runs: Runs, set_name: str) -> list[str]:
    """Return rows of the table of one set, means over the seeds."""
    rows = []
    for schedule in SCHEDULES:
        own = [run for key, run in runs.items() if key[0] == set_name and key[2] == schedule]
        if own:
            mean = {
                name: np.mean([getattr(run, name) for run in own])
                for name in ("cpu", "iterations", "shell_true", "shell_half", "angle", "offset")
            }
            rows.append(
                f"| {set_name} | {schedule} | {len(own)} | {mean['cpu']:.1f} "
                f"| {mean['iterations']:.1f} | {mean['shell_true']:.2f} "
                f"| {mean['shell_half']:.2f} | {mean['angle']:.2f} | {mean['offset']:.2f} |"
            )
    return rows


def report(runs: Runs, box: int, reference: str) -> list[str]:
    """Return the whole document."""
    settings = {
        name: " ".join(f"`{key}={value}`" for key, value in values.items()) or "defaults"
        for name, values in SCHEDULES.items()
    }
    head = [
        *("schedule", "times less CPU (range)", "iterations", "shells to truth, FSC 0.5"),
        *("the worst set", "shells between halves, FSC 0.143", "median angle error [%]"),
        "median offset error [%]",
    ]
    names = [name for name in SCHEDULES if any(key[2] == name for key in runs)]
    rows = [head, ["---"] * len(head)]
    rows += [summary(runs, name, reference) for name in names if name != reference]
    against = "RELION's schedule" if reference == "RELION's" else f"*{reference}*"
    return [
        "# What cheaper iterations gain",
        "",
        f"Differences to {against} on the same particles, mean ± standard error over all "
        "sets and seeds.",
        "Positive shells and negative errors are better.",
        "*The worst set* is the smallest mean over the seeds of one set.",
        "",
        *(f"- {name}: {text}" for name, text in settings.items() if name in names),
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "## By set",
        "",
        "Means over the seeds; shells of a box of "
        f"{box} px, larger is better; errors are medians in degrees and Å.",
        "",
        *(
            f"- {case.name}: {case.model}, {case.symmetry}, {case.n_particles} particles, "
            f"{EXTENT / box:.3g} Å/px, SNR {case.snr}"
            f"{', preferred views' if case.views else ''}."
            for case in CASES
        ),
        "",
        "| set | schedule | seeds | CPU [s] | iterations | to truth | halves | angle | offset |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row for case in CASES for row in details(runs, case.name)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of the atom sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for particles and results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--schedules", nargs="*", choices=list(SCHEDULES), default=list(SCHEDULES))
    parser.add_argument(
        "--sets", nargs="*", default=[case.name for case in CASES][::-1], help="in turn"
    )
    parser.add_argument("--box", type=int, default=40, help="px")
    parser.add_argument("--against", choices=list(SCHEDULES), default="RELION's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--o", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    work = arguments.work / f"box{arguments.box}"
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "runs.json"
    stored = json.loads(kept.read_text()) if kept.exists() else []
    runs = {(o["name"], o["seed"], o["schedule"]): Outcome(**o) for o in stored}
    cases = {case.name: case for case in CASES}
    wanted = [
        (cases[name], seed, schedule)
        for seed in range(1, arguments.seeds + 1)
        for name in arguments.sets
        for schedule in arguments.schedules
    ]
    refine3d.write_figures = lambda *_: None  # figures take as long as these iterations
    is_first = True  # and loads compiled code
    for case, seed, schedule in wanted:
        if (case.name, seed, schedule) in runs:
            continue
        folder, diameter = simulated(case, arguments.box, arguments.models, work, seed)
        if is_first:
            measured(case, seed, schedule, folder, diameter, arguments.threads)
            is_first = False
        own = measured(case, seed, schedule, folder, diameter, arguments.threads)
        runs[case.name, seed, schedule] = own
        print(own, file=sys.stderr, flush=True)
        kept.write_text(json.dumps([asdict(run) for run in runs.values()], indent=1))
    text = "\n".join([*report(runs, arguments.box, arguments.against), "", *where])
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
