"""Bad input: one clear message, an exit code, nothing half written."""

import re
import shlex
import shutil

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io import (
    ParticleTable,
    StackWriter,
    read_map,
    read_particles,
    write_map,
    write_particles,
)

OPTIONS = shlex.split("--sym D2 --particle_diameter 190 --ini_high 50 --ctf --auto_iter_max 1")


@pytest.fixture
def broken(project, tmp_path, without_figures, monkeypatch):
    """Project of its own, whose files the tests may spoil."""
    for name in ("particles.star", "particles.mrcs", "reference.mrc"):
        shutil.copy(project / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    without_figures(monkeypatch)
    return tmp_path


@pytest.fixture
def failure(broken, capsys):
    """Run in the spoilt project, check that it fails decently, and return the message."""

    def run(*options, inputs=("--i", "particles.star", "--ref", "reference.mrc"), code=1):
        capsys.readouterr()
        assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS, *options]) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        errors = [line for line in captured.err.splitlines() if "aurefine: error:" in line]
        assert len(errors) == 1, captured.err
        assert "defect" not in errors[0]  # what is unforeseen
        left = {path.name for path in (broken / "job").glob("*")}
        assert left <= {"run.out", "run.err"}
        return captured.err

    return run


def change_table(change, **optics):
    """Rewrite particles.star after `change(particles)`, with optics columns added or replaced."""
    table = read_particles("particles.star")
    particles = change(table.particles.copy())
    write_particles(
        "particles.star", ParticleTable(table.optics.assign(**optics), particles, table.path)
    )


def set_value(column, row, value):
    def change(particles):
        particles[column] = particles[column].astype(object if isinstance(value, str) else float)
        particles.loc[row, column] = value
        return particles

    return change


# --- stacks


def test_a_missing_stack(broken, failure):
    (broken / "particles.mrcs").unlink()
    message = failure()
    assert "particles.mrcs" in message
    assert "does not exist" in message
    assert "project" in message  # where to run from


def test_a_truncated_stack(broken, failure):
    data = (broken / "particles.mrcs").read_bytes()
    (broken / "particles.mrcs").write_bytes(data[:-1000])
    message = failure()
    assert "particles.mrcs" in message
    assert re.search(r"truncated|too short|incomplete|bytes", message)


def test_a_stack_that_is_no_stack(broken, failure):
    (broken / "particles.mrcs").write_bytes(b"hello" * 1000)
    assert "particles.mrcs" in failure()


def test_an_empty_stack(broken, failure):
    (broken / "particles.mrcs").write_bytes(b"")
    assert "particles.mrcs" in failure()


@pytest.mark.parametrize("number", [0, 81])
def test_an_image_number_out_of_range(failure, number):
    change_table(set_value("rlnImageName", 3, f"{number:06d}@particles.mrcs"))
    message = failure()
    assert f"image {number} of particles.mrcs does not exist" in message
    assert "80 images" in message


def test_an_image_name_that_is_no_name(failure):
    change_table(set_value("rlnImageName", 3, "x@particles.mrcs"))
    assert "x@particles.mrcs" in failure()


def test_pixels_that_are_not_finite(broken, failure):
    images, pixel_size = read_map("particles.mrcs")
    images[7, 3, 3] = np.nan
    write_stack("particles.mrcs", images, pixel_size)
    message = failure()
    assert "000008@particles.mrcs" in message
    assert "not finite" in message


def test_odd_boxes(broken, failure):
    images, pixel_size = read_map("particles.mrcs")
    write_stack("particles.mrcs", images[:, :31, :31], pixel_size)
    change_table(lambda p: p, rlnImageSize=31)
    assert "even" in failure()


def test_a_box_that_the_optics_table_denies(failure):
    change_table(lambda p: p, rlnImageSize=64)
    message = failure()
    assert "32 px" in message
    assert "64 px" in message


# --- particle file


def test_no_particle_file(failure):
    inputs = ("--i", "nothing.star", "--ref", "reference.mrc")
    assert "nothing.star" in failure(inputs=inputs)


def test_a_particle_file_that_is_no_star_file(broken, failure):
    assert "particles.mrcs" in failure(inputs=("--i", "particles.mrcs", "--ref", "reference.mrc"))
    (broken / "text.star").write_text("hello world\n")
    assert "text.star" in failure(inputs=("--i", "text.star", "--ref", "reference.mrc"))
    (broken / "empty.star").write_text("")
    assert "empty.star" in failure(inputs=("--i", "empty.star", "--ref", "reference.mrc"))


def test_a_folder_as_particle_file(broken, failure):
    assert str(broken) in failure(inputs=("--i", str(broken), "--ref", "reference.mrc"))


@pytest.mark.parametrize(
    "column", ["rlnImageName", "rlnMicrographName", "rlnOpticsGroup", "rlnDefocusU"]
)
def test_a_missing_particle_column(failure, column):
    change_table(lambda particles: particles.drop(columns=column))
    message = failure()
    assert "particles.star" in message
    assert column in message


