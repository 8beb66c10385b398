"""What re-centring gains: particles extracted again with and without it, refined, compared.

    python benchmarks/recentre_gain.py --data ../shared/data/d2-micrographs

The folder of the data is a project with refined particles of binned images: CtfFind, MotionCorr,
Select, Class3D, truth.star and true_map.mrc. The same particles are extracted re-centred on their
refined offsets (--recenter), with offsets and coordinates as they are, and with offsets set to zero
(--reset_offsets). --pick_errors moves the coordinates before that, and the refined offsets with
them, as if the particles had been picked less exactly. Each set is refined with several seeds.
Prints a Markdown table of means over the seeds: resolutions inside a sphere, and errors of the
poses; positions are compared in the micrograph, so that it does not matter how they are divided
into coordinate and offset.

Half maps that share nothing but the signal have an FSC of C² / (2 - C²), if C is that of the joined
map with the true one. What they have more than that is a bias that the halves share.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.fourier import fsc_of_maps
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import point_group
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from aurefine.io.particles import read_micrographs, read_particles
from aurefine.io.stacks import split_image_name
from aurefine.io.star import write_star
from aurefine.maps.matching import match_grid
from measuring import JOB_OPTIONS, OURS, crossing, publish, run_job, surroundings

Float = npt.NDArray[np.float64]
MASK_EDGE_PX = 5
MICROGRAPHS = "CtfFind/job003/micrographs_ctf.star"
PARTICLES = "Select/class3d_first_exhaustive/particles.star"
REFERENCE = "Class3D/first_exhaustive/run_it025_class001.mrc"
LINKED = ("CtfFind", "Class3D", "MotionCorr", "Select")
CHOICES = {
    "re-centred": ["--recenter"],
    "as they were": [],
    "offsets set to 0": ["--reset_offsets"],
}
BAND = (9.0, 4.5)  # a mean over shells [Å] does not depend on where a curve crosses a threshold
COLUMNS = (
    "half maps, FSC 0.143 [Å]",
    "true map, FSC 0.5 [Å]",
    "true map, FSC 0.143 [Å]",
    f"true map, mean FSC from {BAND[0]:g} to {BAND[1]:g} Å",
    "half maps, mean excess over the FSC that follows from it",
    "angles, median [°]",
    "angles, 90 % [°]",
    "positions, median [Å]",
    "positions, 90 % [Å]",
)


def pick_less_exactly(data: Path, error: float, path: Path) -> float:
    """Write the refined particles with other coordinates of the same images of molecules.

    Coordinates are moved by whole pixels of the micrograph, normally distributed with `error` [Å]
    along each axis, and the offsets that the classification has found by as much. Returns the
    mean length of the offsets [Å].
    """
    table = read_particles(data / PARTICLES)
    optics = read_micrographs(data / MICROGRAPHS).optics
    pixel_size = float(optics["rlnMicrographPixelSize"].iloc[0])
    particles = table.particles.copy()
    rng = np.random.default_rng(1)
    offsets = []
    for axis in "XY":
        moved = np.round(rng.normal(0, error / pixel_size, len(particles)))
        particles[f"rlnCoordinate{axis}"] += moved
        particles[f"rlnOrigin{axis}Angst"] += moved * pixel_size
        offsets.append(particles[f"rlnOrigin{axis}Angst"].to_numpy(float))
    write_star(path, {"optics": table.optics, "particles": particles}, version=30001)
    return float(np.hypot(*offsets).mean())


def extract(
    folder: Path, particles: str, name: str, options: list[str], box: int, size: int
) -> str:
    """Extract all particles and return the name of their STAR file."""
    part_dir = f"Extract/{name}/"
    command = [
        *(sys.executable, "-m", "aurefine", "extract", "--i", MICROGRAPHS),
        *("--reextract_data_star", particles, *options, "--part_dir", part_dir),
        *("--part_star", f"{part_dir}particles.star", "--extract_size", str(box)),
        *("--scale", str(size), "--norm", "--bg_radius", str(3 * size // 8)),
        *("--invert_contrast", "--j", "2"),
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return f"{part_dir}particles.star"


def original_rows(table: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Return the row of truth.star for each extracted particle.

    Particles keep their order inside each micrograph, and stacks are numbered in that order.
    """
    source = read_particles(data / PARTICLES).particles
    order = source.groupby("rlnMicrographName", sort=False)["rlnImageName"].agg(list)
    truth = read_particles(data / "truth.star").particles.set_index("rlnImageName")
    names = [
        order[micrograph][split_image_name(image)[0] - 1]
        for image, micrograph in zip(table["rlnImageName"], table["rlnMicrographName"], strict=True)
    ]
    return truth.loc[names]


def positions(table: pd.DataFrame, pixel_size: float) -> Float:
    """Centres of the particles in their micrographs, shape (n, 2) [Å]."""
    columns = [
        table[f"rlnCoordinate{axis}"].to_numpy(float) * pixel_size
        - table[f"rlnOrigin{axis}Angst"].to_numpy(float)
        for axis in "XY"
    ]
    return np.stack(columns, axis=1)


