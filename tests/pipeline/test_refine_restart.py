"""Finding where to go on: complete, incomplete and damaged iterations."""

import shutil

import pytest


@pytest.fixture
def stopped(finished, tmp_path):
    """Folder with iterations 0 to 3 of a run that did not reach its end."""
    for path in finished.glob("run_it00[0-3]_*"):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


def last_iteration(folder):
    return max(int(path.name[6:9]) for path in folder.glob("run_it*_optimiser.star"))


def go_on(refine, folder, *options):
    last = str(last_iteration(folder) + 1)
    return refine(
        folder / "run", "--continue", "auto", "--auto_iter_max", last, *options, standard=False
    )


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip(path):
    """Change one byte in the middle."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 + 3] ^= 1
    path.write_bytes(raw)


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "cut off": cut,
    "one bit": flip,
    "empty": lambda path: path.write_bytes(b""),
}


def test_the_newest_iteration_is_found(refine, finished, stopped, capsys):
    assert go_on(refine, stopped) == 0
    assert f"going on from {stopped}/run_it003_optimiser.star" in capsys.readouterr().out
    for name in ("run_it004_half1_class001.mrc", "run_it004_half2_class001.mrc"):
        assert (stopped / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize(
    "name",
    ["optimiser.star", "data.star", "half2_model.star", "sampling.star", "half1_class001.mrc"],
)
def test_a_damaged_iteration_is_named_and_skipped(stopped, name, kind):
    from aurefine.jobs.refine_newest import find_newest

    damaged = stopped / f"run_it003_{name}"
    if (name, kind) == ("optimiser.star", "one bit"):
        raw = damaged.read_bytes()
        damaged.write_bytes(raw.replace(b"aurefine_options_mask_edge_px", b"aurefine_optionz_mask"))
    else:
        DAMAGE[kind](damaged)
    newest = find_newest(str(stopped / "run"))
    assert newest.path == str(stopped / "run_it002_optimiser.star")
    assert len(newest.skipped) == 1
    assert f"run_it003_{name}" in newest.skipped[0]


def test_skipped_iterations_are_in_the_log(refine, stopped, capsys):
    cut(stopped / "run_it003_half2_class001.mrc")
    (stopped / "run_it004_data.star.tmp-1").write_text("left by a killed run")
    shutil.copy(stopped / "run_it003_data.star", stopped / "run_it004_data.star")
    assert refine(stopped / "run", "--continue", "auto", "--auto_iter_max", "3",
                  standard=False) == 0  # fmt: skip
    captured = capsys.readouterr()
    assert "going on from" in captured.out
    assert "run_it002_optimiser.star" in captured.out
    assert "iteration 4 is not complete" in captured.err
    assert "run_it003_half2_class001.mrc" in captured.err
    assert "WARNING: skipped" in (stopped / "run.err").read_text()
    assert not list(stopped.glob("*.tmp-*"))


def test_a_damaged_file_that_is_asked_for_is_named_with_a_better_one(refine, stopped, capsys):
    flip(stopped / "run_it003_half1_class001.mrc")
    optimiser = f"{stopped}/run_it003_optimiser.star"
    assert refine(stopped / "run", "--continue", optimiser, standard=False) == 1
    message = capsys.readouterr().err
    assert "run_it003_half1_class001.mrc" in message
    assert f"The newest complete iteration is {stopped}/run_it002_optimiser.star" in message


def test_an_edited_table_is_used_with_a_warning(refine, stopped, capsys):
    path = stopped / "run_it003_sampling.star"
    path.write_text(path.read_text() + "\n")
    optimiser = f"{stopped}/run_it003_optimiser.star"
    assert refine(stopped / "run", "--continue", optimiser, "--auto_iter_max", "3",
                  standard=False) == 0  # fmt: skip
    assert "run_it003_sampling.star: the file is not as it was written" in capsys.readouterr().err


def test_without_an_iteration_a_new_run_starts(refine, tmp_path, capsys):
    assert refine(tmp_path / "run", "--continue", "auto", "--auto_iter_max", "1") == 0
    assert "a new run starts" in capsys.readouterr().out
    assert (tmp_path / "run_it001_optimiser.star").exists()
    assert refine(tmp_path / "other", "--continue", "auto", standard=False) == 1
    assert "has no complete iteration" in capsys.readouterr().err


def test_a_finished_run_is_left_alone(refine, finished, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("run_*")}
    assert refine(folder / "run", "--continue", "auto", "--pipeline_control", f"{folder}/") == 0
    assert "there is nothing to do" in capsys.readouterr().out
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.glob("run_*")}
    assert (folder / "RELION_JOB_EXIT_SUCCESS").exists()


def test_a_half_written_end_is_not_the_end(refine, finished, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    cut(folder / "run_class001.mrc")
    assert refine(folder / "run", "--continue", "auto", standard=False) == 0
    assert "run_class001.mrc" in capsys.readouterr().err
    assert (folder / "run_class001.mrc").read_bytes() == (
        finished / "run_class001.mrc"
    ).read_bytes()


def test_the_run_in_the_job_folder_is_found(refine, stopped, monkeypatch, capsys):
    from aurefine.errors import OptionError
    from aurefine.jobs.refine_newest import find_start

    start = find_start({"continue_from": "auto", "pipeline_control": f"{stopped}/"})
    assert start.values["continue_from"] == f"{stopped}/run_it003_optimiser.star"
    assert start.values["output"] == f"{stopped}/run"
    shutil.copy(stopped / "run_it003_optimiser.star", stopped / "b_it003_optimiser.star")
    with pytest.raises(OptionError, match="found 2 runs"):
        find_start({"continue_from": "auto", "pipeline_control": f"{stopped}/"})


def test_what_an_earlier_run_left_is_not_the_newest(stopped, refine, capsys):
    """Going on from iteration 1 makes the old iterations 2 and 3 obsolete."""
    optimiser = f"{stopped}/run_it001_optimiser.star"
    assert refine(stopped / "run", "--continue", optimiser, "--auto_iter_max", "2",
                  standard=False) == 0  # fmt: skip
    capsys.readouterr()
    from aurefine.jobs.refine_newest import find_newest

    newest = find_newest(str(stopped / "run"))
    assert newest.path.endswith("run_it002_optimiser.star")
    assert "run_it003_optimiser.star: left from an earlier run" in newest.skipped[0]


def test_the_python_interface_returns_a_finished_run(project, finished, monkeypatch):
    import aurefine

    monkeypatch.chdir(project)
    found = aurefine.refine(output=finished / "run", continue_from="auto")
    assert found.has_converged
    assert found.map.shape == (32, 32, 32)
    assert len(found.half_maps) == 2
    assert found.fsc_history.shape[0] == len(found.history)
    assert len(found.particles) == 80


def test_the_working_memory_of_the_run_is_kept(refine, tmp_path, capsys):
    """Batches, and so the last bits, are those of the first start."""
    budget = ["--memory_budget", "0.001"]
    assert refine(tmp_path / "whole", *budget, "--auto_iter_max", "2") == 0
    for name, other in (("silent", []), ("given", ["--memory_budget", "1"])):
        assert refine(tmp_path / name, *budget, "--auto_iter_max", "1") == 0
        capsys.readouterr()
        code = refine(
            tmp_path / name, "--continue", "auto", "--auto_iter_max", "2", *other, standard=False
        )
        assert code == 0
        note = "option --memory_budget is not followed with --continue"
        assert (note in capsys.readouterr().out) == bool(other)
        maps = [tmp_path / f"{root}_it002_half1_class001.mrc" for root in ("whole", name)]
        assert maps[0].read_bytes() == maps[1].read_bytes()