@pytest.mark.parametrize(
    "column", ["rlnVoltage", "rlnSphericalAberration", "rlnImagePixelSize", "rlnOpticsGroup"]
)
def test_a_missing_optics_column(failure, column):
    table = read_particles("particles.star")
    optics = table.optics.drop(columns=column)
    write_particles("particles.star", ParticleTable(optics, table.particles, table.path))
    message = failure()
    assert "particles.star" in message
    if column != "rlnImagePixelSize":  # the pixel size of the micrographs is there
        assert column in message


def test_a_pixel_size_that_stands_for_the_images(failure):
    table = read_particles("particles.star")
    optics = table.optics.drop(columns=["rlnImagePixelSize", "rlnMicrographOriginalPixelSize"])
    write_particles("particles.star", ParticleTable(optics, table.particles, table.path))
    assert "rlnImagePixelSize" in failure()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_defocus_that_is_no_number(broken, failure, value):
    text = (broken / "particles.star").read_text()
    table = read_particles("particles.star")
    row = text.index("000006@")
    old = f"{table.particles['rlnDefocusU'][5]:12.6f}"[:12].strip()
    (broken / "particles.star").write_text(text[:row] + text[row:].replace(old, str(value), 1))
    message = failure()
    assert "rlnDefocusU" in message
    assert "row 6" in message or "line" in message


def test_an_optics_group_that_is_not_defined(failure):
    change_table(set_value("rlnOpticsGroup", 5, 7))
    message = failure()
    assert "rlnOpticsGroup" in message or "optics group" in message
    assert "7" in message


def test_one_particle(failure):
    change_table(lambda particles: particles.iloc[:1])
    assert "1 particle" in failure()


def test_no_particles(broken, failure):
    text = (broken / "particles.star").read_text()
    head = text[: text.index("  472.")] if "  472." in text else text.split("#9 \n")[0]
    (broken / "particles.star").write_text(head)
    assert "particles" in failure()


def test_an_empty_half(failure):
    change_table(lambda particles: particles.assign(rlnRandomSubset=1))
    message = failure()
    assert "half" in message
    assert "rlnRandomSubset" in message


@pytest.mark.parametrize("value", [0, 3])
def test_a_half_that_is_neither_1_nor_2(failure, value):
    def change(particles):
        return particles.assign(rlnRandomSubset=[value, *([1, 2] * 40)[:-1]])

    change_table(change)
    message = failure()
    assert "rlnRandomSubset" in message
    assert "1" in message


# --- reference and mask


def test_a_reference_of_another_box_names_the_command(broken, failure):
    density, pixel_size = read_map("reference.mrc")
    write_map("reference.mrc", np.pad(density, 8), pixel_size)
    message = failure()
    command = (
        "aurefine image-handler --i reference.mrc --angpix 7.08 --rescale_angpix 7.08 "
        "--new_box 32 --o reference_box32.mrc"
    )
    assert command in message
    assert run_command(command.split()[1:]) == 0
    assert read_map("reference_box32.mrc")[0].shape == (32, 32, 32)


def test_a_reference_of_another_pixel_size_names_the_command(broken, failure):
    density, _ = read_map("reference.mrc")
    write_map("reference.mrc", np.pad(density, 16), 3.54)
    message = failure()
    command = re.search(r"aurefine (image-handler .*)", message)[1]
    assert "--rescale_angpix 7.08" in command
    assert run_command(command.split()) == 0
    inputs = ["--i", "particles.star", "--ref", command.split()[-1]]
    assert run_command(["refine", *inputs, "--o", "second/run", *OPTIONS]) == 0


def test_a_pixel_size_that_rounding_misses_names_the_option(broken, failure, capsys):
    density, _ = read_map("reference.mrc")
    write_map("reference.mrc", np.pad(density, 16), 3.0)
    assert "--rescale_ref, which rescales it to exactly 7.08 Å/px" in failure()
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", "--rescale-ref"]
    assert run_command(["refine", *inputs, "--o", "second/run", *OPTIONS]) == 0
    assert "from 64 px at 3 Å/px to 32 px at 7.08 Å/px" in capsys.readouterr().out


def test_a_reference_that_may_be_rescaled(broken, failure, capsys):
    density, _ = read_map("reference.mrc")
    write_map("reference.mrc", np.pad(density, 16), 3.54)
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", "--trust_ref_size"]
    assert run_command(["refine", *inputs, "--o", "second/run", *OPTIONS]) == 0
    assert "rescaled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda v: np.where(v == v.max(), np.nan, v), "finite"),
        (lambda v: v[:-2], "cube"),
        (lambda v: np.zeros_like(v), "constant"),
        (lambda v: v[:1], "cube"),
    ],
)
def test_a_reference_that_is_no_map(failure, spoil, text):
    density, pixel_size = read_map("reference.mrc")
    write_map("reference.mrc", spoil(density).astype(np.float32), pixel_size)
    message = failure()
    assert "reference.mrc" in message
    assert text in message