def pose_errors(root: Path, data: Path, symmetry: str) -> tuple[Float, Float]:
    """Return errors of the orientations [degrees] and positions [Å] of a finished run."""
    table = read_particles(f"{root}_data.star").particles
    true = original_rows(table, data)
    found, expected = (
        matrix_from_euler(*(t[f"rlnAngle{n}"].to_numpy(float) for n in ("Rot", "Tilt", "Psi")))
        for t in (table, true)
    )
    cosines = [
        (np.einsum("nij,nij->n", found, expected @ mate) - 1) / 2
        for mate in point_group(symmetry).matrices
    ]
    angles = np.degrees(np.arccos(np.clip(np.max(cosines, axis=0), -1, 1)))
    optics = read_micrographs(data / MICROGRAPHS).optics
    pixel_size = float(optics["rlnMicrographPixelSize"].iloc[0])
    shifts = positions(table, pixel_size) - positions(true, pixel_size)
    return angles, np.hypot(shifts[:, 0], shifts[:, 1])


def mean_in_band(fsc: Float, extent: float) -> float:
    """Mean of an FSC curve over the shells of `BAND`; `extent` is box times pixel size [Å]."""
    resolution = extent / np.maximum(np.arange(len(fsc)), 1)
    return float(np.mean(fsc[(resolution <= BAND[0]) & (resolution >= BAND[1])]))


def evaluate(root: Path, data: Path, symmetry: str, radius: float) -> list[float]:
    """Return the numbers of one run, in the order of `COLUMNS`."""
    joined, pixel_size = read_map(f"{root}_class001.mrc")
    truth, true_pixel_size = read_map(data / "true_map.mrc")
    if pixel_size is None or true_pixel_size is None:
        raise SystemExit("a map has no pixel size")
    n = len(joined)
    truth = match_grid(truth, true_pixel_size, box=n, wanted=pixel_size)
    mask = soft_sphere(n, radius / pixel_size, MASK_EDGE_PX)
    halves = [read_map(f"{root}_half{half}_class001_unfil.mrc")[0] for half in (1, 2)]
    between = fsc_of_maps(halves[0] * mask, halves[1] * mask)
    to_truth = fsc_of_maps(joined * mask, truth * mask)
    angles, shifts = pose_errors(root, data, symmetry)
    return [
        crossing(between, 0.143, n * pixel_size),
        crossing(to_truth, 0.5, n * pixel_size),
        crossing(to_truth, 0.143, n * pixel_size),
        mean_in_band(to_truth, n * pixel_size),
        mean_in_band(between - to_truth**2 / (2 - to_truth**2), n * pixel_size),
        *(float(np.quantile(angles, q)) for q in (0.5, 0.9)),
        *(float(np.quantile(shifts, q)) for q in (0.5, 0.9)),
    ]


def compare(
    arguments: argparse.Namespace, data: Path, work: Path, error: float, box: int, size: int
) -> list[str]:
    """Extract and refine in all ways with one box, and return the lines of the table."""
    lines = []
    picked = f"picked_{error:g}.star"
    offset = pick_less_exactly(data, error, work / picked)
    for number, (title, options) in enumerate(CHOICES.items()):
        if title not in arguments.ways:
            continue
        name = f"box{box}_{size}_error{error:g}_{number}"
        particles = extract(work, picked, name, options, box, size)
        runs = []
        for seed in range(1, arguments.seeds + 1):
            root = work / f"Refine3D/{name}_seed{seed}/run"
            full = [
                *("--i", particles, "--ref", REFERENCE, "--rescale_ref", "--sym", arguments.sym),
                *("--particle_diameter", f"{arguments.diameter:g}", "--ini_high", "50"),
                *("--random_seed", str(seed), "--j", "2", *JOB_OPTIONS.split()),
            ]
            run_job(OURS, full, work, root)
            runs.append(evaluate(root, data, arguments.sym, arguments.radius))
        mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0)
        cells = [f"{m:.3g} ± {s:.2g}" for m, s in zip(mean, spread, strict=True)]
        lines.append(f"| {offset:.0f} | {box} → {size} | {title} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--boxes", nargs="+", default=["360:90", "240:60"], metavar="BOX:SIZE")
    parser.add_argument(
        "--pick_errors", nargs="+", type=float, default=[0.0], help="added to those there are [Å]"
    )
    parser.add_argument("--ways", nargs="+", default=list(CHOICES), choices=list(CHOICES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sym", default="D2")
    parser.add_argument("--diameter", type=float, default=190.0, help="of the particle mask [Å]")
    parser.add_argument("--radius", type=float, default=95.0, help="of the spherical mask [Å]")
    parser.add_argument("--work", type=Path, help="folder for the runs, kept")
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    where = surroundings(sys.argv)
    lines = [
        "| mean offset [Å] | box | offsets | " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * (len(COLUMNS) + 3),
    ]
    with tempfile.TemporaryDirectory(prefix="recentre-") as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        for name in LINKED:
            if not (work / name).exists():
                (work / name).symlink_to(data / name)
        for pair in arguments.boxes:
            box, size = (int(part) for part in pair.split(":"))
            for error in arguments.pick_errors:
                lines += compare(arguments, data, work, error, box, size)
    text = "\n".join(
        [
            "# What re-centring gains",
            "",
            f"Data: {data.name}; means and standard deviations of {arguments.seeds} refinements "
            "with different seeds.",
            f"Resolutions are those inside a sphere of {arguments.radius:g} Å, interpolated "
            "between shells.",
            *where,
            "",
            *lines,
        ]
    )
    print()
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
