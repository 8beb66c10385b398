"""Refinements of many kinds of simulated data by RELION and aurefine, side by side.

    python benchmarks/matrix.py --models ../shared/data/models --work matrix

Each case is one symmetry, one distribution of views and one kind of optics. The data are simulated
in the folder of the work, where finished runs are kept and taken again. "oracle" is
relion_reconstruct with the true poses. What was measured is kept in docs/matrix.json, one record
for each set and program, so that sets can be measured on different occasions; docs/matrix.md is
made of it, without any run if --cases is "none".
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.cli.main import program_version
from aurefine.fourier import fsc_of_maps
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from measuring import JOB_OPTIONS, OURS, crossing, machine, measured_job, relion_mpi, relion_version
from quality_relion import pose_errors
from sampling import read_samples, sampled

BOX = 40  # px
PIXEL = 5.0  # Å
MASK_EDGE_PX = 5
THREADS = 2  # of aurefine
PROGRAMS = ("relion", "aurefine")
TOLERATED_SHELLS = 1.0  # noise between runs
PREFERRED = ["--view_axes", "0.3,0.2,1", "--view_fraction", "0.7", "--view_kappa", "8"]
SEVERAL = ["--voltage", "300,200,300", "--cs", "2.7,2.7,1.4", "--Q0", "0.1,0.07,0.1"]
ASTIGMATIC = ["--astigmatism", "2500"]
PHASE_PLATE = ["--phase_shift", "90", "--defocus_min", "4000", "--defocus_max", "9000"]
BEAM_TILT = ["--beamtilt_x", "8", "--beamtilt_y", "-6"]
PLATE_AND_VIEWS = PHASE_PLATE + PREFERRED
TWO_SIZES = ["--angpix", "5,5.5", "--box", "40,36"]
PREMULTIPLIED = ["--premultiply_ctf", "1"]


@dataclass(frozen=True)
class Case:
    """One data set."""

    name: str
    symmetry: str
    model: str  # file of the atoms, or "" for an assembly of copies of one fragment
    what: str
    options: list[str]
    n_particles: int = 300
    snr: float = 0.05
    healpix_order: int = 2
    ini_high: float = 50.0  # Å; hollow and round particles have no features at 50 Å


CASES = (
    Case("c1", "C1", "b2ar_gs_c1", "uniform views", [], snr=0.25),
    Case("c1_views", "C1", "b2ar_gs_c1", "preferred views", PREFERRED, snr=0.25),
    Case("c1_sizes", "C1", "b2ar_gs_c1", "two pixel sizes and boxes", TWO_SIZES, snr=0.2),
    Case("c4_groups", "C4", "synthetic_c4", "three optics groups", SEVERAL, snr=0.1),
    Case("c4_plate", "C4", "synthetic_c4", "phase plate, views", PLATE_AND_VIEWS, snr=0.25),
    Case("d2_astig", "D2", "bgal_d2", "astigmatic", ASTIGMATIC, snr=0.12),
    Case("d2_tilt", "D2", "bgal_d2", "beam tilt, preferred views", BEAM_TILT + PREFERRED, snr=0.12),
    Case("d2_premult", "D2", "bgal_d2", "images multiplied by CTF", PREMULTIPLIED, snr=0.12),
    Case("d3_plate", "D3", "synthetic_d3", "phase plate", PHASE_PLATE, snr=0.2),
    Case("d3_views", "D3", "synthetic_d3", "preferred views", PREFERRED, snr=0.15),
    Case("d7_sizes", "D7", "", "two pixel sizes and boxes", TWO_SIZES, snr=0.03),
    Case("d7_views", "D7", "", "preferred views, optics groups", PREFERRED + SEVERAL, snr=0.03),
    Case("t_groups", "T", "", "three optics groups", SEVERAL, snr=0.08, ini_high=30),
    Case(
        "t_astig",
        "T",
        "",
        "astigmatic, preferred views",
        ASTIGMATIC + PREFERRED,
        snr=0.08,
        ini_high=30,
    ),
    Case("o_tilt", "O", "apoferritin_o", "beam tilt", BEAM_TILT, snr=0.1, ini_high=30),
    Case("i1", "I1", "", "uniform views", [], snr=0.1, ini_high=30),
    Case(
        "i1_views", "I1", "", "phase plate, preferred views", PLATE_AND_VIEWS, snr=0.1, ini_high=30
    ),
)


def assembly(symmetry: str, fragment: Path, target: Path) -> None:
    """Write the atoms of an assembly: copies of a compact fragment around the axes."""
    source = np.load(fragment)
    atoms = source["coords"]
    size = {"D7": 1500, "T": 1800, "I1": 700}[symmetry]
    nearest = np.argsort(np.linalg.norm(atoms - atoms[len(atoms) // 3], axis=1))[:size]
    piece = atoms[nearest] - atoms[nearest].mean(axis=0)
    radius = {"D7": 52.0, "T": 48.0, "I1": 72.0}[symmetry]
    # off all axes and, where that matters, far from mirror planes: a hand that can be seen
    places = {"D7": (-0.33, -0.93, -0.14), "T": (0.43, -0.85, 0.3), "I1": (0.78, 0.42, 0.47)}
    direction = np.array(places[symmetry])
    placed = piece + radius * direction / np.linalg.norm(direction)
    np.savez(target, coords=placed, element=source["element"][nearest], sym=symmetry)


def simulate(case: Case, models: Path, folder: Path, seed: int) -> None:
    if (folder / "simulation.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    atoms = models / f"{case.model}.npz"
    if not case.model:
        atoms = folder / "atoms.npz"
        assembly(case.symmetry, models / "b2ar_gs_c1.npz", atoms)
    command = [
        *(sys.executable, "-m", "aurefine", "simulate", "--atoms", str(atoms), "--o", str(folder)),
        *("--box", str(BOX), "--angpix", str(PIXEL), "--n_particles", str(case.n_particles)),
        *("--snr", str(case.snr), "--random_seed", str(seed), "--j", "2", "--reference_scale", "3"),
        *("--n_micrographs", "6", "--shift", "6", "--ini_high", str(case.ini_high), *case.options),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def diameter(folder: Path) -> float:
    """Particle diameter that the simulation used [Å]."""
    text = (folder / "simulation.json").read_text()
    found = re.search(r'"particle_diameter": ([0-9.]+)', text)
    if not found:
        raise SystemExit(f"{folder / 'simulation.json'} has no particle diameter")
    return float(found.group(1))


def oracle(case: Case, folder: Path) -> dict[str, float]:
    """FSC to the true map at 0.5 and 0.143 of a reconstruction with the true poses [Å]."""
    target = folder / "oracle.mrc"
    if not target.exists():
        subprocess.run(
            [
                *("relion_reconstruct", "--i", "truth.star", "--o", "oracle.mrc", "--ctf"),
                *("--sym", case.symmetry),
            ],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    half, seventh = to_truth(target, folder)
    return {"half": half, "seventh": seventh}


def to_truth(path: Path, folder: Path) -> tuple[float, float]:
    """Return where the FSC with the true map falls below 0.5 and 0.143, inside a sphere [Å]."""
    values, _ = read_map(path)
    truth, pixel_size = read_map(folder / "true_map.mrc")
    n = len(truth)
    extent = n * (pixel_size or PIXEL)
    mask = soft_sphere(n, diameter(folder) / 2 / (pixel_size or PIXEL), MASK_EDGE_PX)
    curve: npt.NDArray[np.float64] = fsc_of_maps(values * mask, truth * mask)
    return crossing(curve, 0.5, extent), crossing(curve, 0.143, extent)


def refine(program: str, case: Case, folder: Path) -> dict[str, float]:
    """Run a refinement unless it is there, and return what it used."""
    root = folder / program / "run"
    kept = folder / program / "usage.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    options = [
        *("--i", "particles.star", "--ref", "reference.mrc", "--sym", case.symmetry),
        *("--particle_diameter", f"{diameter(folder):g}", "--ini_high", f"{case.ini_high:g}"),
        *("--random_seed", "1", *JOB_OPTIONS.split()),
        *("--healpix_order", str(case.healpix_order)),
    ]
    if program == "aurefine":
        used = measured_job([*OURS, "--j", str(THREADS)], options, folder, root)
        usage = {**asdict(used), "least": used.cpu / THREADS, "load": os.getloadavg()[0]}
    else:
        command = [*relion_mpi(3), *options, "--o", str(root)]
        if sampled(command, root.parent, folder):
            raise SystemExit(
                f"{' '.join(command)} failed:\n{(root.parent / 'run.err').read_text()}"
            )
        found = read_samples(root.parent)
        usage = {
            "wall": found.wall,
            "cpu": max(found.cpu_by_iteration.values()),
            "least": max(found.busiest_by_iteration.values()),
            "memory": found.memory_of_one,
            "load": found.load,
        }
    kept.write_text(json.dumps(usage))
    return usage


def measure(program: str, case: Case, folder: Path) -> dict[str, object]:
    """Return the numbers of one run."""
    usage = refine(program, case, folder)
    root = f"{folder}/{program}/run"
    half, seventh = to_truth(Path(f"{root}_class001.mrc"), folder)
    maps = [read_map(f"{root}_half{h}_class001_unfil.mrc")[0] for h in (1, 2)]
    n = len(maps[0])
    mask = soft_sphere(n, diameter(folder) / 2 / PIXEL, MASK_EDGE_PX)
    between = crossing(fsc_of_maps(maps[0] * mask, maps[1] * mask), 0.143, n * PIXEL)
    angle, offset = pose_errors(f"{root}_data.star", folder / "truth.star", case.symmetry)
    log = (folder / program / "run.out").read_text(errors="replace")
    numbers = {
        "half": half,
        "seventh": seventh,
        "between": between,
        "angle": float(np.median(angle)),
        "offset": float(np.median(offset)),
        "iterations": int(re.findall(r"Auto-refine: Iteration= (\d+)", log)[-1]),
        "cpu": usage["cpu"],
        "least": usage["least"],
        "memory": usage["memory"] / 2**20,
        "wall": usage["wall"],
        "load": usage["load"],
    }
    rounded = {name: float(f"{value:.5g}") for name, value in numbers.items()}
    version = relion_version() if program == "relion" else program_version()
    return {**rounded, "version": version, "machine": machine()}


COLUMNS = (
    ("true map 0.5 [Å]", "half", ".2f"),
    ("true map 0.143 [Å]", "seventh", ".2f"),
    ("half maps 0.143 [Å]", "between", ".2f"),
    ("angles [°]", "angle", ".2f"),
    ("offsets [Å]", "offset", ".2f"),
    ("iterations", "iterations", ".0f"),
    ("CPU [s]", "cpu", ".0f"),
    ("time, at least [s]", "least", ".0f"),
    ("memory [MiB]", "memory", ".0f"),
)
RESOLUTIONS = ("half", "seventh", "between")

Records = dict[str, dict[str, dict[str, float]]]


def shells_gained(ours: dict[str, float], theirs: dict[str, float]) -> list[float]:
    """Return how many shells farther our three curves reach, negative where RELION's reach more."""
    return [BOX * PIXEL * (1 / ours[key] - 1 / theirs[key]) for key in RESOLUTIONS]


