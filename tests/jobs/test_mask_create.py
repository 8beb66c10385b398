import shlex

import numpy as np
import pytest

from aurefine.cli.mask import run
from aurefine.errors import ImageError, OptionError
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map, write_map

N = 24


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_map("ball.mrc", soft_sphere(N, 5, 2), 2.0)
    write_map("big.mrc", soft_sphere(N, 8, 2), 2.0)
    write_map("small.mrc", soft_sphere(16, 3, 2), 2.0)
    return tmp_path


def _mask(command):
    assert run(shlex.split(command)) == 0
    return read_map("mask.mrc")[0]


def test_a_mask_extends_beyond_the_threshold_and_has_a_soft_edge():
    row = _mask("--i ball.mrc --ini_threshold 0.5 --extend_inimask 2.5 --width_soft_edge 2")[
        12, 12, 12:
    ]
    np.testing.assert_array_equal(row[:9], 1)
    np.testing.assert_allclose(row[9:12], [0.5, 0, 0], atol=1e-6)


def test_two_maps_can_be_combined():
    ring = _mask("--i big.mrc --and_not ball.mrc --ini_threshold 0.3")
    assert ring[12, 12, 12] == 0
    assert ring[12, 12, 12 + 8] == 1


def test_the_threshold_can_be_found(capsys):
    mask = _mask("--i ball.mrc --auto_threshold")
    assert "Threshold chosen" in capsys.readouterr().out
    assert mask[12, 12, 12 + 5] == 1
    assert mask[12, 12, 12 + 8] == 0


def test_a_shell_needs_no_map():
    mask = _mask("--denovo --box_size 20 --angpix 1.5 --outer_radius 6 --inner_radius 3")
    assert mask.shape == (20, 20, 20)
    assert mask[10, 10, 10] == 0
    assert mask[10, 10, 14] == 1


def test_the_mask_takes_the_pixel_size_of_the_map_with_a_warning(capsys):
    _mask("--i ball.mrc")
    assert read_map("mask.mrc")[1] == 2.0
    assert "--angpix is not given" in capsys.readouterr().err


@pytest.mark.parametrize(
    "threshold, message", [("5", "mask is empty"), ("-1", "mask fills the box")]
)
def test_a_threshold_outside_the_grey_values_is_announced(capsys, threshold, message):
    _mask(f"--i ball.mrc --ini_threshold {threshold}")
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command, kind, message",
    [
        ("--o mask.mrc", OptionError, "--i is missing"),
        ("--denovo", OptionError, "--box_size"),
        ("--i ball.mrc --or small.mrc", ImageError, "a box of 16 px, but the input map has 24"),
        ("--i ball.mrc --helix", OptionError, "helices are out of scope"),
    ],
)
def test_mistakes_are_named(command, kind, message):
    with pytest.raises(kind, match=message):
        run(shlex.split(command))


def test_a_constant_map_has_no_automatic_threshold():
    write_map("flat.mrc", np.ones((8, 8, 8), dtype=np.float32), 2.0)
    with pytest.raises(ImageError, match="constant"):
        run(["--i", "flat.mrc", "--auto_threshold"])


def test_a_map_that_is_not_cubic_is_refused():
    write_map("flat.mrc", np.ones((4, 8, 8), dtype=np.float32), 2.0)
    with pytest.raises(ImageError, match="8 x 8 x 4 px, expected a cubic"):
        run(["--i", "flat.mrc"])


def test_a_map_without_pixel_size_asks_for_one(project):
    raw = bytearray((project / "ball.mrc").read_bytes())
    raw[40:52] = bytes(12)
    (project / "blank.mrc").write_bytes(raw)
    with pytest.raises(OptionError, match="--angpix"):
        run(["--i", "blank.mrc"])


def test_help_and_version_are_shown(capsys):
    assert run([]) == run(["--version"]) == 0
    assert "--width_soft_edge" in capsys.readouterr().out


def test_failure_leaves_a_marker(project):
    with pytest.raises(OptionError):
        run(["--pipeline_control", f"{project}/"])
    assert (project / "RELION_JOB_EXIT_FAILURE").exists()


@pytest.mark.parametrize(
    ("by_px", "text"), [(-30, "nothing is left after shrinking"), (60, "the mask fills the box")]
)
def test_extending_to_nothing_or_all_is_said(by_px, text, capsys):
    _mask(f"--i ball.mrc --ini_threshold 0.5 --extend_inimask {by_px}")
    assert text in capsys.readouterr().err
