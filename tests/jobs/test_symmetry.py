"""`aurefine symmetry` and `aurefine align-symmetry`."""

import re

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io import read_map, read_star, write_map


def test_operators_axes_and_unit_are_printed_and_written(tmp_path, capsys):
    assert run_command(["symmetry", "O", "--o", f"{tmp_path}/o"]) == 0
    out = capsys.readouterr().out
    assert "24 operators" in out
    assert len(re.findall(r"[234]-fold", out)) == 13
    assert "1/24 of the sphere" in out
    assert len(read_star(tmp_path / "o.star").table("symmetry_operators")) == 24
    assert {path.name for path in tmp_path.iterdir()} == {"o.png", "o.pdf", "o.star"}


@pytest.mark.parametrize("name", ["C1", "D5", "I3"])
def test_every_group_is_plotted(tmp_path, name):
    assert run_command(["symmetry", name, "--o", f"{tmp_path}/plot"]) == 0
    assert (tmp_path / "plot.png").stat().st_size > 5_000


def test_an_unknown_group_is_refused(capsys):
    assert run_command(["symmetry", "X3"]) == 1
    assert "not a known point group" in capsys.readouterr().err


def test_a_turned_map_is_aligned_with_its_header(shared_data, tmp_path, capsys):
    from scipy.ndimage import rotate

    values, pixel_size = read_map(shared_data / "d2-small" / "true_map.mrc")
    for axes, angle in (((0, 1), 35), ((1, 2), 50), ((0, 2), 20)):
        values = rotate(values, angle, axes=axes, reshape=False, order=3)
    write_map(tmp_path / "off.mrc", values, pixel_size)
    argv = ["align-symmetry", "--i", f"{tmp_path}/off.mrc", "--sym", "D2", "--apply"]
    assert run_command([*argv, "--particle_diameter", "190", "--o", f"{tmp_path}/on.mrc"]) == 0
    assert "Correlation with the D2 symmetry mates" in capsys.readouterr().out
    aligned, found_pixel_size = read_map(tmp_path / "on.mrc")
    assert found_pixel_size == pytest.approx(pixel_size)
    mate = np.roll(aligned[::-1, ::-1], 1, axis=(0, 1))  # turned by 180 degrees about x
    assert np.corrcoef(aligned.ravel(), mate.ravel())[0, 1] > 0.98


def test_a_map_without_pixel_size_needs_one(tmp_path, capsys):
    values = np.random.default_rng(0).normal(size=(16,) * 3).astype(np.float32)
    write_map(tmp_path / "map.mrc", values, 1.0)
    raw = bytearray((tmp_path / "map.mrc").read_bytes())
    raw[40:52] = bytes(12)  # no cell: no pixel size
    (tmp_path / "map.mrc").write_bytes(raw)
    assert run_command(["align-symmetry", "--i", f"{tmp_path}/map.mrc", "--sym", "C2"]) == 1
    assert "--angpix" in capsys.readouterr().err
