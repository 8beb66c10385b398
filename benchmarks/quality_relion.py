"""Complete refinements by RELION and aurefine of the same simulated particles, compared.

    python benchmarks/quality_relion.py --data ../shared/data/d2-small --sym D2 --diameter 190

The folder of the data holds particles.star, reference.mrc, truth.star and true_map.mrc. Finished
runs are taken with --relion-run DIR/run and --our-run DIR/run. Prints a Markdown table: resolution
between the half maps and against the true map, without and with a spherical mask, errors of the
poses, and the accuracies that the programs print.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aurefine.fourier import fsc_of_maps
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import point_group
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from aurefine.io.particles import read_particles
from measuring import JOB_OPTIONS, OURS, crossing, publish, relion_mpi, run_job, surroundings

Float = npt.NDArray[np.float64]
MASK_EDGE_PX = 5


@dataclass(frozen=True)
class Quality:
    """What is measured of one run; Å and degrees. Pairs are without and with the mask."""

    half_maps: tuple[float, float]  # FSC 0.143
    true_map_half: tuple[float, float]  # FSC 0.5
    true_map_seventh: tuple[float, float]  # FSC 0.143
    angle_median: float
    angle_high: float  # 90 % of the particles are below
    offset_median: float
    offset_high: float
    printed_angle: float
    printed_offset: float
    n_iterations: int
    seconds: float | None


def evaluate(root: str, data: Path, symmetry: str, radius: float, seconds: float | None) -> Quality:
    """Measure a finished run."""
    truth, pixel_size = read_map(data / "true_map.mrc")
    if pixel_size is None:
        raise SystemExit(f"{data / 'true_map.mrc'} has no pixel size")
    n = len(truth)
    extent = n * pixel_size
    joined = read_map(f"{root}_class001.mrc")[0]
    halves = [read_map(f"{root}_half{half}_class001_unfil.mrc")[0] for half in (1, 2)]
    mask = soft_sphere(n, radius / pixel_size, MASK_EDGE_PX)
    between = [fsc_of_maps(halves[0] * m, halves[1] * m) for m in (np.float32(1), mask)]
    to_truth = [fsc_of_maps(joined * m, truth * m) for m in (np.float32(1), mask)]
    angle, offset = pose_errors(f"{root}_data.star", data / "truth.star", symmetry)
    printed_angle, printed_offset, n_iterations = printed(Path(root).parent / "run.out")
    return Quality(
        half_maps=(crossing(between[0], 0.143, extent), crossing(between[1], 0.143, extent)),
        true_map_half=(crossing(to_truth[0], 0.5, extent), crossing(to_truth[1], 0.5, extent)),
        true_map_seventh=(
            crossing(to_truth[0], 0.143, extent),
            crossing(to_truth[1], 0.143, extent),
        ),
        angle_median=float(np.median(angle)),
        angle_high=float(np.quantile(angle, 0.9)),
        offset_median=float(np.median(offset)),
        offset_high=float(np.quantile(offset, 0.9)),
        printed_angle=printed_angle,
        printed_offset=printed_offset,
        n_iterations=n_iterations,
        seconds=seconds,
    )


def pose_errors(found: str, truth: Path, symmetry: str) -> tuple[Float, Float]:
    """Return angle [degrees] and distance [Å] between the found and the true poses.

    The angle is that of the rotation between both orientations, the smallest over the symmetry
    mates. Without symmetry a common rotation of all particles would count as an error.
    """
    table = read_particles(found).particles
    true = read_particles(truth).particles.set_index("rlnImageName").loc[table["rlnImageName"]]
    rotation, true_rotation = (
        matrix_from_euler(
            *(t[f"rlnAngle{name}"].to_numpy(float) for name in ("Rot", "Tilt", "Psi"))
        )
        for t in (table, true)
    )
    cosines = np.stack(
        [
            (np.einsum("nij,nij->n", rotation, true_rotation @ mate) - 1) / 2
            for mate in point_group(symmetry).matrices
        ]
    )
    angle = np.degrees(np.arccos(np.clip(cosines.max(0), -1, 1)))
    dx, dy = (
        table[f"rlnOrigin{axis}Angst"].to_numpy(float)
        - true[f"rlnOrigin{axis}Angst"].to_numpy(float)
        for axis in "XY"
    )
    return angle, np.hypot(dx, dy)


def printed(log: Path) -> tuple[float, float, int]:
    """Return the last accuracies that a run printed [degrees, Å], and its last iteration."""
    text = log.read_text(errors="replace")
    accuracies = re.findall(r"Estimated accuracy angles= (\S+) degrees; offsets= (\S+) Ang", text)
    iterations = re.findall(r"Auto-refine: Iteration= (\d+)", text)
    if not accuracies or not iterations:
        raise SystemExit(f"{log} is not the log of a refinement")
    angle, offset = accuracies[-1]
    return float(angle), float(offset), int(iterations[-1])


def table(runs: dict[str, Quality], oracle_radius: float) -> list[str]:
    """Return a Markdown table with one column for each run."""
    rows: list[tuple[str, list[str]]] = []

    def add(title: str, cells: list[str]) -> None:
        rows.append((title, cells))

    qualities = list(runs.values())
    masked = f"sphere of {oracle_radius:g} Å"
    for title, name in (
        ("half maps, FSC 0.143", "half_maps"),
        ("true map, FSC 0.5", "true_map_half"),
        ("true map, FSC 0.143", "true_map_seventh"),
    ):
        pairs = [getattr(quality, name) for quality in qualities]
        add(f"{title} [Å]", [f"{pair[0]:.2f}" for pair in pairs])
        add(f"{title}, {masked} [Å]", [f"{pair[1]:.2f}" for pair in pairs])
    add(
        "error of angles, median (90 %) [°]",
        [f"{q.angle_median:.2f} ({q.angle_high:.2f})" for q in qualities],
    )
    add("accuracy of angles printed [°]", [f"{q.printed_angle:.2f}" for q in qualities])
    add(
        "error of offsets, median (90 %) [Å]",
        [f"{q.offset_median:.2f} ({q.offset_high:.2f})" for q in qualities],
    )
    add("accuracy of offsets printed [Å]", [f"{q.printed_offset:.2f}" for q in qualities])
    add("iterations", [str(q.n_iterations) for q in qualities])
    add("wall time [s]", ["-" if q.seconds is None else f"{q.seconds:.0f}" for q in qualities])
    lines = [["", *runs], ["---"] * (len(runs) + 1), *([title, *cells] for title, cells in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def verdicts(relion: Quality, ours: Quality) -> list[str]:
    """Return the questions that the comparison has to answer."""
    answers = (
        (
            "Half maps at least as good as RELION's, without and with the mask",
            all(a <= b for a, b in zip(ours.half_maps, relion.half_maps, strict=True)),
        ),
        (
            "FSC 0.5 to the true map at least as good as RELION's, without and with the mask",
            all(a <= b for a, b in zip(ours.true_map_half, relion.true_map_half, strict=True)),
        ),
        (
            "Median errors of angles and offsets below the printed accuracies",
            ours.angle_median < ours.printed_angle and ours.offset_median < ours.printed_offset,
        ),
    )
    return [f"- {question}: {'yes' if answer else '**no**'}." for question, answer in answers]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the simulation")
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--diameter", type=float, default=190.0, help="of the particle mask [Å]")
    parser.add_argument("--ini_high", type=float, default=50.0, help="[Å]")
    parser.add_argument("--radius", type=float, default=95.0, help="of the spherical mask [Å]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of aurefine")
    parser.add_argument("--processes", type=int, default=3, help="of relion_refine_mpi")
    parser.add_argument("--relion-run", help="root of a finished run, e.g. DIR/run")
    parser.add_argument("--our-run", help="root of a finished run")
    parser.add_argument("--work", type=Path, help="folder for the runs, kept")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    data = arguments.data.resolve()
    options = [
        *("--i", "particles.star", "--ref", "reference.mrc", "--sym", arguments.sym),
        *("--particle_diameter", f"{arguments.diameter:g}"),
        *("--ini_high", f"{arguments.ini_high:g}", "--random_seed", str(arguments.seed)),
        *JOB_OPTIONS.split(),
    ]
    with tempfile.TemporaryDirectory(prefix="quality-") as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        jobs = {
            "RELION": (
                arguments.relion_run,
                relion_mpi(arguments.processes),
                ["--j", "1", "--pool", "3", "--dont_combine_weights_via_disc"],
            ),
            "aurefine": (arguments.our_run, OURS, ["--j", str(arguments.threads)]),
        }
        runs = {}
        for name, (root, command, further) in jobs.items():
            seconds = None
            if root is None:
                root = str(work / name / "run")
                seconds = run_job(command, [*options, *further], data, Path(root))
            runs[name] = evaluate(root, data, arguments.sym, arguments.radius, seconds)
    n_particles = len(read_particles(data / "particles.star").particles)
    text = "\n".join(
        [
            "# Quality of complete refinements",
            "",
            f"Data: {data.name}, {n_particles} simulated particles, symmetry {arguments.sym}.",
            "Resolutions are interpolated between shells.",
            *where,
            f"Options: `{' '.join(options)}`.",
            *(
                f"{name}: a finished run was taken."
                for name, (root, _, _) in jobs.items()
                if root is not None
            ),
            "",
            *table(runs, arguments.radius),
            "",
            *verdicts(runs["RELION"], runs["aurefine"]),
        ]
    )
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
