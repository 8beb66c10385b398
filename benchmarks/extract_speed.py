"""Time and memory of extraction: aurefine against relion_preprocess, two processes each.

    python benchmarks/extract_speed.py --project FOLDER_WITH_D2_MICROGRAPHS

extracts from that project and from larger simulated micrographs and prints a Markdown table. Both
programs do the same work with two workers (MPI processes and threads): box 360 to 256 px,
re-centring, normalisation, inverted contrast. The whole command is timed, start-up included; runs
alternate, and the smallest times are shown, which other work on the machine spoils least. Memory is
the largest resident size, for RELION the sum of its two processes' peaks; the last column compares
it with one micrograph and one stack for each worker, on top of a run that extracts four images of
32 px. Python keeps compiled modules, as for any installed program.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aurefine.io.mrc import write_map
from aurefine.io.star import write_star
from measuring import publish, surroundings

WORKERS = 2


@dataclass(frozen=True)
class Case:
    """One data set and the options of its extraction."""

    name: str
    folder: Path
    micrographs: str
    particles: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """Wall time [s], CPU time [s] and peak memory [MB] of a run."""

    wall: float
    cpu: float
    megabytes: float


def job_options(box: int, size: int) -> tuple[str, ...]:
    """Return the options of the tutorial for a box that is rescaled."""
    return tuple(
        shlex.split(
            "--recenter --recenter_x 0 --recenter_y 0 --recenter_z 0 --extract "
            f"--extract_size {box} --scale {size} --norm --bg_radius {int(0.375 * size)} "
            "--white_dust -1 --black_dust -1 --invert_contrast"
        )
    )


def simulate(folder: Path, n_micrographs: int, edge: int, n_particles: int) -> None:
    """Write float32 micrographs of noise and random particles."""
    rng = np.random.default_rng(1)
    names = [f"MotionCorr/job002/Movies/mic{i:03d}.mrc" for i in range(n_micrographs)]
    (folder / "MotionCorr/job002/Movies").mkdir(parents=True)
    for name in names:
        write_map(folder / name, rng.standard_normal((edge, edge), dtype=np.float32), 0.885)
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0],
            "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1],
        }
    )  # fmt: skip
    micrographs = pd.DataFrame(
        {
            "rlnMicrographName": names, "rlnOpticsGroup": 1, "rlnDefocusU": 9000.0,
            "rlnDefocusV": 8900.0, "rlnDefocusAngle": 10.0,
        }
    )  # fmt: skip
    write_star(
        folder / "micrographs.star",
        {"optics": optics.assign(rlnMicrographPixelSize=0.885), "micrographs": micrographs},
        version=30001,
    )
    n = n_micrographs * n_particles
    particles = pd.DataFrame(
        {
            "rlnMicrographName": np.repeat(names, n_particles),
            "rlnImageName": [f"{i + 1}@Extract/job009/old.mrcs" for i in range(n)],
            "rlnCoordinateX": rng.uniform(edge / 40, edge - edge / 40, n),
            "rlnCoordinateY": rng.uniform(edge / 40, edge - edge / 40, n),
            "rlnAngleRot": rng.uniform(-180, 180, n),
            "rlnAngleTilt": rng.uniform(0, 180, n),
            "rlnAnglePsi": rng.uniform(-180, 180, n),
            "rlnOriginXAngst": rng.normal(0, 5, n),
            "rlnOriginYAngst": rng.normal(0, 5, n),
            "rlnOpticsGroup": 1,
            "rlnDefocusU": 9000.0,
            "rlnDefocusV": 8900.0,
            "rlnDefocusAngle": 10.0,
        }
    )
    optics = optics.assign(rlnImagePixelSize=3.54, rlnImageSize=64, rlnImageDimensionality=2)
    write_star(folder / "particles.star", {"optics": optics, "particles": particles}, version=30001)


def environment(work: Path) -> dict[str, str]:
    """Return that of this process, with a place for compiled modules."""
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return variables | {"PYTHONPYCACHEPREFIX": str(work / "compiled")}


def measure(command: list[str], folder: Path, wrapper: Path) -> Cost:
    """Run a command; each of its worker processes leaves its peak memory beside `wrapper`."""
    for path in wrapper.parent.glob("peak.*"):
        path.unlink()
    done = subprocess.run(
        ["/usr/bin/time", "-f", "%e %U %S seconds", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment(wrapper.parent),
    )
    match = re.search(r"([\d.]+) ([\d.]+) ([\d.]+) seconds", done.stderr)
    if done.returncode or match is None:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    peaks = [int(path.read_text().split()[-1]) for path in wrapper.parent.glob("peak.*")]
    wall, user, system = (float(text) for text in match.groups())
    return Cost(wall, user + system, sum(peaks) / 1024)


def smallest(costs: list[Cost]) -> Cost:
    """Return the smallest times, and the largest memory."""
    return Cost(
        min(c.wall for c in costs), min(c.cpu for c in costs), max(c.megabytes for c in costs)
    )


def idle_memory(work: Path, wrapper: Path) -> float:
    """Memory of a process that extracts a few small images, and so has loaded all it needs [MB]."""
    folder = work / "tiny"
    if not folder.exists():
        folder.mkdir()
        simulate(folder, 2, 256, 2)
    case = Case("tiny", folder, "micrographs.star", "particles.star", job_options(64, 32))
    return measure(command("aurefine", case, work, wrapper), folder, wrapper).megabytes


def command(program: str, case: Case, work: Path, wrapper: Path) -> list[str]:
    """Return the command line of a program; its files go to a folder with its name."""
    common = [
        *("--i", case.micrographs, "--reextract_data_star", case.particles),
        *("--part_dir", f"{work}/{program}/", "--part_star", f"{work}/{program}/particles.star"),
        *case.options,
    ]
    if program == "relion":
        start = ["mpirun", "--oversubscribe", "-n", str(WORKERS), str(wrapper)]
        return [*start, "relion_preprocess_mpi", *common]
    start = [str(wrapper), sys.executable, "-m", "aurefine", "extract"]
    return [*start, "--j", str(WORKERS), *common]


def compare(case: Case, work: Path, repeats: int) -> str:
    """Run both programs in turn on one case and return a line of the table."""
    wrapper = work / "wrapper.sh"
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/time -f %M -o {work}/peak.$$ "$@"\n')
    wrapper.chmod(0o755)
    costs: dict[str, list[Cost]] = {"relion": [], "aurefine": []}
    idle_memory(work, wrapper)  # compiles the modules
    idle = idle_memory(work, wrapper)
    for _ in range(repeats):
        for program, results in costs.items():
            shutil.rmtree(work / program, ignore_errors=True)
            results.append(measure(command(program, case, work, wrapper), case.folder, wrapper))
    relion, ours = smallest(costs["relion"]), smallest(costs["aurefine"])
    largest_stack = max(p.stat().st_size for p in (work / "aurefine").rglob("*.mrcs"))
    largest_micrograph = max(p.stat().st_size for p in case.folder.glob("MotionCorr/*/*/*.mrc"))
    allowed = WORKERS * (largest_stack + largest_micrograph) / 1024**2
    used = ours.megabytes - idle
    return (
        f"| {case.name} | {relion.wall:.2f} | {ours.wall:.2f} | **{relion.wall / ours.wall:.1f}** "
        f"| {relion.cpu:.2f} | {ours.cpu:.2f} | {relion.cpu / ours.cpu:.1f} "
        f"| {relion.megabytes:.0f} | {ours.megabytes:.0f} | {used:.0f} of {allowed:.0f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--project", type=Path, help="copy of the d2-micrographs project")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="fewer simulated micrographs")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    lines = [
        "| data | RELION [s] | aurefine [s] | ratio | RELION CPU [s] | aurefine CPU [s] | ratio "
        "| RELION [MB] | aurefine [MB] | of it data, and allowed [MB] |",
        "|" + "---|" * 10,
    ]
    where = surroundings(sys.argv)
    with tempfile.TemporaryDirectory(prefix="extract-speed-") as name:
        work = Path(name)
        if arguments.project:
            case = Case(
                "d2-micrographs: 5 x 2048², 220 particles, 360 → 256",
                arguments.project,
                "CtfFind/job003/micrographs_ctf.star",
                "Select/class3d_first_exhaustive/particles.star",
                job_options(360, 256),
            )
            lines.append(compare(case, work, arguments.repeats))
            print(lines[-1], flush=True)
        n_micrographs, n_particles = (4, 100) if arguments.small else (12, 200)
        folder = work / "simulated"
        simulate(folder, n_micrographs, 4096, n_particles)
        for box, size in ((360, 256), (360, 90), (512, 256), (256, 256)):
            case = Case(
                f"{n_micrographs} x 4096², {n_micrographs * n_particles} particles, {box} → {size}",
                folder,
                "micrographs.star",
                "particles.star",
                job_options(box, size),
            )
            lines.append(compare(case, work, arguments.repeats))
            print(lines[-1], flush=True)
    text = "\n".join(["# Time of extraction", "", *where, "", *lines])
    print()
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
