"""Run RELION 3.1.3 and aurefine side by side on simulated data with random options.

Each case simulates its own micrographs and particles (or map and stack), runs the RELION program
and the aurefine command with the same options, and compares every file. Prints a Markdown table:

    python benchmarks/parity_relion.py --extract 60 --image-handler 30 --o docs/parity_relion.md

Dust removal is left out: the noise that replaces dust is random in both programs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.cli.main import run_command
from aurefine.io.mrc import read_map, write_map
from aurefine.io.star import read_star, write_star

TYPES = (np.int8, np.int16, np.float32, np.uint16)
PIXEL_SIZE_LABELS = ("rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality")


@dataclass
class Comparison:
    """What differs between the files of two runs."""

    n_images: int = 0
    n_star_files: int = 0
    n_different_star: int = 0  # files whose text is not the same, byte for byte
    largest_number: float = 0.0  # largest difference of two numbers in STAR files
    image_error: float = 0.0  # largest relative RMS difference of an image file
    header_error: float = 0.0  # largest relative difference of a header value
    remarks: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        star = f"{self.n_star_files - self.n_different_star}/{self.n_star_files}"
        return [
            str(self.n_images),
            star if self.n_star_files else "-",
            f"{self.largest_number:.1e}" if self.largest_number else "0",
            f"{self.image_error:.1e}" if self.image_error else "0",
            f"{self.header_error:.1e}" if self.header_error else "0",
            "; ".join(self.remarks) or "-",
        ]


HEADINGS = (
    "case", "options", "images", "STAR files equal", "largest number difference",
    "relative RMS of images", "header", "remarks",
)  # fmt: skip


# ---------------------------------------------------------------------------------- simulated data


def write_typed_mrc(path: Path, image: npt.NDArray[np.floating], dtype: type, size: float) -> None:
    """Write a micrograph of any number type: a float32 file with mode and pixels replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_map(path, image.astype(np.float32), size)
    header = bytearray(path.read_bytes()[:1024])
    mode = {np.int8: 0, np.int16: 1, np.float32: 2, np.uint16: 6}[dtype]
    header[12:16] = mode.to_bytes(4, "little")
    path.write_bytes(bytes(header) + image.astype(dtype).tobytes())


def simulate_micrograph(
    rng: np.random.Generator, shape: tuple[int, int], centres: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Noise, a ramp and a blob at each centre; standard deviation about 1."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = rng.normal(size=shape) + rng.uniform(-0.01, 0.01) * x + rng.uniform(-0.01, 0.01) * y
    for cx, cy in centres:
        image -= 1.5 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 60)
    return image


def to_counts(image: npt.NDArray[np.floating], dtype: type) -> npt.NDArray[np.floating]:
    """Scale to the usual range of a number type."""
    gain, level = {np.int8: (12, 0), np.int16: (100, 0), np.float32: (1, 0)}.get(dtype, (200, 3000))
    if dtype is np.float32:
        return image
    info = np.iinfo(dtype)
    return np.clip(np.round(gain * image + level), info.min, info.max)