def table(records: Records, notes: dict[str, str]) -> list[str]:
    """Return the page of what was measured."""
    head = ["set", "symmetry", "data", "oracle 0.5, 0.143 [Å]"]
    head += [*(title for title, _, _ in COLUMNS), "shells gained"]
    rows = [head, ["---"] * len(head)]
    compared, behind = [], []
    for case in CASES:
        record = records.get(case.name, {})
        if not record:
            continue
        best = record["oracle"]
        row = [case.name, case.symmetry, case.what, f"{best['half']:.2f}, {best['seventh']:.2f}"]
        found = [record.get(program) for program in PROGRAMS]
        for _, key, form in COLUMNS:
            row.append(" / ".join(format(f[key], form) if f else "–" for f in found))
        theirs, ours = found
        if ours and theirs:
            compared.append(case.name)
            gained = shells_gained(ours, theirs)
            row.append(", ".join(f"{shells:+.1f}" for shells in gained))
            if min(gained) < -TOLERATED_SHELLS:
                behind.append(case.name)
        else:
            row.append("–")
        rows.append(row)
    places = {
        f"{name} {run['version']}, {run['machine']}"
        for record in records.values()
        for name, run in record.items()
        if name in PROGRAMS
    }
    noted = [f"- `{name}`: {text}" for name, text in sorted(notes.items())]
    return [
        "# Refinements of many kinds of data",
        "",
        f"Simulated particles, box {BOX}, {PIXEL:g} Å/px (first optics group), Nyquist "
        f"{2 * PIXEL:g} Å; each cell: {' / '.join(PROGRAMS)}.",
        "Resolutions are interpolated between shells, inside a soft sphere of the diameter; one "
        f"shell is 1/{BOX * PIXEL:g} Å⁻¹.",
        "The oracle is `relion_reconstruct` with the true poses.",
        "Errors of poses are medians; without symmetry a common rotation counts as an error.",
        "Shells gained: how many shells farther the three curves of aurefine reach than RELION's.",
        f"RELION: 3 processes; aurefine: {THREADS} threads.",
        "The machine was busy with other work. CPU is that of all workers. The time of RELION is "
        "at least the CPU time of its busier follower, that of aurefine at least the CPU time over "
        "the number of threads. Memory is that of the largest process.",
        *(f"Measured with: {place}." for place in sorted(places)),
        "`python benchmarks/matrix.py --models ../shared/data/models --work matrix` adds rows; "
        "the records are in `matrix.json`.",
        "",
        *("| " + " | ".join(cells) + " |" for cells in rows),
        "",
        f"Sets that both programs have refined so far: {', '.join(compared) or 'none'}.",
        f"Of these, aurefine is behind by more than {TOLERATED_SHELLS:g} shell in one of the three "
        f"resolutions in: {', '.join(behind) or 'none'}.",
        *(["", *noted] if noted else []),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", type=Path, help="folder of the atom sets")
    parser.add_argument("--work", type=Path, help="folder for data and runs, kept")
    parser.add_argument("--cases", help="names, separated by commas, or none; all by default")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--records", type=Path, default=Path("docs/matrix.json"))
    parser.add_argument("--o", type=Path, default=Path("docs/matrix.md"), help="the table")
    arguments = parser.parse_args()
    names = [case.name for case in CASES]
    chosen = arguments.cases.split(",") if arguments.cases else names
    chosen = [] if chosen == ["none"] else chosen
    unknown = sorted({*chosen} - {*names})
    if unknown:
        parser.error(f"unknown sets: {', '.join(unknown)}")
    if chosen and not (arguments.models and arguments.work):
        parser.error("runs need --models and --work")
    content: dict[str, Any] = {"records": {}, "sets": {}, "notes": {}}
    if arguments.records.exists():
        content = json.loads(arguments.records.read_text(encoding="utf-8"))
    for name in chosen:
        number = names.index(name)
        case = CASES[number]
        folder = (arguments.work / name).resolve()
        settings = {**asdict(case), "seed": 100 + number}
        if content["sets"].get(name) != settings:  # of other data
            content["records"].pop(name, None)
        content["sets"][name] = settings
        simulate(case, arguments.models, folder, 100 + number)
        record = content["records"].setdefault(name, {})
        record["oracle"] = oracle(case, folder)
        for program in arguments.programs.split(","):
            record[program] = measure(program, case, folder)
        print(name, json.dumps(record), flush=True)
        arguments.records.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(table(content["records"], content["notes"]))
    print(text)
    arguments.o.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
