"""Stopping in the middle: signals, the wish to abort, a full disk; and going on afterwards."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from aurefine.jobs import refine_files, refine_job

CONTINUE = "The last complete iteration can be continued: aurefine refine --continue"


def left_in(folder):
    """Names of what is not complete: temporary files, iterations without their optimiser file."""
    names = {path.name for path in folder.iterdir()}
    temporary = {name for name in names if ".tmp" in name}
    stems = {name[:9] for name in names if name.startswith("run_it")}
    return temporary | {stem for stem in stems if f"{stem}_optimiser.star" not in names}


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_a_signal_leaves_complete_iterations(
    project, standard_options, tmp_path, number, code, word
):
    command = [
        sys.executable, "-m", "aurefine", "refine", "--i", "particles.star", "--ref",
        "reference.mrc", *standard_options, "--j", "2", "--o", f"{tmp_path}/run",
        "--pipeline_control", f"{tmp_path}/",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "run_it002_optimiser.star").exists() or process.poll())
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert word in err
    assert "Traceback" not in err
    assert CONTINUE in out
    assert not left_in(tmp_path)
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists()
    assert "exiting with an abort" in (tmp_path / "run.out").read_text()


def abort_after(monkeypatch, folder, iteration):
    """Ask for the abort while particles of an iteration are being aligned."""
    original = refine_job.RefineJob.iteration_started

    def ask(self, controller):
        original(self, controller)
        if controller.iteration == iteration:
            (folder / "RELION_JOB_ABORT_NOW").touch()

    monkeypatch.setattr(refine_job.RefineJob, "iteration_started", ask)


def test_the_wish_to_abort_is_followed_and_the_run_goes_on(
    refine, finished, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        abort_after(patch, tmp_path, 2)
        assert refine(tmp_path / "run", "--pipeline_control", f"{tmp_path}/") == 2
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists()
    assert not (tmp_path / "RELION_JOB_ABORT_NOW").exists()
    assert not left_in(tmp_path)
    assert CONTINUE in capsys.readouterr().out
    optimiser = f"{tmp_path}/run_it001_optimiser.star"
    code = refine(
        tmp_path / "run", "--continue", optimiser, "--auto_iter_max", "2",
        "--pipeline_control", f"{tmp_path}/", standard=False,
    )  # fmt: skip
    assert code == 0
    assert (tmp_path / "RELION_JOB_EXIT_SUCCESS").exists()
    assert not (tmp_path / "RELION_JOB_EXIT_ABORTED").exists()
    name = "run_it002_half1_class001.mrc"
    assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("written", ["data", "map"])
def test_a_full_disk_leaves_earlier_iterations(refine, tmp_path, monkeypatch, capsys, written):
    """The second iteration does not fit, be it at its first file or at a later one."""
    name = {"data": "write_particles", "map": "write_map"}[written]
    original = getattr(refine_files, name)

    def full(path, *rest, **more):
        if "_it002_" in str(path) and "half1" not in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(path, *rest, **more)

    monkeypatch.setattr(refine_files, name, full)
    assert refine(tmp_path / "run", "--pipeline_control", f"{tmp_path}/") == 1
    captured = capsys.readouterr()
    assert "disk is full" in captured.err
    assert "run_it001_optimiser.star" in captured.out
    assert "Traceback" not in captured.err
    assert not left_in(tmp_path)
    assert not list(tmp_path.glob("run_it002_*"))
    assert (tmp_path / "run_it001_optimiser.star").exists()
    assert (tmp_path / "RELION_JOB_EXIT_FAILURE").exists()


@pytest.fixture
def memory_disk(tmp_path):
    """Function (mount options) -> folder on a memory disk."""
    disk = tmp_path / "disk"

    def mount(options):
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("memory disks can not be mounted here")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def test_a_small_file_system(refine, memory_disk, capsys):
    """The real thing: a memory disk that holds two iterations."""
    disk = memory_disk("size=900k")
    assert refine(disk / "run", "--ignore_memory_check") == 1
    assert not left_in(disk)
    complete = sorted(path.name for path in disk.glob("*_optimiser.star"))
    assert complete == ["run_it000_optimiser.star", "run_it001_optimiser.star"]
    assert capsys.readouterr().err.count("disk is full") == 1


def test_a_read_only_file_system(refine, memory_disk, capsys):
    disk = memory_disk("ro")
    assert refine(disk / "run") == 1
    assert refine(disk / "job001" / "run") == 1
    assert capsys.readouterr().err.count("option --o: the folder") == 2


@pytest.mark.parametrize("output", ["file/run", "file/job001/run"])
def test_a_file_in_the_place_of_the_folder(refine, tmp_path, capsys, output):
    (tmp_path / "file").write_text("keep me")
    assert refine(tmp_path / output) == 1
    assert "a file is in its place" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "keep me"


def test_plots_that_can_not_be_drawn_do_not_spoil_the_run(refine_and_draw, tmp_path, capsys):
    (tmp_path / "run_fsc.png").mkdir()
    assert refine_and_draw(tmp_path / "run", "--auto_iter_max", "1") == 0
    assert "WARNING: the plots are missing" in capsys.readouterr().err
