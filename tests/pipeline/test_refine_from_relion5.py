"""Going on from an iteration that RELION 5 wrote."""

import shutil

import pytest

from aurefine.cli.main import run_command
from aurefine.io import read_map, read_particles


@pytest.fixture
def started(shared_data, tmp_path, monkeypatch):
    """Copy of a run of RELION 5.0.1 at iteration 3.

    Its half maps were not kept: the unfiltered ones of the end stand in for them, and the
    numbers of particles in the model of half 2 are those of its data file.
    """
    source = shared_data / "golden" / "refine"
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    rows = read_particles("R5/run_it003_data.star").particles
    counts = rows[rows["rlnRandomSubset"] == 2].groupby("rlnGroupNumber").size()
    lines = (tmp_path / "R5/run_it003_half1_model.star").read_text().splitlines()
    for i, line in enumerate(lines):
        words = line.split()
        if len(words) == 4 and words[1].startswith("mics/"):
            lines[i] = f"{words[0]} {words[1]} {counts[int(words[0])]} {words[3]}"
    text = "\n".join(lines).replace("_half1_class", "_half2_class")
    (tmp_path / "R5/run_it003_half2_model.star").write_text(text + "\n")
    for half in (1, 2):
        shutil.copy(
            f"R5/run_half{half}_class001_unfil.mrc", f"R5/run_it003_half{half}_class001.mrc"
        )
    return tmp_path


def test_an_iteration_of_relion_5_is_continued(started, capsys):
    options = ["--continue", "R5/run_it003_optimiser.star", "--o", "job/run"]
    (started / "job").mkdir()
    assert run_command(["refine", *options, "--auto_iter_max", "4"]) == 0
    printed = capsys.readouterr().out
    assert "Auto-refine: Iteration= 4" in printed
    values, pixel_size = read_map("job/run_it004_half1_class001.mrc")
    before, _ = read_map("R5/run_it003_half1_class001.mrc")
    assert values.shape == before.shape
    assert pixel_size == pytest.approx(3.54, abs=1)
    new = read_particles("job/run_it004_data.star").particles
    old = read_particles("R5/run_it003_data.star").particles
    assert set(old.columns) <= set(new.columns)
    assert (new["rlnRandomSubset"].to_numpy() == old["rlnRandomSubset"].to_numpy()).all()
