"""A run to convergence: its files, its story in run.out, its figures."""

import re

import numpy as np
import pytest

from aurefine.io import read_map, read_particles, read_star

PLOTS = {
    f"run_{name}.{extension}"
    for name in ("fsc", "progress", "orientations", "map")
    for extension in ("png", "pdf")
}
FINAL = {
    "RELION_JOB_EXIT_SUCCESS", "run.err", "run.out", "run_class001.mrc",
    "run_class001_angdist.bild", "run_data.star", "run_half1_class001_unfil.mrc",
    "run_half2_class001_unfil.mrc", "run_model.star", "run_optimiser.star", "run_sampling.star",
}  # fmt: skip
IN_EACH_ITERATION = {
    "data.star", "half1_class001.mrc", "half1_class001_angdist.bild", "half1_model.star",
    "half2_class001.mrc", "half2_class001_angdist.bild", "half2_model.star", "optimiser.star",
    "sampling.star",
}  # fmt: skip


def names(folder):
    return {path.name for path in folder.iterdir()}


def auto_lines(text):
    """The story of a run with numbers and file names taken out."""
    lines = [line for line in text.replace("\r", "\n").splitlines() if "Auto-refine" in line]
    lines = [re.sub(r"saved as: .*|stored in: .*", "FILE", line) for line in lines]
    return [re.sub(r"\b(inf|nan|[0-9][0-9.e+-]*)", "N", line).strip() for line in lines]


def kinds(text):
    """What each status line of an iteration is about."""
    short = {
        "Auto-refine: Iteration": "iteration",
        "Auto-refine: Resolution": "resolution",
        "Auto-refine: Changes": "changes",
        "Auto-refine: Estimated accuracy": "accuracy",
        "Auto-refine: Angular step": "angular step",
        "Auto-refine: Offset search range": "offsets",
        "Auto-refine: Refinement has converged, entering": "last",
        "Auto-refine: The last iteration": "last",
        "Auto-refine: Refinement has converged, stopping": "end",
        "Auto-refine: +": "end",
    }
    found = []
    for line in auto_lines(text):
        found += [kind for start, kind in short.items() if line.startswith(start)]
    return found


def test_all_files_of_a_relion_job_are_there(finished):
    iterations = {name[6:9] for name in names(finished) if name.startswith("run_it")}
    assert len(iterations) > 5
    assert iterations == {f"{n:03d}" for n in range(len(iterations))}
    expected = {f"run_it{n}_{end}" for n in iterations for end in IN_EACH_ITERATION}
    assert names(finished) == FINAL | PLOTS | expected


def test_names_are_those_of_relion(finished, shared_data):
    golden = (shared_data / "golden/refine/R5/all_files_written.txt").read_text().split()

    def without_number(name):
        return re.sub(r"_it\d{3}_", "_it000_", name)

    ours = {without_number(name) for name in names(finished) - PLOTS}
    assert ours == {without_number(name) for name in golden}


def test_status_lines_come_in_the_order_of_relion(finished):
    found = kinds((finished / "run.out").read_text())
    first = ["iteration", "resolution", "changes"]
    usual = [*first, "accuracy", "angular step", "offsets"]
    n = found.count("iteration")
    last = [*first, "last", "last", "accuracy", "angular step", "offsets"]
    assert found == [*first, *usual * (n - 2), *last, *["end"] * 6]


def test_status_lines_have_the_shape_of_relion(finished, shared_data):
    golden = (shared_data / "golden/refine/R5/run.out").read_text(errors="replace")
    shapes = set(auto_lines(golden))
    for line in auto_lines((finished / "run.out").read_text()):
        if "WARNING" not in line:
            assert line in shapes


def test_kinds_of_lines_agree_with_relion(shared_data):
    """The order above is what RELION prints, apart from the number of iterations."""
    found = kinds((shared_data / "golden/refine/R5/run.out").read_text(errors="replace"))
    first = ["iteration", "resolution", "changes"]
    assert found[:3] == first
    assert found[3:9] == [*first, "accuracy", "angular step", "offsets"]
    last = found.index("last")
    assert found[last - 3 : last + 5] == [*first, "last", "last", "accuracy", "angular step",
                                          "offsets"]  # fmt: skip
    assert found[last + 5 :] == ["end"] * 6


def test_there_is_one_summary_per_iteration(finished):
    text = (finished / "run.out").read_text()
    assert text.count(" Summary: iteration") == text.count("Auto-refine: Iteration=")


def test_run_out_holds_plain_text_only(finished):
    text = (finished / "run.out").read_text()
    assert "\x1b" not in text
    assert "\r" not in text


def test_run_err_is_empty_when_nothing_is_wrong(finished):
    assert (finished / "run.err").read_text() == ""


def test_plots_are_complete(finished):
    for name in PLOTS:
        start = (finished / name).read_bytes()[:8]
        assert start.startswith(b"\x89PNG" if name.endswith("png") else b"%PDF")


def test_the_map_has_the_symmetry_and_looks_like_the_truth(finished, project):
    density, pixel_size = read_map(finished / "run_class001.mrc")
    truth, _ = read_map(project / "true_map.mrc")
    assert pixel_size == pytest.approx(7.08)
    inner = np.s_[4:-3, 4:-3, 4:-3]
    assert np.corrcoef(density[inner].ravel(), truth[inner].ravel())[0, 1] > 0.8
    # two-fold axis along z: (x, y) becomes (-x, -y) about the voxel n // 2
    rotated = density[:, :0:-1, :0:-1]
    assert np.corrcoef(density[:, 1:, 1:].ravel(), rotated.ravel())[0, 1] > 0.99


def test_every_input_row_comes_back_with_a_pose(finished, project):
    before = read_particles(project / "particles.star").particles
    after = read_particles(finished / "run_data.star").particles
    assert sorted(after["rlnImageName"]) == sorted(before["rlnImageName"])
    assert list(after.columns[: len(before.columns)]) == list(before.columns)
    assert set(after["rlnRandomSubset"]) == {1, 2}
    assert after[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].notna().all(axis=None)


def test_the_final_resolution_is_the_same_everywhere(finished):
    text = (finished / "run.out").read_text()
    printed = float(re.search(r"Final resolution \(without masking\) is: ([0-9.]+)", text)[1])
    model = read_star(finished / "run_model.star").values("model_general")
    assert float(model["rlnCurrentResolution"]) == pytest.approx(printed, rel=1e-5)
    fsc = read_star(finished / "run_model.star").table("model_class_1")
    below = np.flatnonzero(fsc["rlnGoldStandardFsc"][1:] < 0.143)
    last = min(below[0] if below.size else np.inf, len(fsc) - 2)  # Nyquist itself never counts
    assert fsc["rlnAngstromResolution"][last] == pytest.approx(printed, rel=1e-4)
