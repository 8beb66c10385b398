"""The image handler against files that RELION 3.1.3 made (golden/image_handler/commands.txt)."""

import shlex
import shutil

import numpy as np
import pytest

from aurefine.cli.image_handler import run
from aurefine.io.mrc import read_map, read_mrc_header
from aurefine.io.star import read_star

# single-precision transforms against RELION's double ones: relative RMS 3e-7
TOLERANCE = 1e-6

MAPS = {
    "rescale_up_box40": "--angpix 3.54 --rescale_angpix 1.244 --new_box 40",
    "rescale_up": "--angpix 3.54 --rescale_angpix 2.6",
    "rescale_down_box24": "--angpix 3.54 --rescale_angpix 5.0 --new_box 24",
    "box16": "--new_box 16",
    "box30": "--new_box 30",
    "box17": "--new_box 17",
    "forcehdr": "--force_header_angpix 1.5",
    "lowpass15": "--angpix 3.54 --lowpass 15",
    "highpass30": "--angpix 3.54 --highpass 30",
    "bfac-200": "--angpix 3.54 --bfactor -200",
    "shift": "--shift_x 2.5 --shift_y -3 --shift_z 1.25",
    "flipX": "--flipX",
    "flipZ": "--flipZ",
    "hand": "--invert_hand",
    "com": "--shift_com",
    "add": "--add map24.mrc",
    "thr": "--threshold_above 0.5 --threshold_below -0.01",
    "symD2": "--sym D2",
}


STACK = "--angpix 3.54 --rescale_angpix 2.0 --new_box 32"
PRINTED = {"--stats": "stats.txt", "--com": "com.txt"}
FSC = "--angpix 3.54 --fsc out/lowpass15.mrc"


@pytest.fixture
def golden(shared_data):
    return shared_data / "golden" / "image_handler"


@pytest.fixture
def project(golden, tmp_path, monkeypatch):
    """A folder with the input files, which is also the working directory."""
    for name in ("map24.mrc", "stack24.mrcs"):
        shutil.copy(golden / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_golden_files_has_a_test(golden):
    lines = (golden / "commands.txt").read_text().splitlines()
    commands = {line for line in lines if not line.startswith("#")}
    program = "relion_image_handler --i"
    tested = {f"{program} map24.mrc {MAPS[name]} --o out/{name}.mrc" for name in MAPS}
    tested |= {f"{program} map24.mrc {flag} > out/{file}" for flag, file in PRINTED.items()}
    tested.add(f"{program} map24.mrc {FSC} > out/fsc.star")
    tested.add(f"{program} stack24.mrcs {STACK} --o out/stack_rescale.mrcs")
    assert commands == tested


def _relative_rms(found, expected):
    return np.sqrt(np.mean((found - expected) ** 2)) / expected.std(dtype=np.float64)


def _assert_same_file(path, expected_path, tolerance=TOLERANCE):
    found, pixel_size = read_map(path)
    expected, expected_pixel_size = read_map(expected_path)
    assert found.shape == expected.shape
    assert pixel_size == pytest.approx(expected_pixel_size, rel=1e-6)
    assert _relative_rms(found, expected) < tolerance


@pytest.mark.parametrize("name", MAPS)
def test_map_agrees_with_relion(golden, project, name):
    assert run(["--i", "map24.mrc", *shlex.split(MAPS[name]), "--o", "new.mrc"]) == 0
    _assert_same_file("new.mrc", golden / "out" / f"{name}.mrc")


@pytest.mark.parametrize(
    "name", ["box16", "box17", "box30", "flipX", "flipZ", "hand", "thr", "add"]
)
def test_operations_without_interpolation_are_exact(golden, project, name):
    run(["--i", "map24.mrc", *shlex.split(MAPS[name]), "--o", "new.mrc"])
    expected, _ = read_map(golden / "out" / f"{name}.mrc")
    np.testing.assert_array_equal(read_map("new.mrc")[0], expected)


def test_half_precision_output_agrees_with_relion(golden, project):
    options = shlex.split(MAPS["rescale_up_box40"])
    run(["--i", "map24.mrc", *options, "--float16", "--o", "new.mrc"])
    assert read_mrc_header("new.mrc").mode == 12
    _assert_same_file("new.mrc", golden / "out" / "rescale_up_box40.mrc", tolerance=1e-3)


def test_stack_agrees_with_relion(golden, project):
    run(["--i", "stack24.mrcs", *shlex.split(STACK), "--o", "new.mrcs"])
    _assert_same_file("new.mrcs", golden / "out" / "stack_rescale.mrcs")


@pytest.mark.parametrize("flag, file", PRINTED.items())
def test_printed_line_agrees_with_relion(golden, project, capsys, flag, file):
    run(["--i", "map24.mrc", flag])
    assert capsys.readouterr().out == (golden / "out" / file).read_text()


def test_printed_fsc_agrees_with_relion(golden, project, capsys):
    (project / "out").symlink_to(golden / "out")
    run(["--i", "map24.mrc", *shlex.split(FSC)])
    (project / "fsc.star").write_text(capsys.readouterr().out)
    found = read_star(project / "fsc.star").table("fsc")
    expected = read_star(golden / "out" / "fsc.star").table("fsc")
    assert list(found.columns) == list(expected.columns)
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), atol=1.1e-6)


# made with RELION 3.1.3: relion_image_handler --i 1@stack24.mrcs --power
POWER = [
    0.016085, 0.009576, 0.002898, 5.841652e-04, 1.780910e-04, 1.000972e-04, 5.517795e-05,
    3.650212e-05, 1.864950e-05, 9.982038e-06, 4.086871e-06, 5.653798e-06, 4.317533e-06,
]  # fmt: skip


def test_printed_power_agrees_with_relion(project, capsys):
    run(["--i", "1@stack24.mrcs", "--angpix", "3.54", "--power"])
    (project / "power.star").write_text(capsys.readouterr().out)
    table = read_star(project / "power.star").table("power")
    found = table["rlnReferenceSpectralPower"].astype(float)
    np.testing.assert_allclose(found, POWER, rtol=1e-5, atol=5e-7)
