"""Several processes stopped in the middle of an iteration, and other numbers that go on."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aurefine.cli.main import run_command

DRIVER = str(Path(__file__).with_name("mpi_fault.py"))
# five batches in each half; stored whenever all processes are between two batches
OPTIONS = ["--memory_budget", "0.001", "--partial_minutes", "1e-9"]
SMALLEST = 6  # particles of a batch; the largest has 8
RESULTS = ("half1_class001.mrc", "half2_class001.mrc", "half1_model.star", "half2_model.star",
           "data.star")  # fmt: skip


@pytest.fixture(scope="module")
def expected(project, standard_options, tmp_path_factory):
    """Files of iteration 2 of a run of one process that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", *standard_options]
    with contextlib.chdir(project):
        assert run_command(["refine", *inputs, *words(folder), "--partial_minutes", "0"]) == 0
    return results(folder)


def words(folder):
    return ["--o", f"{folder}/run", "--pipeline_control", f"{folder}/", "--auto_iter_max", "2",
            *OPTIONS]  # fmt: skip


def results(folder):
    return {
        name: (folder / f"run_it002_{name}").read_bytes().replace(bytes(folder), b"FOLDER")
        for name in RESULTS
    }


@pytest.fixture
def run(project, standard_options, mpirun, tmp_path):
    """Function (n, moment, rank) -> exit code and output; the run is continued if there is one."""
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", *standard_options]

    def run(n, moment=None, rank=0):
        folder = tmp_path / "job"
        folder.mkdir(exist_ok=True)
        start = [*mpirun(n), sys.executable] if n > 1 else [sys.executable]
        what = ["-m", "aurefine", "refine"]
        if moment is not None:
            what = [DRIVER, str(rank), moment, "2"]
        line = [*start, *what, *inputs, "--continue", "auto", *words(folder)]
        done = subprocess.run(line, cwd=project, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def names(folder):
    return sorted(path.name for path in folder.glob("*_partial*"))


def assert_stored(folder):
    found = names(folder)
    assert found.pop(0) == "run_it002_partial.npz"
    assert [re.sub("_[0-9a-f]{12}", "", name) for name in found] == [
        "run_it002_partial_half1.npz",
        "run_it002_partial_half2.npz",
    ]


def n_taken_up(text):
    found = re.findall(r" (\d+) particles of this iteration are done already", text)
    return int(found[-1]) if found else 0


def test_one_process_goes_on_where_three_were_stopped(run, expected, tmp_path):
    code, text = run(3, "SIGUSR1:4")
    folder = tmp_path / "job"
    assert code != 0
    assert "The unfinished iteration is stored in" in text
    assert (folder / "RELION_JOB_EXIT_ABORTED").exists()
    assert not (folder / "run_it002_optimiser.star").exists()
    assert_stored(folder)
    code, text = run(1)
    assert code == 0, text
    assert n_taken_up(text) >= 4 * SMALLEST
    assert results(folder) == expected
    assert not names(folder)


@pytest.mark.mpi
def test_other_numbers_of_processes_go_on_from_each_other(run, expected, tmp_path):
    folder = tmp_path / "job"
    stored = []
    for n, moment in ((1, "batches:3"), (5, "batches:6"), (3, "SIGUSR1:2")):
        code, text = run(n, moment)
        assert code != 0
        assert "is not stored" not in text
        stored.append(n_taken_up(text))
    code, text = run(4)
    assert code == 0, text
    stored.append(n_taken_up(text))
    assert stored[0] == 0
    assert stored == sorted(set(stored))  # each has added to what the one before left
    assert results(folder) == expected
    assert not names(folder)


@pytest.mark.mpi
@pytest.mark.parametrize("rank", [0, 2])
def test_a_process_killed_while_it_stores_leaves_what_was_stored_before(
    run, expected, tmp_path, rank
):
    code, _ = run(3, "store", rank)
    assert code != 0
    code, text = run(5)
    assert code == 0, text
    assert n_taken_up(text) >= 2 * SMALLEST
    assert "not used" not in text
    assert results(tmp_path / "job") == expected
    assert not names(tmp_path / "job")


@pytest.mark.mpi
@pytest.mark.parametrize("half", [1, 2])
def test_damaged_sums_of_one_half_let_both_begin_again(run, expected, tmp_path, half):
    run(3, "SIGUSR1:4")
    folder = tmp_path / "job"
    (path,) = folder.glob(f"*_partial_half{half}_*.npz")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    code, text = run(3)
    assert code == 0, text
    assert text.count(f"{path.name}: not used: the file is damaged") == 1
    assert "are done already" not in text
    assert results(folder) == expected
    assert not names(folder)


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_hasty_end_leaves_what_was_stored_before(run, expected, tmp_path, name):
    code, text = run(3, f"{name}:4")
    folder = tmp_path / "job"
    assert code != 0
    assert (folder / "RELION_JOB_EXIT_ABORTED").exists()
    code, text = run(5)
    assert code == 0, text
    assert results(folder) == expected
    assert not names(folder)
