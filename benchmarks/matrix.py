"""Refinements of many kinds of simulated data by RELION and aurefine, side by side.

    python benchmarks/matrix.py --models ../shared/data/models --work matrix --o docs/matrix.md

Each case is one symmetry, one distribution of views and one kind of optics. The data are simulated
in the folder of the work, where finished runs are kept and taken again. "oracle" is
relion_reconstruct with the true poses. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aurefine.fourier import fsc_of_maps
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from measuring import JOB_OPTIONS, OURS, Usage, crossing, measured_job, relion_mpi, surroundings
from quality_relion import pose_errors

BOX = 40  # px
PIXEL = 5.0  # Å
MASK_EDGE_PX = 5
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
    Case("t_groups", "T", "", "three optics groups", SEVERAL, snr=0.08),
    Case("t_astig", "T", "", "astigmatic, preferred views", ASTIGMATIC + PREFERRED, snr=0.08),
    Case("o_tilt", "O", "apoferritin_o", "beam tilt", BEAM_TILT, snr=0.1),
    Case("i1", "I1", "", "uniform views", [], snr=0.1),
    Case("i1_views", "I1", "", "phase plate, preferred views", PLATE_AND_VIEWS, snr=0.1),
)


def assembly(symmetry: str, fragment: Path, target: Path) -> None:
    """Write the atoms of an assembly: copies of a compact fragment around the axes."""
    source = np.load(fragment)
    atoms = source["coords"]
    size = {"D7": 1500, "T": 1800, "I1": 700}[symmetry]
    nearest = np.argsort(np.linalg.norm(atoms - atoms[len(atoms) // 3], axis=1))[:size]
    piece = atoms[nearest] - atoms[nearest].mean(axis=0)
    radius = {"D7": 52.0, "T": 48.0, "I1": 72.0}[symmetry]
    direction = np.array([0.78, 0.42, 0.47])  # off all axes
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
        *("--n_micrographs", "6", "--shift", "6", *case.options),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def diameter(folder: Path) -> float:
    """Particle diameter that the simulation used [Å]."""
    text = (folder / "simulation.json").read_text()
    found = re.search(r'"particle_diameter": ([0-9.]+)', text)
    if not found:
        raise SystemExit(f"{folder / 'simulation.json'} has no particle diameter")
    return float(found.group(1))


def oracle(case: Case, folder: Path) -> tuple[float, float]:
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
    return to_truth(target, folder)


def to_truth(path: Path, folder: Path) -> tuple[float, float]:
    """Return where the FSC with the true map falls below 0.5 and 0.143, inside a sphere [Å]."""
    values, _ = read_map(path)
    truth, pixel_size = read_map(folder / "true_map.mrc")
    n = len(truth)
    extent = n * (pixel_size or PIXEL)
    mask = soft_sphere(n, diameter(folder) / 2 / (pixel_size or PIXEL), MASK_EDGE_PX)
    curve: npt.NDArray[np.float64] = fsc_of_maps(values * mask, truth * mask)
    return crossing(curve, 0.5, extent), crossing(curve, 0.143, extent)


def refine(program: str, case: Case, folder: Path) -> Usage:
    """Run a refinement unless it is there, and return what it used."""
    root = folder / program / "run"
    kept = folder / program / "usage.json"
    if kept.exists():
        return Usage(**json.loads(kept.read_text()))
    options = [
        *("--i", "particles.star", "--ref", "reference.mrc", "--sym", case.symmetry),
        *("--particle_diameter", f"{diameter(folder):g}", "--ini_high", "50"),
        *("--random_seed", "1", *JOB_OPTIONS.split()),
        *("--healpix_order", str(case.healpix_order)),
    ]
    command = relion_mpi(3) if program == "relion" else [*OURS, "--j", "2"]
    usage = measured_job(command, options, folder, root)
    kept.write_text(json.dumps(usage.__dict__))
    return usage


def cells(program: str, case: Case, folder: Path) -> dict[str, object]:
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
    return {
        "half": half,
        "seventh": seventh,
        "between": between,
        "angle": float(np.median(angle)),
        "offset": float(np.median(offset)),
        "iterations": int(re.findall(r"Auto-refine: Iteration= (\d+)", log)[-1]),
        "wall": usage.wall,
        "cpu": usage.cpu,
        "memory": usage.memory / 2**20,
    }


COLUMNS = (
    ("true map 0.5 [Å]", "half", ".2f"),
    ("true map 0.143 [Å]", "seventh", ".2f"),
    ("half maps 0.143 [Å]", "between", ".2f"),
    ("angles [°]", "angle", ".2f"),
    ("offsets [Å]", "offset", ".2f"),
    ("iterations", "iterations", "d"),
    ("wall [s]", "wall", ".0f"),
    ("CPU [s]", "cpu", ".0f"),
    ("largest process [MiB]", "memory", ".0f"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of the atom sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for data and runs, kept")
    parser.add_argument("--cases", help="names, separated by commas; all by default")
    parser.add_argument("--programs", default="relion,aurefine")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    chosen = arguments.cases.split(",") if arguments.cases else [case.name for case in CASES]
    programs = arguments.programs.split(",")
    head = ["set", "symmetry", "data", "oracle 0.5, 0.143 [Å]", *(title for title, _, _ in COLUMNS)]
    lines = [head, ["---"] * len(head)]
    behind = []
    for number, case in enumerate(CASES):
        if case.name not in chosen:
            continue
        folder = (arguments.work / case.name).resolve()
        simulate(case, arguments.models, folder, 100 + number)
        best = oracle(case, folder)
        found = {program: cells(program, case, folder) for program in programs}
        row = [case.name, case.symmetry, case.what, f"{best[0]:.2f}, {best[1]:.2f}"]
        for _, key, form in COLUMNS:
            row.append(" / ".join(format(found[program][key], form) for program in programs))
        lines.append(row)
        print(" | ".join(row), flush=True)
        if len(programs) == 2 and any(
            float(str(found["aurefine"][key])) > float(str(found["relion"][key])) + 0.005
            for key in ("half", "seventh", "between")
        ):
            behind.append(case.name)
    text = [
        "# Refinements of many kinds of data",
        "",
        f"Simulated particles, box {BOX}, {PIXEL:g} Å/px (first optics group); Nyquist "
        f"{2 * PIXEL:g} Å; each cell: {' / '.join(programs)}.",
        "Resolutions are interpolated between shells, inside a soft sphere of the diameter.",
        "The oracle is `relion_reconstruct` with the true poses.",
        *surroundings(sys.argv),
        f"RELION: 3 processes; aurefine: 2 threads. Load at the end: {os.getloadavg()[0]:.1f}.",
        "",
        *("| " + " | ".join(cells_) + " |" for cells_ in lines),
        "",
        "Behind RELION in one of the three resolutions: " + (", ".join(behind) or "none") + ".",
    ]
    print("\n".join(text))
    if arguments.o:
        arguments.o.write_text("\n".join(text) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
