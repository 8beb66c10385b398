"""Killing a run at many moments: it always goes on, and ends with the same bits."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LAST = "run_it003_optimiser.star"
RUNNER = Path(__file__).with_name("fault_runner.py")
# three iterations and the converged one, many batches, each of which may be stored
SHORT = ["--auto_iter_max", "3", "--memory_budget", "0.005", "--partial_minutes", "1e-9"]
FINAL = "run_it003_half1_class001.mrc"


def run(project, folder, moment, what, *arguments):
    """Run with a fault; return exit code, messages and the number of moments if it got so far."""
    folder.mkdir(exist_ok=True)
    count = folder / "moments"
    count.unlink(missing_ok=True)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(moment), what, str(count), "refine", *arguments],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr, int(count.read_text()) if count.exists() else 0


@pytest.fixture(scope="module")
def whole(project, standard_options, tmp_path_factory):
    """Command line, results and number of moments of a run without faults."""
    folder = tmp_path_factory.mktemp("whole") / "job"
    words = shlex.split("--i particles.star --ref reference.mrc") + standard_options + SHORT
    code, _, n_moments = run(project, folder, 0, "kill", *words, "--o", f"{folder}/run")
    assert code == 0
    assert n_moments > 100
    return words, results(folder), n_moments


def results(folder):
    names = [FINAL, "run_it003_half2_class001.mrc", "run_it003_half1_model.star"]
    return [(folder / name).read_bytes().replace(bytes(folder), b"FOLDER") for name in names]


def complete(folder):
    """Bytes of all files of the iterations that have an optimiser file."""
    found = {}
    for optimiser in folder.glob("run_it*_optimiser.star"):
        for path in folder.glob(optimiser.name[:9] + "_*"):
            if "_partial" not in path.name:
                found[path.name] = path.read_bytes()
    return found


def kill_and_go_on(project, folder, whole, moment):
    words, expected, _ = whole
    output = ["--o", f"{folder}/run", "--continue", "auto"]
    code, _, _ = run(project, folder, moment, "kill", *words, *output)
    assert code == -signal.SIGKILL
    code, messages, _ = run(project, folder, 0, "kill", *words, *output)
    assert code == 0, messages
    assert results(folder) == expected
    assert not list(folder.glob("*.tmp-*"))
    assert not list(folder.glob("*partial*"))


def moments_of(whole, n, seed):
    return sorted(np.random.default_rng(seed).integers(1, whole[2], n, endpoint=True).tolist())


@pytest.mark.parametrize("part", range(3))
def test_a_killed_run_ends_with_the_same_bits(project, whole, tmp_path, part):
    moment = moments_of(whole, 3, seed=7)[part]
    kill_and_go_on(project, tmp_path / "job", whole, moment)


@pytest.mark.slow
def test_runs_killed_at_fifty_moments_end_with_the_same_bits(project, whole, tmp_path):
    for i, moment in enumerate(moments_of(whole, 50, seed=1)):
        kill_and_go_on(project, tmp_path / f"job{i}", whole, moment)


def break_and_look(project, folder, whole, moment, what):
    """Let the disk fail and see that earlier iterations are as they were."""
    words, expected, _ = whole
    output = ["--o", f"{folder}/run", "--continue", "auto"]
    code, messages, n_moments = run(project, folder, moment, what, *words, *output)
    if 0 < n_moments < moment:  # moments in figures and logs vary: this run ended before its fault
        assert code == 0
        return
    assert "Traceback" not in messages
    reason = {"full": "disk is full", "readonly": "file system is read-only"}[what]
    assert reason in messages
    only_figures_are_missing = (folder / LAST).exists()
    assert code == (0 if only_figures_are_missing else 1)
    assert ("the plots are missing" if only_figures_are_missing else "run_it") in messages
    before = complete(folder)
    code, messages, _ = run(project, folder, 0, what, *words, *output)
    assert code == 0, messages
    assert results(folder) == expected
    after = complete(folder)
    assert all(after[name] == content for name, content in before.items())


@pytest.mark.parametrize("what", ["full", "readonly"])
def test_a_disk_that_fails_leaves_earlier_iterations(project, whole, tmp_path, what):
    moment = moments_of(whole, 2, seed=3)[what == "full"] // 2 + 20
    break_and_look(project, tmp_path / "job", whole, moment, what)


@pytest.mark.slow
def test_disks_that_fail_at_many_moments_leave_earlier_iterations(project, whole, tmp_path):
    for i, moment in enumerate(moments_of(whole, 20, seed=2)):
        break_and_look(project, tmp_path / f"job{i}", whole, moment, ("full", "readonly")[i % 2])
