"""`aurefine project` and `aurefine job`: what is typed, what is shown."""

from dataclasses import replace

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.io.mrc import write_map
from aurefine.project import open_project


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working directory that is a project with a map."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUREFINE_REPORT", "0")
    write_map(tmp_path / "map.mrc", np.ones((16, 16, 16), np.float32), 2.0)
    assert run_command(["project", "init"]) == 0
    return tmp_path


def job(*words):
    return run_command(["job", *words])


def test_job_is_set_up_run_and_shown(folder, capsys):
    assert job("new", "Map rescale", "--set", "in_3dref=map.mrc", "New box size=12",
               "--alias", "small", "--wait") == 0  # fmt: skip
    capsys.readouterr()
    assert job("list") == 0
    assert "External/job001  small  Succeeded" in capsys.readouterr().out
    assert job("show", "small") == 0
    shown = capsys.readouterr().out
    assert "External/job001/rescaled.mrc" in shown
    assert "--new_box 12" in shown
    assert run_command(["project", "show"]) == 0
    assert "Succeeded  1" in capsys.readouterr().out


def test_project_that_is_locked_is_shown_as_it_is(folder, capsys):
    assert job("new", "rescale", "--set", "in_3dref=map.mrc", "new_box=12") == 0
    with open_project(".").edit("x") as pipeline:
        process = pipeline.processes["External/job001/"]
        pipeline.processes["External/job001/"] = replace(process, status="Running")
    (folder / "External/job001/RELION_JOB_EXIT_SUCCESS").touch()
    (folder / ".relion_lock").mkdir()
    (folder / ".relion_lock" / "lock_default_pipeline.star").write_text("lock: RELION\n")
    capsys.readouterr()
    assert job("list") == 0
    assert "Running" in capsys.readouterr().out


def test_failed_job_is_an_exit_code(folder, capsys):
    (folder / "map.mrc").write_bytes(b"no map")
    assert job("new", "rescale", "--set", "in_3dref=map.mrc", "new_box=12", "--wait") == 1
    assert "External/job001/ Failed" in capsys.readouterr().out
    assert job("show", "1") == 0
    assert "map.mrc" in capsys.readouterr().out


def test_settings_of_a_job_star_are_taken_over(folder):
    assert job("new", "rescale", "--set", "in_3dref=map.mrc", "new_box=12") == 0
    assert job("new", "rescale", "--from", "External/job001/job.star", "--set", "new_box=10") == 0
    assert job("clone", "2", "--set", "new_box=8", "--alias", "eight") == 0
    assert open_project(".").job("eight").number == 3


def test_alias_delete_undelete_and_mark(folder, capsys):
    assert job("new", "rescale", "--set", "in_3dref=map.mrc", "new_box=12") == 0
    assert job("alias", "1", "new name") == 0
    assert open_project(".").job("new_name").number == 1
    assert job("alias", "1") == 0
    assert job("mark", "1", "failed") == 0
    assert job("delete", "1") == 0
    assert open_project(".").jobs() == []
    assert job("undelete", "External/job001") == 0
    assert open_project(".").job("1").status == "Failed"


def test_other_folder_than_the_working_directory(folder, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    words = ["--project", str(folder), "--set", "in_3dref=map.mrc", "new_box=12"]
    assert job("new", "rescale", *words) == 0
    assert job("run", "1", "--project", str(folder), "--wait") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "nonsense"], "no job type 'nonsense'"),
        (["new", "rescale", "--set", "new_box"], "expected KEY=VALUE"),
        (["new", "rescale", "--set", "nonsense=1"], "aurefine job options rescale"),
        (["new", "rescale", "--set", "in_3dref=map.mrc", "new_box=x"], "found 'x'"),
        (["show", "7"], "no job '7'"),
        (["abort", "7"], "no job '7'"),
        (["new", "rescale", "--from", "map.mrc"], "map.mrc"),
        (["frobnicate"], "frobnicate"),
        (["list", "--project", "nowhere"], "aurefine project init"),
    ],
)
def test_mistake_is_one_message(folder, capsys, words, message):
    assert job(*words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert open_project(folder).jobs() == []


def test_options_of_a_type_are_listed_with_defaults_and_help(capsys):
    assert job("options", "3D auto-refine") == 0
    out = capsys.readouterr().out
    assert "sym_name  [C1]" in out
    assert "Point group" in out
    assert out.index("\nReference\n") < out.index("\nAuto-sampling\n")


@pytest.mark.parametrize("words", [["project"], ["job"], ["report"]])
def test_help_has_examples(capsys, words):
    assert run_command(words) == 0
    assert "examples:" in capsys.readouterr().out


def test_project_is_translated_for_another_relion(folder, capsys):
    assert job("new", "rescale", "--set", "in_3dref=map.mrc", "new_box=12") == 0
    assert run_command(["project", "convert", "5.0"]) == 0
    text = (folder / "default_pipeline.star").read_text()
    assert "relion.external.rescale" in text or "relion.external" in text
    assert "DensityMap.mrc" in text


def test_import_brings_files_in(folder, capsys):
    values = ["do_raw=No", "do_other=Yes", "fn_in_other=map.mrc", "node_type=3D mask (.mrc)"]
    assert job("new", "import", "--wait", "--set", *values) == 0
    assert (folder / "Import/job001/map.mrc").read_bytes() == (folder / "map.mrc").read_bytes()
    assert [node.path for node in open_project(".").nodes("mask")] == ["Import/job001/map.mrc"]
