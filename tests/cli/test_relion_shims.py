"""Scripts with RELION's program names."""

import os
import subprocess

import pytest

from aurefine.cli.main import run_command
from aurefine.cli.relion_shims import SHIMS, write_shims
from aurefine.errors import OutputError


def test_every_program_gets_an_executable_script(tmp_path):
    paths = write_shims(tmp_path / "bin")
    assert sorted(path.name for path in paths) == sorted(SHIMS)
    assert all(os.access(path, os.X_OK) for path in paths)


def test_relion_refine_answers_with_its_version(tmp_path):
    write_shims(tmp_path)
    for name in ("relion_refine", "relion_refine_mpi"):
        done = subprocess.run(
            [str(tmp_path / name), "--version"], capture_output=True, text=True, check=True
        )
        assert "aurefine" in done.stdout


def test_only_the_first_process_of_mpirun_works(tmp_path):
    write_shims(tmp_path)
    done = subprocess.run(
        [str(tmp_path / "relion_postprocess"), "--version"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "OMPI_COMM_WORLD_RANK": "1"},
    )  # fmt: skip
    assert done.stdout == ""


@pytest.mark.parametrize("program", ["relion_preprocess_mpi", "relion_refine_mpi"])
def test_all_processes_of_mpirun_share_the_work(tmp_path, program):
    write_shims(tmp_path)
    done = subprocess.run(
        [str(tmp_path / program), "--version"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "OMPI_COMM_WORLD_RANK": "1"},
    )  # fmt: skip
    assert "aurefine" in done.stdout


def test_the_exit_code_and_arguments_pass_through(tmp_path):
    write_shims(tmp_path)
    done = subprocess.run(
        [str(tmp_path / "relion_refine"), "--o", "a b", "--K", "x y"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "found 'x y'" in done.stderr


def test_the_command_says_how_to_use_them(tmp_path, capsys):
    assert run_command(["relion-shims", str(tmp_path / "bin")]) == 0
    out = capsys.readouterr().out
    assert "export PATH=" in out
    assert "relion_postprocess" in out


def test_a_missing_directory_argument_is_an_error(capsys):
    assert run_command(["relion-shims"]) == 1
    assert "DIR" in capsys.readouterr().err


def test_a_directory_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_shims(tmp_path / "file" / "bin")