def simulate_project(rng: np.random.Generator, folder: Path) -> dict[str, object]:
    """Write micrographs, their STAR file and refined particles; return what is in them."""
    n_groups = int(rng.integers(1, 3))
    names = [f"opticsGroup{number}" for number in range(1, n_groups + 1)]
    pixel_sizes = np.round(rng.uniform(0.6, 1.4, n_groups), 3)
    binning = rng.choice([1.0, 2.0, 3.7, 4.0])
    part_sizes = np.round(pixel_sizes * binning, 4)
    if rng.random() < 0.5:
        part_sizes[:] = part_sizes[0]
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": names,
            "rlnOpticsGroup": range(1, n_groups + 1),
            "rlnMicrographOriginalPixelSize": pixel_sizes / 2,
            "rlnVoltage": 300.0,
            "rlnSphericalAberration": 2.7,
            "rlnAmplitudeContrast": 0.1,
        }
    )
    micrographs, tables = [], []
    smallest = 1000
    for number in range(int(rng.integers(1, 5))):
        dtype = TYPES[rng.integers(len(TYPES))]
        ny, nx = rng.integers(180, 420, 2)
        smallest = min(smallest, int(ny), int(nx))
        n = int(rng.integers(1, 16))
        group = int(rng.integers(n_groups)) + 1
        size = pixel_sizes[group - 1]
        centres = rng.uniform(0, [nx, ny], (n, 2))
        offsets = rng.normal(0, 4 * size, (n, 2))
        name = f"MotionCorr/job002/Movies/mic{number + 1:03d}.mrc"
        image = to_counts(simulate_micrograph(rng, (ny, nx), centres - offsets / size), dtype)
        write_typed_mrc(folder / name, image, dtype, size)
        micrographs.append((name, group, 8000.0 + 500 * number, 7800.0 + 500 * number, 20.0))
        tables.append(
            pd.DataFrame(
                {
                    "rlnMicrographName": name,
                    "rlnImageName": [f"{k + 1}@Extract/job009/mic{number}.mrcs" for k in range(n)],
                    "rlnCoordinateX": centres[:, 0],
                    "rlnCoordinateY": centres[:, 1],
                    "rlnAngleRot": rng.uniform(-180, 180, n),
                    "rlnAngleTilt": rng.uniform(0, 180, n),
                    "rlnAnglePsi": rng.uniform(-180, 180, n),
                    "rlnOriginXAngst": offsets[:, 0],
                    "rlnOriginYAngst": offsets[:, 1],
                    "rlnOpticsGroup": group,
                    "rlnDefocusU": 8000 + rng.uniform(-300, 300, n),
                    "rlnDefocusV": 7700 + rng.uniform(-300, 300, n),
                    "rlnDefocusAngle": rng.uniform(0, 180, n),
                    "rlnClassNumber": rng.integers(1, 4, n),
                    "rlnRandomSubset": rng.integers(1, 3, n),
                    "rlnNormCorrection": rng.uniform(0.8, 1.2, n),
                }
            )
        )
    labels = (
        "rlnMicrographName",
        "rlnOpticsGroup",
        "rlnDefocusU",
        "rlnDefocusV",
        "rlnDefocusAngle",
    )
    table = pd.DataFrame(micrographs, columns=labels)
    if rng.random() < 0.7:
        table = table.assign(rlnCtfMaxResolution=4.5, rlnCtfFigureOfMerit=0.15)
    if rng.random() < 0.3:
        table = table.assign(rlnPhaseShift=rng.uniform(0, 120, len(table)))
    write_star(
        folder / "micrographs_ctf.star",
        {"optics": optics.assign(rlnMicrographPixelSize=pixel_sizes), "micrographs": table},
        version=30001,
    )
    particles = pd.concat(tables, ignore_index=True)
    if rng.random() < 0.3:
        particles = particles.sample(frac=1, random_state=int(rng.integers(1000)))
    if rng.random() < 0.3:
        particles = particles.drop(columns=["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"])
    if rng.random() < 0.2:
        particles = particles.assign(rlnBeamTiltClass=1)
    if rng.random() < 0.2:
        particles["rlnMicrographName"] = particles["rlnMicrographName"].str.replace(
            "MotionCorr/job002", "Polish/job077"
        )
    part_optics = optics.assign(**dict(zip(PIXEL_SIZE_LABELS, (part_sizes, 64, 2), strict=True)))
    if rng.random() < 0.5:
        part_optics = part_optics.assign(rlnCtfDataAreCtfPremultiplied=0)
    write_star(
        folder / "particles.star",
        {"optics": part_optics, "particles": particles},
        version=30001,
    )
    for number, part in enumerate(tables):
        picked = part[["rlnCoordinateX", "rlnCoordinateY"]].assign(
            rlnAutopickFigureOfMerit=0.5, rlnClassNumber=0, rlnAnglePsi=1.5
        )
        path = folder / f"AutoPick/job006/Movies/mic{number + 1:03d}_autopick.star"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_star(path, {"": picked}, version=30001)
    return {"smallest": smallest, "one_size": len(set(part_sizes)) == 1, "size": part_sizes[0]}


