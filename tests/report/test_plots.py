"""Figures: they are written, complete, and the same for the same data."""

import numpy as np
import pandas as pd
import pytest

from aurefine.errors import OutputError
from aurefine.geometry.symmetry import point_group
from aurefine.report.plots import draw_fsc, draw_map_slices, draw_orientations, draw_progress
from aurefine.report.saving import figure_png, save_figure


def example_fsc(n_iterations=9, n_shells=33):
    shells = np.arange(n_shells)
    rng = np.random.default_rng(0)
    rows = [
        1 / (1 + np.exp((shells - 6 - 1.7 * i) / 1.5)) + 0.015 * rng.normal(size=n_shells)
        for i in range(n_iterations)
    ]
    return np.stack(rows)


def example_history(n=12):
    i = np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "iteration": i,
            "resolution": 50 * 0.84**i + 7,
            "accuracy_angles": np.where(i == 1, 999, 6 * 0.85**i + 0.8),
            "angular_step": np.where(i < 5, 7.5, np.where(i < 9, 3.75, 1.875)),
            "changes_angles": np.where(i == 1, 999, 40 * 0.7**i + 1),
            "accuracy_offsets": np.where(i == 1, 999, 3 * 0.85**i + 0.5),
            "offset_step": np.where(i < 5, 3.54, 1.2),
            "changes_offsets": np.where(i == 1, 999, 5 * 0.75**i + 0.3),
            "pmax": 1 - 0.9**i,
        }
    )


def example_map(n=64):
    grid = np.mgrid[:n, :n, :n] - n // 2
    rng = np.random.default_rng(1)
    volume = rng.normal(scale=0.02, size=(n, n, n))
    for centre, width in (((8, 0, 4), 6), ((-8, 6, -4), 5), ((0, -10, 6), 7)):
        distance2 = sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True))
        volume += np.exp(-distance2 / (2 * width**2))
    return volume.astype(np.float32)


def is_complete(paths):
    png, pdf = paths
    return (
        png.suffix == ".png"
        and png.read_bytes().startswith(b"\x89PNG")
        and png.stat().st_size > 5000
        and pdf.suffix == ".pdf"
        and pdf.read_bytes().startswith(b"%PDF")
    )


def test_fsc_curves_are_drawn(tmp_path):
    fsc = example_fsc()
    assert is_complete(save_figure(draw_fsc(fsc[:-1], 3.54, final=fsc[-1]), tmp_path / "fsc"))


def test_fsc_of_one_iteration_that_never_falls(tmp_path):
    assert is_complete(save_figure(draw_fsc(np.ones(17), 1.0, iterations=[4]), tmp_path / "fsc"))


@pytest.mark.parametrize("as_records", [False, True])
def test_progress_is_drawn(tmp_path, as_records):
    history = example_history()
    rows = history.to_dict("records") if as_records else history
    assert is_complete(save_figure(draw_progress(rows), tmp_path / "progress"))


def test_progress_of_a_first_iteration_without_estimates(tmp_path):
    row = {"iteration": 1, "resolution": 50.0, "accuracy_angles": 999.0, "pmax": 1.0}
    assert is_complete(save_figure(draw_progress([row]), tmp_path / "progress"))


def test_orientations_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, 3000)))
    assert is_complete(
        save_figure(draw_orientations(rng.uniform(-180, 180, 3000), tilt), tmp_path / "views")
    )


def test_a_single_orientation_is_drawn(tmp_path):
    assert is_complete(save_figure(draw_orientations([0.0], [0.0]), tmp_path / "views"))


def test_the_map_is_drawn(tmp_path):
    assert is_complete(save_figure(draw_map_slices(example_map(32), 3.54), tmp_path / "map"))


def test_a_constant_map_is_drawn(tmp_path):
    assert is_complete(
        save_figure(draw_map_slices(np.zeros((8, 8, 8), np.float32), 1.0), tmp_path / "map")
    )


def test_equal_data_give_equal_files(tmp_path):
    first = save_figure(draw_fsc(example_fsc(3), 3.54), tmp_path / "a")
    second = save_figure(draw_fsc(example_fsc(3), 3.54), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_figure_is_a_picture_in_memory():
    assert figure_png(draw_fsc(example_fsc(2), 3.54)).startswith(b"\x89PNG")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        save_figure(draw_fsc(example_fsc(2), 3.54), tmp_path / "nowhere" / "fsc")


def test_the_data_are_not_changed(tmp_path):
    history = example_history()
    before = history.copy()
    save_figure(draw_progress(history), tmp_path / "progress")
    pd.testing.assert_frame_equal(history, before)


def test_symmetry_mates_fill_the_sphere(tmp_path):
    rng = np.random.default_rng(3)
    rot, tilt = rng.uniform(0, 180, 300), np.rad2deg(np.arccos(rng.uniform(0, 1, 300)))
    matrices = point_group("D2").matrices
    alone = save_figure(draw_orientations(rot, tilt), tmp_path / "alone")
    filled = save_figure(draw_orientations(rot, tilt, symmetry=matrices), tmp_path / "filled")
    assert is_complete(filled)
    assert filled[0].read_bytes() != alone[0].read_bytes()


def test_shells_that_were_not_reached_are_not_drawn(tmp_path):
    """Zeros at the end make no line; the joined part is marked."""
    fsc = example_fsc(2)
    fsc[:, 20:] = 0
    cut = save_figure(draw_fsc(fsc, 3.5, joined=40), tmp_path / "cut")
    fsc[:, 20:] = 1e-9
    drawn = save_figure(draw_fsc(fsc, 3.5, joined=40), tmp_path / "drawn")
    assert is_complete(cut)
    assert cut[1].stat().st_size < drawn[1].stat().st_size