def test_no_reference(failure):
    assert "nothing.mrc" in failure(inputs=("--i", "particles.star", "--ref", "nothing.mrc"))


def test_a_truncated_reference(broken, failure):
    data = (broken / "reference.mrc").read_bytes()
    (broken / "reference.mrc").write_bytes(data[:-100])
    assert "reference.mrc" in failure()


def test_a_mask_that_is_no_cube(failure):
    write_map("mask.mrc", np.ones((32, 32, 30), np.float32), 7.08)
    assert "cube" in failure("--solvent_mask", "mask.mrc")


def test_a_mask_without_a_positive_voxel(failure):
    write_map("mask.mrc", np.zeros((32, 32, 32), np.float32), 7.08)
    assert "mask.mrc" in failure("--solvent_mask", "mask.mrc")


def test_no_mask(failure):
    assert "nothing.mrc" in failure("--solvent_mask", "nothing.mrc")


# --- options


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--particle_diameter", "500"], "--particle_diameter"),
        (["--particle_diameter", "abc"], "--particle_diameter"),
        (["--sym", "Q5"], "Q5"),
        (["--j", "0"], "--j"),
        (["--pad", "0"], "--pad"),
        (["--healpix_order", "-1"], "--healpix_order"),
        (["--offset_step", "0"], "--offset_step"),
        (["--no_such_option"], "--no_such_option"),
        (["--part_diameter", "3"], "--part_diameter"),
        (["--sigma_tilt", "2"], "--sigma_ang"),
        (["--ini_high"], "--ini_high"),
        (["--random_seed", "-5"], "--random_seed"),
        (["stray"], "stray"),
    ],
)
def test_options_that_make_no_sense(failure, options, text):
    assert text in failure(*options)


def test_ctf_correction_needs_ctf_columns(failure):
    labels = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]
    change_table(lambda particles: particles.drop(columns=labels))
    assert "rlnDefocusU" in failure()


@pytest.mark.parametrize(
    "options", [["--skip_align"], ["--skip_rotate"], ["--sigma_ang", "5"], ["--relax_sym", "D2"]]
)
def test_given_orientations_must_be_there(failure, options):
    message = failure(*options)
    assert "rlnAngleRot" in message
    assert options[0] in message


# --- warnings


def test_a_mask_of_another_size_is_fitted_with_a_warning(broken, capsys):
    write_map("mask.mrc", np.ones((48, 48, 48), np.float32), 3.54)
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", "--solvent_mask", "mask.mrc"]
    assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS]) == 0
    message = capsys.readouterr().err
    assert "rescaled from 3.54 to 7.08" in message
    assert "windowed to 32 px" in message


def test_a_reference_without_the_symmetry_gets_a_warning(broken, capsys):
    rng = np.random.default_rng(0)
    _, pixel_size = read_map("reference.mrc")
    grid = np.mgrid[:32, :32, :32] - 16
    blob = sum(
        np.exp(-((grid - rng.uniform(-8, 8, 3)[:, None, None, None]) ** 2).sum(0) / 18)
        for _ in range(4)
    )
    write_map("reference.mrc", blob.astype(np.float32), pixel_size)
    inputs = ["--i", "particles.star", "--ref", "reference.mrc"]
    assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS]) == 0
    message = capsys.readouterr().err
    assert "D2" in message
    assert re.search(r"only -?0\.\d\d", message)
    assert "--sym" in message
    assert message.strip() in (broken / "job/run.err").read_text()


def test_a_missing_detector_curve_is_named(broken, capsys):
    change_table(lambda p: p, rlnMtfFileName=["one.star", "two.star"])
    inputs = ["--i", "particles.star", "--ref", "reference.mrc"]
    assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS]) == 1
    message = capsys.readouterr().err
    assert "one.star" in message
    assert message.count("\n") <= 4


def test_one_detector_curve_is_left_to_postprocessing(broken):
    change_table(lambda p: p, rlnMtfFileName=["one.star", "one.star"])
    inputs = ["--i", "particles.star", "--ref", "reference.mrc"]
    assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS]) == 0


def test_images_that_are_not_normalised_get_a_warning(broken, capsys):
    images, pixel_size = read_map("particles.mrcs")
    write_stack("particles.mrcs", 10 * images + 50, pixel_size)
    inputs = ["--i", "particles.star", "--ref", "reference.mrc"]
    assert run_command(["refine", *inputs, "--o", "job/run", *OPTIONS]) == 0
    message = capsys.readouterr().err
    assert "not normalised" in message
    assert "row 1 " in message


def write_stack(path, images, pixel_size):
    with StackWriter(path, len(images), images.shape[1], pixel_size) as stack:
        for image in images:
            stack.append(image)