def random_extract_options(rng: np.random.Generator, facts: dict[str, object]) -> list[str]:
    """Choose options of an extraction that make sense for a project."""
    options: list[str] = []
    smallest = int(str(facts["smallest"]))
    if rng.random() < 0.15:
        options += ["--coord_dir", "AutoPick/job006/", "--coord_suffix", "_autopick.star"]
    else:
        options += ["--reextract_data_star", "particles.star"]
        kind = rng.choice(["none", "reset", "centre", "point"], p=[0.15, 0.15, 0.35, 0.35])
        if kind == "reset":
            options.append("--reset_offsets")
        elif kind in ("centre", "point"):
            options.append("--recenter")
            if kind == "point":
                for axis in "xyz":
                    options += [f"--recenter_{axis}", f"{rng.uniform(-6, 6):.2f}"]
            if not facts["one_size"] or rng.random() < 0.4:
                options += ["--ref_angpix", f"{facts['size']}"]
        if rng.random() < 0.2:
            options.append("--keep_ctfs_micrographs")
    box = 2 * int(rng.integers(24, min(smallest, 160) // 2))
    options += ["--extract", "--extract_size", str(box)]
    size = box
    if rng.random() < 0.7:
        factor = rng.choice([0.3, 0.5, 0.7111, 0.9, 1.3], p=[0.2, 0.2, 0.3, 0.2, 0.1])
        size = 2 * round(box * factor / 2)
        options += ["--scale", str(size)]
    if rng.random() < 0.15:
        size = 2 * int(rng.integers(size // 4, size // 2 + 4))
        options += ["--window", str(size)]
    if rng.random() < 0.75:
        options += ["--norm", "--bg_radius", str(int(rng.uniform(0.3, 0.98) * size / 2))]
        if rng.random() < 0.25:
            options.append("--no_ramp")
    if rng.random() < 0.6:
        options.append("--invert_contrast")
    if rng.random() < 0.15:
        options += ["--extract_bias_x", str(rng.integers(-5, 6)), "--extract_bias_y", "2"]
    return options


# --------------------------------------------------------------------------------------- comparison


def compare_star(ours: Path, theirs: Path, result: Comparison) -> None:
    """Compare two STAR files as text, and by their numbers if the text differs."""
    result.n_star_files += 1
    if ours.read_bytes() == theirs.read_bytes():
        return
    result.n_different_star += 1
    mine, reference = read_star(ours), read_star(theirs)
    if list(mine.blocks) != list(reference.blocks):
        result.remarks.append(f"{ours.name}: blocks differ")
        return
    for block in reference.blocks:
        a, b = mine.table(block), reference.table(block)
        if list(a.columns) != list(b.columns) or len(a) != len(b):
            result.remarks.append(f"{ours.name} data_{block}: columns or rows differ")
            continue
        for label in b:
            if b[label].dtype.kind in "fi":
                difference = float(np.abs(a[label].to_numpy() - b[label].to_numpy()).max())
                result.largest_number = max(result.largest_number, difference)
            elif list(a[label]) != list(b[label]):
                result.remarks.append(f"{ours.name}: {label} differs")


def compare_images(ours: Path, theirs: Path, result: Comparison, *, statistics: bool) -> None:
    """Compare pixels, sizes, pixel size and (for extraction) the statistics of two files."""
    a, size_a = read_map(ours)
    b, size_b = read_map(theirs)
    result.n_images += len(b)
    if a.shape != b.shape:
        result.remarks.append(f"{ours.name}: shape {a.shape} and {b.shape}")
        return
    power = float(np.mean(b.astype(np.float64) ** 2)) or 1.0
    error = float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2) / power))
    result.image_error = max(result.image_error, error)
    if size_a is None or size_b is None or abs(size_a / size_b - 1) > 1e-6:
        result.remarks.append(f"{ours.name}: pixel size {size_a} and {size_b}")
    if statistics:
        scale = float(np.abs(b).max()) or 1.0
        for word in (19, 20, 21, 54):
            mine, reference = (
                float(np.frombuffer(path.read_bytes()[4 * word : 4 * word + 4], "<f4")[0])
                for path in (ours, theirs)
            )
            result.header_error = max(result.header_error, abs(mine - reference) / scale)


def run_ours(arguments: list[str]) -> int:
    """Run aurefine in this process, silently."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run_command(arguments)


def run_relion(arguments: list[str]) -> int:
    """Run a RELION program silently."""
    return subprocess.run(arguments, capture_output=True, check=False).returncode


def parity_of_extraction(seed: int) -> tuple[list[str], Comparison]:
    """Compare one extraction with random data and options, in a folder of its own."""
    rng = np.random.default_rng([1, seed])
    options = random_extract_options(rng, simulate_project(rng, Path()))
    output = ["--part_dir", "Extract/job011/", "--part_star", "Extract/job011/particles.star"]
    common = ["--i", "micrographs_ctf.star", *options, *output]
    ours = ["--dialect", "3.1"]
    if "--scale" in options and "--window" in options:
        ours.append("--relion_window")
    code_theirs = run_relion(["relion_preprocess", *common])
    Path("Extract").rename("Theirs") if Path("Extract").exists() else Path("Theirs").mkdir()
    code_ours = run_ours(["extract", *common, *ours])
    result = Comparison()
    if (code_ours == 0) != (code_theirs == 0):
        result.remarks.append(f"exit status {code_ours}, RELION's {code_theirs}")
    elif code_ours:
        result.remarks.append("both stop with an error")
    else:
        compare_folders(Path("Extract"), Path("Theirs"), result)
    return options, result


def compare_folders(ours: Path, theirs: Path, result: Comparison) -> None:
    """Compare all files of two folders."""
    names = {path.relative_to(theirs) for path in theirs.rglob("*.*")}
    extra = {path.relative_to(ours) for path in ours.rglob("*.*")} ^ names
    if extra:
        result.remarks.append(f"only one program writes {', '.join(sorted(map(str, extra)))}")
    for name in sorted(names - extra):
        if name.suffix == ".star":
            compare_star(ours / name, theirs / name, result)
        elif name.suffix == ".mrcs":
            compare_images(ours / name, theirs / name, result, statistics=True)


def random_image_options(rng: np.random.Generator, is_stack: bool) -> list[str]:
    """Choose one to three operations of the image handler that go together."""
    angpix = ["--angpix", f"{rng.uniform(0.8, 4):.3f}"]
    size = float(angpix[1])
    shift = [f"{rng.uniform(-4, 4):.2f}" for _ in range(3)]
    shift_z = [] if is_stack else ["--shift_z", shift[2]]
    groups = [
        [
            ["--multiply_constant", f"{rng.uniform(-3, 3):.3f}"],
            ["--add_constant", f"{rng.uniform(-3, 3):.3f}"],
            ["--subtract_constant", f"{rng.uniform(-3, 3):.3f}"],
            ["--divide_constant", f"{rng.uniform(1, 3):.3f}"],
            ["--bfactor", f"{rng.uniform(-150, 150):.1f}", *angpix],
        ],
        [
            ["--lowpass", f"{size * rng.uniform(3, 9):.2f}", *angpix],
            ["--highpass", f"{size * rng.uniform(6, 15):.2f}", *angpix],
            ["--shift_x", shift[0], "--shift_y", shift[1], *shift_z],
        ],
        [
            ["--rescale_angpix", f"{size * rng.uniform(0.6, 1.8):.3f}", *angpix],
            ["--new_box", str(rng.integers(12, 60))],
            [
                "--rescale_angpix", f"{size * rng.uniform(0.6, 1.8):.3f}", *angpix,
                "--new_box", str(rng.integers(12, 60)),
            ],
            ["--threshold_above", "0.6", "--threshold_below", "-0.4"],
        ],
    ]  # fmt: skip
    alone = [["--flipX"], ["--flipY"], ["--invert_hand"]]
    if not is_stack:
        alone += [["--flipZ"], ["--sym", str(rng.choice(["C3", "D2", "D3", "O"]))], ["--shift_com"]]
    if rng.random() < 0.25:
        return list(alone[rng.integers(len(alone))])
    options: list[str] = []
    for group in groups:
        if rng.random() < 0.6:
            options += [word for word in group[rng.integers(len(group))]]
    options = options or groups[2][0]
    unique = list(dict.fromkeys(zip(options[::2], options[1::2], strict=True)))
    return [word for pair in unique for word in pair]


def parity_of_image_handler(seed: int) -> tuple[list[str], Comparison]:
    """Compare one operation on a random map or stack."""
    rng = np.random.default_rng([2, seed])
    is_stack = bool(rng.random() < 0.3)
    n = 2 * int(rng.integers(10, 25))
    data = rng.normal(0, 0.3, (5 if is_stack else n, n, n)).astype(np.float32)
    axis = np.arange(n) - n / 2
    data += 2 * np.exp(-(axis[:, None] ** 2 + (axis - 2) ** 2) / n).astype(np.float32)
    name, made = ("in.mrcs", "out.mrcs") if is_stack else ("in.mrc", "out.mrc")
    write_map(name, data, 1.7)
    options = random_image_options(rng, is_stack)
    code_theirs = run_relion(["relion_image_handler", "--i", name, *options, "--o", f"r_{made}"])
    code_ours = run_ours(["image-handler", "--i", name, *options, "--o", made])
    result = Comparison()
    if (code_ours == 0) != (code_theirs == 0):
        result.remarks.append(f"exit status {code_ours}, RELION's {code_theirs}")
    elif code_ours == 0:
        # RELION copies the statistics of the input header
        compare_images(Path(made), Path(f"r_{made}"), result, statistics=False)
    return options, result


# ------------------------------------------------------------------------------------------- table


def shorten(options: list[str]) -> str:
    """Write options without what all cases have in common."""
    text = " ".join(options).replace("--reextract_data_star particles.star ", "")
    return f"`{text.replace('--extract --extract_size', '--extract_size')}`"


def table(title: str, cases: list[tuple[list[str], Comparison]]) -> list[str]:
    """Format cases as Markdown, worst values first in a summary line."""
    results = [result for _, result in cases]
    n_star = sum(result.n_star_files for result in results)
    n_different = sum(result.n_different_star for result in results)
    n_remarks = sum(bool(result.remarks) for result in results)
    lines = [
        f"## {title}",
        "",
        f"{len(cases)} cases, {sum(result.n_images for result in results)} images.",
        f"STAR files equal byte for byte: {n_star - n_different} of {n_star}; largest difference "
        f"of two numbers: {max(result.largest_number for result in results):.1e}.",
        "Largest relative RMS difference of the images of a file: "
        f"{max(result.image_error for result in results):.1e}; of header statistics, relative to "
        f"the largest pixel: {max(result.header_error for result in results):.1e}.",
        f"Cases with remarks: {n_remarks}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
    ]
    for number, (options, result) in enumerate(cases, 1):
        lines.append(f"| {' | '.join([str(number), shorten(options), *result.cells()])} |")
    return [*lines, ""]


def run_cases(parity: object, n_cases: int) -> list[tuple[list[str], Comparison]]:
    """Run cases, each in an empty folder."""
    assert callable(parity)
    cases = []
    start = Path.cwd()
    for seed in range(n_cases):
        folder = tempfile.mkdtemp(prefix="parity-")
        try:
            os.chdir(folder)
            cases.append(parity(seed))
        finally:
            os.chdir(start)
            shutil.rmtree(folder)
        sys.stderr.write(f"\r{seed + 1}/{n_cases}")
    sys.stderr.write("\n")
    return cases


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--extract", type=int, default=60, help="cases of relion_preprocess")
    parser.add_argument("--image-handler", type=int, default=30, help="of relion_image_handler")
    parser.add_argument("--o", default="", help="write the table to this file, too")
    arguments = parser.parse_args()
    lines = [
        "# Parity with RELION 3.1.3",
        "",
        "Made by `benchmarks/parity_relion.py`: simulated data, random options, both programs "
        "with the same command line.",
        "All cases of extraction have `--i`, `--part_dir`, `--part_star` and, unless another "
        "source is named, `--reextract_data_star`.",
        "aurefine writes the dialect of RELION 3.1 (`--dialect 3.1`) and, where RELION rescales "
        "and windows, crops off the centre as RELION does (`--relion_window`).",
        "",
    ]
    if arguments.extract:
        cases = run_cases(parity_of_extraction, arguments.extract)
        lines += table("Particle extraction (`relion_preprocess`)", cases)
    if arguments.image_handler:
        cases = run_cases(parity_of_image_handler, arguments.image_handler)
        lines += table("Image handler (`relion_image_handler`)", cases)
    text = "\n".join(lines).rstrip() + "\n"
    sys.stdout.write(text)
    if arguments.o:
        Path(arguments.o).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
