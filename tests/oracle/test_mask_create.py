"""Masks against files that RELION 3.1.3 made (golden/postprocess/commands.txt)."""

import shlex

import numpy as np
import pytest

from aurefine.cli.mask import run
from aurefine.io.mrc import read_map

HALF_MAP = "run_half1_class001_unfil.mrc"
MASKS = {
    "mask": "--lowpass 12 --angpix 2.5 --ini_threshold 0.05 --extend_inimask 2 "
    "--width_soft_edge 3 --j 1",
    "mask_noext": "--lowpass 12 --ini_threshold 0.05 --extend_inimask 0 --width_soft_edge 0",
    "mask_shrink": "--lowpass 12 --ini_threshold 0.05 --extend_inimask -1 --width_soft_edge 4.5 "
    "--invert",
}


def test_every_command_of_the_golden_files_has_a_test(shared_data):
    lines = (shared_data / "golden/postprocess/commands.txt").read_text().splitlines()
    commands = {line for line in lines if line.startswith("relion_mask_create")}
    program = f"relion_mask_create --i {HALF_MAP} --o"
    assert commands == {f"{program} out/{name}.mrc {MASKS[name]}" for name in MASKS}


@pytest.mark.parametrize("name", MASKS)
def test_mask_agrees_with_relion(shared_data, tmp_path, name):
    golden = shared_data / "golden" / "postprocess"
    output = str(tmp_path / "mask.mrc")
    assert run(["--i", str(golden / HALF_MAP), "--o", output, *shlex.split(MASKS[name])]) == 0
    found, pixel_size = read_map(output)
    expected, expected_pixel_size = read_map(golden / "out" / f"{name}.mrc")
    assert pixel_size == expected_pixel_size
    # last bits of the cosine in single precision
    np.testing.assert_allclose(found, expected, atol=2e-7)
