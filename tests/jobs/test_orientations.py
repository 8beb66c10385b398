"""`aurefine orientations` on the true poses and half maps."""

import json

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io import read_map, read_star, write_map


def test_numbers_tables_and_figures_are_written(shared_data, tmp_path, capsys):
    values, pixel_size = read_map(shared_data / "d2-small" / "true_map.mrc")
    rng = np.random.default_rng(0)
    for half in (1, 2):
        noisy = values + rng.normal(scale=values.std(), size=values.shape)
        write_map(tmp_path / f"half{half}.mrc", noisy.astype(np.float32), pixel_size)
    argv = ["orientations", "--i", str(shared_data / "d2-small" / "truth.star"), "--sym", "D2"]
    argv += ["--half1", f"{tmp_path}/half1.mrc", "--o", f"{tmp_path}/out"]
    assert run_command([*argv, "--particle_diameter", "190"]) == 0
    assert "Orientation efficiency" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "out.json").read_text())
    assert numbers["efficiency"] > 0.9  # 600 uniform views with their mates
    assert numbers["scf"] > 0.9
    assert numbers["empty_fraction"] == 0
    assert numbers["best_resolution"] <= numbers["mean_resolution"] <= numbers["worst_resolution"]
    star = read_star(tmp_path / "out.star")
    assert len(star.table("sampling")) == 3072
    assert len(star.table("directional_resolution")) == 192
    for name in ("sampling", "directional_fsc"):
        assert (tmp_path / f"out_{name}.png").stat().st_size > 10_000


def test_particles_without_angles_are_refused(shared_data, capsys):
    assert run_command(["orientations", "--i", f"{shared_data}/d2-small/particles.star"]) == 1
    assert "rlnAngleRot" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--sym", "C1"], ["--half1", "map.mrc"]])
def test_missing_input_is_named(argv, capsys):
    assert run_command(["orientations", *argv]) == 1
    assert "--half" in capsys.readouterr().err
