"""Stopping in the middle of an iteration, and going on from there with the same bits."""

import contextlib
import os
import re
import signal

import pytest

from aurefine.jobs.refine_job import RefineJob

# five batches in each half; every batch may be stored
OPTIONS = ["--memory_budget", "0.001", "--partial_minutes", "1e-9"]
RESULTS = ("half1_class001.mrc", "half2_class001.mrc", "half1_model.star", "data.star")


@pytest.fixture(scope="module")
def expected(project, standard_options, tmp_path_factory):
    """Files of iteration 2 of a run that was never stopped."""
    from aurefine.cli.main import run_command

    folder = tmp_path_factory.mktemp("whole")
    with contextlib.chdir(project):
        code = run_command(
            ["refine", "--i", "particles.star", "--ref", "reference.mrc", *standard_options,
             "--o", f"{folder}/run", "--auto_iter_max", "2", "--memory_budget", "0.001",
             "--partial_minutes", "0"]
        )  # fmt: skip
    assert code == 0
    assert not list(folder.glob("*partial*"))
    return results(folder)


def results(folder):
    return {
        name: (folder / f"run_it002_{name}").read_bytes().replace(bytes(folder), b"FOLDER")
        for name in RESULTS
    }


def stop_in_batch(monkeypatch, n, stop):
    """Call `stop` while batch number `n` of iteration 2 is being worked on."""
    original = RefineJob.particles_done
    seen = []

    def particles_done(self, n_particles):
        if self._partial.iteration == 2:
            seen.append(n_particles)
            if len(seen) == n:
                stop()
        original(self, n_particles)

    monkeypatch.setattr(RefineJob, "particles_done", particles_done)


def go_on(refine, folder, *more):
    return refine(
        folder / "run", "--continue", "auto", "--auto_iter_max", "2", *OPTIONS, *more,
        standard=False,
    )  # fmt: skip


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("n", "number", "code"), [(3, "SIGTERM", 143), (8, "SIGINT", 130)])
def test_a_signal_stores_the_iteration(
    refine, expected, tmp_path, monkeypatch, capsys, n, number, code
):
    with monkeypatch.context() as patch:
        stop_in_batch(patch, n, lambda: os.kill(os.getpid(), getattr(signal, number)))
        assert refine(tmp_path / "run", "--auto_iter_max", "2", *OPTIONS) == code
    partial = tmp_path / "run_it002_partial.npz"
    assert partial.exists()
    assert "unfinished iteration is stored" in (tmp_path / "run.out").read_text()
    capsys.readouterr()
    assert go_on(refine, tmp_path, "--j", "2") == 0
    found = re.search(r" (\d+) particles of this iteration are done", capsys.readouterr().out)
    assert found is not None
    assert 7 * n <= int(found[1]) <= 8 * n  # batches of 8, the last of a half may be smaller
    assert results(tmp_path) == expected
    assert not list(tmp_path.glob("*partial*"))


def test_the_wish_to_abort_stores_the_iteration(refine, expected, tmp_path, monkeypatch):
    control = ["--pipeline_control", f"{tmp_path}/"]
    with monkeypatch.context() as patch:
        stop_in_batch(patch, 5, (tmp_path / "RELION_JOB_ABORT_NOW").touch)
        assert refine(tmp_path / "run", "--auto_iter_max", "2", *OPTIONS, *control) == 2
    assert (tmp_path / "run_it002_partial.npz").exists()
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists()
    assert go_on(refine, tmp_path, *control) == 0
    assert results(tmp_path) == expected


def test_a_damaged_partial_iteration_is_done_again(refine, expected, tmp_path, monkeypatch, capsys):
    def crash():
        raise MemoryError

    with monkeypatch.context() as patch:
        stop_in_batch(patch, 4, crash)
        assert refine(tmp_path / "run", "--auto_iter_max", "2", *OPTIONS) != 0
    partial = tmp_path / "run_it002_partial.npz"  # stored after the third batch
    raw = bytearray(partial.read_bytes())
    raw[len(raw) // 2] ^= 1
    partial.write_bytes(raw)
    capsys.readouterr()
    assert go_on(refine, tmp_path) == 0
    assert "run_it002_partial.npz: not used: the file is damaged" in capsys.readouterr().err
    assert results(tmp_path) == expected
