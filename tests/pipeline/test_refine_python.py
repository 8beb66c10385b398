"""The Python API and the example that shows it."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import aurefine
from aurefine.errors import AurefineError, OptionError
from aurefine.io import read_map, read_particles

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "refine_from_python.py"
OPTIONS = {
    "symmetry": "D2", "ctf": True, "norm": True, "scale": True, "firstiter_cc": True,
    "initial_lowpass": 50, "particle_diameter": 190, "flatten_solvent": True, "zero_mask": True,
    "low_resol_join_halves": 40, "healpix_order": 1, "offset_range_px": 3, "random_seed": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def result(project, tmp_path_factory, without_figures):
    """Result of three iterations, which is not converged yet."""
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        without_figures(patch)
        return aurefine.refine(
            project / "particles.star", "reference.mrc", folder / "run", auto_iter_max=3, **OPTIONS
        )


def test_maps_are_those_of_the_files(result):
    assert not result.has_converged
    assert result.map.shape == (32, 32, 32)
    assert result.map.dtype == np.float32
    assert result.pixel_size == pytest.approx(7.08)
    written, _ = read_map(f"{result.output_root}_it003_half1_class001.mrc")
    assert np.array_equal(result.map, written)


def test_the_history_has_a_row_per_iteration(result):
    assert result.history["iteration"].tolist() == [1, 2, 3]
    wanted = {"resolution", "accuracy_angles", "accuracy_offsets", "changes_angles", "pmax",
              "angular_step", "offset_step", "seconds", "peak_memory"}  # fmt: skip
    assert wanted <= set(result.history.columns)
    assert (result.history["seconds"] > 0).all()
    assert result.fsc_history.shape == (3, 17)
    assert np.array_equal(result.fsc_history[-1], result.fsc)
    assert result.resolution == pytest.approx(result.history["resolution"].iloc[-1])


def test_particles_carry_the_poses_of_the_data_file(result):
    written = read_particles(f"{result.output_root}_it003_data.star").particles
    assert list(result.particles.columns) == list(written.columns)
    for label in ("rlnAngleRot", "rlnOriginXAngst", "rlnMaxValueProbDistribution"):
        assert result.particles[label].to_numpy() == pytest.approx(written[label].to_numpy())


def test_nothing_is_printed(result, project, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(project)
    options = {**OPTIONS, "auto_iter_max": 1}
    aurefine.refine("particles.star", "reference.mrc", f"{tmp_path}/run", **options)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_a_run_is_continued(result, without_figures, tmp_path, monkeypatch):
    without_figures(monkeypatch)
    optimiser = f"{result.output_root}_it002_optimiser.star"
    again = aurefine.refine(
        output=tmp_path / "run", continue_from=optimiser, auto_iter_max=3, n_threads=2
    )
    assert np.array_equal(again.map, result.map)
    assert again.history["iteration"].tolist() == [1, 2, 3]
    for label in ("resolution", "fsc_resolution", "angular_step", "changes_angles", "pmax"):
        expected = result.history[label].to_numpy(float)
        assert again.history[label].to_numpy(float) == pytest.approx(expected, rel=1e-4)
    assert np.allclose(again.fsc_history, result.fsc_history, atol=1e-5)


def test_a_run_that_may_not_go_on_says_so(result, tmp_path, capsys):
    optimiser = f"{result.output_root}_it003_optimiser.star"
    again = aurefine.refine(output=tmp_path / "run", continue_from=optimiser, verbosity=1)
    assert np.array_equal(again.map, result.map)
    assert "--auto_iter_max 3 allows: there is nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"symetry": "D2"}, "symetry"),
        ({"n_threads": "two"}, "--j"),
        ({"ctf": "yes"}, "--ctf"),
        ({"particle_diameter": None}, "--particle_diameter"),
        ({"symmetry": "X3"}, "X3"),
    ],
)
def test_wrong_options_are_named(project, tmp_path, options, text):
    with pytest.raises(OptionError, match=text):
        aurefine.refine(
            project / "particles.star", project / "reference.mrc", tmp_path / "run", **options
        )


def test_a_missing_file_is_one_exception(project, tmp_path):
    with pytest.raises(AurefineError, match=r"nothing\.star"):
        aurefine.refine("nothing.star", project / "reference.mrc", tmp_path / "run")


def test_the_example_runs(tmp_path, capsys):
    runpy.run_path(str(EXAMPLE))["main"](tmp_path)
    shown = capsys.readouterr().out
    assert "converged: True" in shown
    assert "half maps: 2" in shown
    assert (tmp_path / "Refine3D/job001/run_class001.mrc").exists()
