"""The same particles in other forms of files give the same result."""

import mrcfile
import numpy as np
import pandas as pd
import pytest

from aurefine.cli.main import run_command
from aurefine.io import ParticleTable, read_map, read_particles, write_particles, write_star
from aurefine.io.mrc import StackWriter

N_ITERATIONS = 2


@pytest.fixture
def copy(project, tmp_path, monkeypatch):
    """Project directory that links to the files of the tiny project."""
    for name in ("particles.star", "particles.mrcs", "reference.mrc"):
        (tmp_path / name).symlink_to(project / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def result(copy, standard_options, without_figures, monkeypatch):
    """Run a few iterations in the project and return the maps of both halves."""

    without_figures(monkeypatch)

    def run(particles="particles.star"):
        command = ["refine", "--i", particles, "--ref", "reference.mrc", *standard_options]
        assert run_command([*command, "--o", "job/run", "--auto_iter_max", str(N_ITERATIONS)]) == 0
        stem = f"job/run_it{N_ITERATIONS:03d}"
        return np.stack([read_map(f"{stem}_half{half}_class001.mrc")[0] for half in (1, 2)])

    return run


@pytest.fixture
def expected(finished):
    stem = f"{finished}/run_it{N_ITERATIONS:03d}"
    return np.stack([read_map(f"{stem}_half{half}_class001.mrc")[0] for half in (1, 2)])


def difference(maps, expected):
    return float(np.sqrt(np.mean((maps - expected) ** 2)) / expected.std())


def write_stack(path, images, half_precision=False):
    with StackWriter(path, len(images), 32, 7.08, half_precision=half_precision) as stack:
        for image in images:
            stack.append(image)


def test_half_precision_stacks(copy, result, expected):
    images, _ = read_map("particles.mrcs")
    (copy / "particles.mrcs").unlink()
    write_stack("particles.mrcs", images, half_precision=True)
    # 11 bits: errors of 2e-4 of the noise, which may tip a discrete choice
    assert difference(result(), expected) < 0.02


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_integer_stacks(copy, result, expected, kind):
    """Pixels in steps of a 16th of the noise; the first iteration ignores the greyscale."""
    images, _ = read_map("particles.mrcs")
    (copy / "particles.mrcs").unlink()
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    with mrcfile.new("particles.mrcs") as mrc:
        mrc.set_data(np.clip(np.rint(images * 16), low, high).astype(kind))
        mrc.voxel_size = 7.08
        mrc.set_image_stack()
    assert difference(result() / 16, expected) < 0.1


def test_legacy_particle_files(copy, result, expected):
    """One block with microscope values in every row, as before RELION 3.1."""
    table = read_particles("particles.star")
    rows = table.particles.rename(columns={"rlnOpticsGroup": "group"})
    optics = table.optics.set_index("rlnOpticsGroup").loc[rows["group"]].reset_index(drop=True)
    rows = rows.drop(columns="group").assign(
        rlnVoltage=optics["rlnVoltage"],
        rlnSphericalAberration=optics["rlnSphericalAberration"],
        rlnAmplitudeContrast=optics["rlnAmplitudeContrast"],
        rlnDetectorPixelSize=7.08,
        rlnMagnification=10000.0,
    )
    write_star("legacy.star", {"": rows}, version=None)
    assert difference(result("legacy.star"), expected) == 0


def test_rows_in_another_order(copy, result, expected):
    """Particles are sorted by micrograph, whatever their order in the file."""
    table = read_particles("particles.star")
    micrographs = table.particles["rlnMicrographName"]
    order = pd.concat(
        [table.particles[micrographs == name] for name in sorted(set(micrographs), reverse=True)]
    )
    write_particles("mixed.star", ParticleTable(table.optics, order, "mixed.star"))
    assert difference(result("mixed.star"), expected) == 0


def test_one_stack_per_micrograph_in_folders(copy, result, expected):
    table = read_particles("particles.star")
    images, _ = read_map("particles.mrcs")
    names = []
    (copy / "Extract").mkdir()
    for number, rows in enumerate(table.particles.groupby("rlnMicrographName").groups.values()):
        path = f"Extract/mic{number}.mrcs"
        write_stack(path, images[list(rows)])
        names += [f"{i + 1:06d}@{path}" for i in range(len(rows))]
    particles = table.particles.assign(rlnImageName=names)
    write_particles("Extract/particles.star", ParticleTable(table.optics, particles, "x"))
    assert difference(result("Extract/particles.star"), expected) == 0


def test_a_run_from_another_folder_finds_the_images(
    project, standard_options, expected, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    inputs = ["--i", f"{project}/particles.star", "--ref", f"{project}/reference.mrc"]
    output = ["--o", f"{tmp_path}/job/run", "--auto_iter_max", str(N_ITERATIONS)]
    assert run_command(["refine", *inputs, *standard_options, *output]) == 0
    assert f"images are read relative to {project}" in capsys.readouterr().err
    found, _ = read_map(f"job/run_it{N_ITERATIONS:03d}_half1_class001.mrc")
    assert difference(found, expected[0]) == 0


def test_particles_converted_from_cryosparc(copy, result, expected):
    """Marked paths with unique numbers, stacks named .mrc, offsets in pixels, odd columns."""
    table = read_particles("particles.star")
    (copy / "J9").mkdir()
    stack = bytearray((copy / "particles.mrcs").read_bytes())
    stack[88:92] = bytes(4)  # space group of images
    (copy / "J9" / "mic_particles.mrc").write_bytes(stack)
    numbers = table.particles["rlnImageName"].str.partition("@")[0]
    rows = table.particles.assign(
        rlnImageName=numbers.str.lstrip("0") + "@>J9/008514302198876543210_mic_particles.mrc",
        rlnOriginX=table.particles.get("rlnOriginXAngst", pd.Series(0.0, numbers.index)) / 7.08,
        rlnOriginY=table.particles.get("rlnOriginYAngst", pd.Series(0.0, numbers.index)) / 7.08,
        csUid=[f"uid{i}" for i in range(len(numbers))],
    ).drop(columns=["rlnOriginXAngst", "rlnOriginYAngst"], errors="ignore")
    rows = rows[sorted(rows.columns, reverse=True)]
    optics = table.optics.drop(columns=["rlnImageDimensionality"], errors="ignore")
    write_star("cryosparc.star", {"optics": optics, "particles": rows})
    assert difference(result("cryosparc.star"), expected) < 1e-5
    written = read_particles(f"job/run_it{N_ITERATIONS:03d}_data.star").particles
    assert written["rlnImageName"].iloc[0].partition("@")[2].startswith(">J9/0085")
    assert set(written["csUid"]) == set(rows["csUid"])
