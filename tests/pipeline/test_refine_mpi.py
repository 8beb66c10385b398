"""Refinement with several processes: equal results, and one end for all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aurefine.cli.main import run_command

DRIVER = str(Path(__file__).with_name("mpi_fault.py"))
BATCHES_OF_8 = ["--memory_budget", "0.001"]
END = 30  # seconds in which all processes must have ended
RESULTS = ("half1_class001.mrc", "half2_class001.mrc", "half1_model.star", "half2_model.star",
           "data.star", "sampling.star")  # fmt: skip
FINAL = ("class001.mrc", "half1_class001_unfil.mrc", "half2_class001_unfil.mrc", "data.star",
         "model.star")  # fmt: skip


def command(folder, *options, standard):
    inputs = ["--i", "particles.star", "--ref", "reference.mrc", *standard]
    return [*inputs, "--o", f"{folder}/run", "--pipeline_control", f"{folder}/", *BATCHES_OF_8,
            *options]  # fmt: skip


def contents(folder, names, stem=""):
    """Bytes of result files, without the names of files in them."""
    return {
        name: (folder / f"run_{stem}{name}").read_bytes().replace(bytes(folder), b"FOLDER")
        for name in names
    }


def iterations(folder):
    return sorted(path.name[4:9] for path in folder.glob("run_it*_optimiser.star"))


class Run:
    """Processes under mpirun, and what they have left when they ended."""

    def __init__(self, words, folder):
        self.process = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.members = set()

    def look(self):
        """Remember the processes that there are."""
        launcher = psutil.Process(self.process.pid)
        self.members |= {p for p in launcher.children(recursive=True) if "python" in p.name()}

    def wait(self, seconds=600):
        out, err = self.process.communicate(timeout=seconds)
        end = time.monotonic() + 5
        while any(p.is_running() for p in self.members):  # also true for a zombie
            assert time.monotonic() < end, "a process is left"
            time.sleep(0.05)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def serial(project, standard_options, tmp_path_factory):
    """Folder of a converged run of one process with small batches."""
    folder = tmp_path_factory.mktemp("serial")
    before = Path.cwd()
    os.chdir(project)
    try:
        assert run_command(["refine", *command(folder, standard=standard_options)]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def start(project, standard_options, mpirun):
    """Function (n, folder, ...) -> Run; `fault` is rank, moment and iteration of a kill."""

    def start(n, folder, *options, fault=None, standard=True):
        words = ["-m", "aurefine", "refine"] if fault is None else [DRIVER, *map(str, fault)]
        options = command(folder, *options, standard=standard_options) if standard else options
        return Run([*mpirun(n), sys.executable, *words, *options], project)

    return start


def assert_same_run(folder, expected):
    assert iterations(folder) == iterations(expected)
    for stem in iterations(expected)[1:]:
        assert contents(folder, RESULTS, f"{stem}_") == contents(expected, RESULTS, f"{stem}_")
    assert contents(folder, FINAL) == contents(expected, FINAL)


def test_four_processes_write_what_one_writes(start, serial, tmp_path):
    """From the first iteration to the joined last one; two followers for half 1, one for half 2."""
    code, out, err = start(4, tmp_path).wait()
    assert code == 0, err
    assert_same_run(tmp_path, serial)
    assert (tmp_path / "RELION_JOB_EXIT_SUCCESS").exists()
    assert "4 processes on 1 host" in out
    assert out.count("Auto-refine: Iteration= 1\n") == 1


@pytest.mark.mpi
@pytest.mark.parametrize("n", [3, 5])
def test_odd_numbers_of_processes_write_what_one_writes(start, serial, tmp_path, n):
    code, _, err = start(n, tmp_path, "--j", "2").wait()
    assert code == 0, err
    assert_same_run(tmp_path, serial)


def check_fault(start, serial, folder, n, fault, seconds=END):
    """Kill a process; all must end soon, tell why, and the run must go on as if nothing was."""
    run = start(n, folder, fault=fault)
    while run.process.poll() is None and iterations(folder)[-1:] != [f"it{fault[2] - 1:03d}"]:
        time.sleep(0.05)
    begin = time.monotonic()
    run.look()
    code, _, err = run.wait()
    # the moment itself comes a little after the last complete iteration
    assert time.monotonic() - begin < seconds
    assert code != 0
    assert (folder / "RELION_JOB_EXIT_FAILURE").exists(), err
    assert not (folder / "RELION_JOB_EXIT_ABORTED").exists()
    assert f"process {fault[0]}" in (folder / "run.err").read_text()
    last = f"it{fault[2] - 1:03d}"
    assert iterations(folder)[-1] == last
    code = run_command(
        ["refine", "--continue", "auto", "--o", f"{folder}/run", "--pipeline_control",
         f"{folder}/", "--auto_iter_max", str(fault[2]), *BATCHES_OF_8]
    )  # fmt: skip
    assert code == 0
    stem = f"it{fault[2]:03d}_"
    assert contents(folder, RESULTS, stem) == contents(serial, RESULTS, stem)
    assert not list(folder.glob("*.tmp-*"))


def test_a_killed_follower_ends_all_and_the_run_goes_on(
    start, serial, project, tmp_path, monkeypatch
):
    monkeypatch.chdir(project)
    check_fault(start, serial, tmp_path, 3, (2, "expectation", 2))


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("n", "fault"),
    [
        (5, (1, "expectation", 1)),
        (5, (3, "reduction", 2)),
        (5, (1, "reduction", 3)),
        (5, (2, "reconstruction", 2)),
        (5, (0, "write_particles", 2)),
        (5, (0, "write_map", 2)),
        (5, (4, "error", 2)),
        (3, (2, "reduction", 2)),
        (3, (0, "write_map", 2)),
    ],
    ids=str,
)
def test_a_killed_process_ends_all_and_the_run_goes_on(
    start, serial, project, tmp_path, monkeypatch, n, fault
):
    monkeypatch.chdir(project)
    check_fault(start, serial, tmp_path, n, fault)


def test_a_failure_of_a_follower_is_told_once(start, tmp_path):
    code, out, err = start(3, tmp_path, fault=(2, "error", 1)).wait()
    assert code == 1
    assert (tmp_path / "RELION_JOB_EXIT_FAILURE").exists()
    for text in (err, (tmp_path / "run.err").read_text()):
        assert text.count("aurefine: error: process 2 on ") == 1
        assert text.count("made by the test") == 1
        assert "Traceback" not in text
    assert "exiting with an error" in out


def test_two_processes_are_too_few(start, tmp_path):
    code, _, err = start(2, tmp_path).wait()
    assert code == 1
    assert err.count("aurefine: error:") == 1
    assert "2 processes can not refine: at least 3 are needed" in err
    assert (tmp_path / "RELION_JOB_EXIT_FAILURE").exists()


def test_help_and_bad_options_do_not_leave_processes_waiting(start, tmp_path):
    code, out, _ = start(3, tmp_path, "--help", standard=False).wait()
    assert code == 0
    assert out.count("usage: aurefine refine") == 1
    code, _, err = start(3, tmp_path, "--symm", "D2", standard=False).wait()
    assert code == 1
    assert err.count("aurefine: error:") == 1


@pytest.mark.mpi
def test_the_wish_to_abort_is_followed(start, tmp_path):
    run = start(3, tmp_path)
    while run.process.poll() is None and not iterations(tmp_path)[1:]:
        time.sleep(0.05)
    run.look()
    (tmp_path / "RELION_JOB_ABORT_NOW").touch()
    code, _, err = run.wait(END)
    assert code == 2
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists(), err
    assert not (tmp_path / "RELION_JOB_ABORT_NOW").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_mpirun_is_an_abort(start, tmp_path, number):
    run = start(3, tmp_path)
    while run.process.poll() is None and not iterations(tmp_path)[1:]:
        time.sleep(0.05)
    run.look()
    run.process.send_signal(number)
    code, _, err = run.wait(END)
    assert code != 0
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists(), err
    assert not (tmp_path / "RELION_JOB_EXIT_FAILURE").exists()
