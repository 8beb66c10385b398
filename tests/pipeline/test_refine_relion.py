"""RELION reads what a run leaves, and each program goes on from the other's iterations."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.fourier import fsc_of_maps
from aurefine.io import read_map, read_particles, read_star, write_map

PROGRAMS = (
    "relion_postprocess", "relion_reconstruct", "relion_star_handler", "relion_refine_mpi",
)  # fmt: skip
# that of the system, which RELION is made for, not one of the Python environment
FOLDERS = [f for f in os.get_exec_path() if Path(f) != Path(sys.executable).parent]
MPIRUN = shutil.which("mpirun", path=os.pathsep.join(FOLDERS)) or ""
pytestmark = [
    pytest.mark.relion,
    pytest.mark.skipif(
        not all(map(shutil.which, (*PROGRAMS, MPIRUN))), reason="RELION or mpirun is missing"
    ),
]
MPI = [MPIRUN, "--allow-run-as-root", "--oversubscribe", "-n", "3", "relion_refine_mpi"]


def relion(folder, *command):
    """Run a program of RELION in a folder and return what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def test_half_maps_go_through_relion_postprocess(finished, tmp_path):
    density, pixel_size = read_map(finished / "run_class001.mrc")
    radius = np.sqrt(((np.mgrid[:32, :32, :32] - 16.0) ** 2).sum(axis=0))
    write_map(tmp_path / "mask.mrc", np.clip((15 - radius) / 3, 0, 1).astype("f4"), pixel_size)
    (tmp_path / "post").mkdir()
    relion(
        tmp_path, "relion_postprocess", "--i", finished / "run_half1_class001_unfil.mrc",
        "--mask", "mask.mrc", "--adhoc_bfac", "-100", "--o", "post/post",
    )  # fmt: skip
    table = read_star(tmp_path / "post/post.star").table("fsc")
    halves = [read_map(finished / f"run_half{half}_class001_unfil.mrc")[0] for half in (1, 2)]
    theirs = table["rlnFourierShellCorrelationUnmaskedMaps"].to_numpy()
    # RELION counts the Fourier pixels of the plane x = 0 twice, which shows in a small box
    assert theirs == pytest.approx(fsc_of_maps(*halves), abs=0.03)
    assert read_map(tmp_path / "post/post.mrc")[0].shape == density.shape


def test_relion_reconstruct_makes_the_same_map_from_the_poses(finished, project, tmp_path):
    relion(
        project, "relion_reconstruct", "--i", finished / "run_data.star", "--ctf", "--sym", "D2",
        "--o", tmp_path / "map.mrc",
    )  # fmt: skip
    theirs, _ = read_map(tmp_path / "map.mrc")
    ours, _ = read_map(finished / "run_class001.mrc")
    fsc = fsc_of_maps(ours, theirs)
    assert fsc[:12].min() > 0.97


def test_relion_star_handler_reads_every_star_file(finished, tmp_path):
    files = sorted(finished.glob("*.star"))
    wanted = [f for f in files if "_it" not in f.name or "_it002_" in f.name]
    assert len(wanted) == 9
    for path in wanted:
        relion(tmp_path, "relion_star_handler", "--i", path, "--o", "copy.star")


def test_poses_survive_relion_star_handler(finished, tmp_path):
    relion(
        tmp_path, "relion_star_handler", "--i", finished / "run_data.star", "--o", "copy.star",
        "--select", "rlnRandomSubset", "--minval", "0", "--maxval", "9",
    )  # fmt: skip
    ours = read_particles(finished / "run_data.star").particles
    theirs = read_particles(tmp_path / "copy.star").particles
    for label in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst"):
        assert theirs[label].to_numpy() == pytest.approx(ours[label].to_numpy(), abs=2e-5)


def test_relion_continues_an_iteration_of_ours(finished, project, tmp_path):
    relion(
        project, *MPI, "--continue", finished / "run_it003_optimiser.star", "--o",
        tmp_path / "run", "--auto_iter_max", "4", "--j", "1",
    )  # fmt: skip
    for half in (1, 2):
        name = f"run_it004_half{half}_class001.mrc"
        theirs, _ = read_map(tmp_path / name)
        ours, _ = read_map(finished / name)
        # the perturbation of the grid differs
        assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.95


def test_we_continue_an_iteration_of_relion(project, standard_options, tmp_path, monkeypatch):
    relion(
        project, *MPI, "--auto_refine", "--split_random_halves", "--i", "particles.star", "--ref",
        "reference.mrc", *standard_options, "--o", tmp_path / "theirs", "--auto_iter_max", "3",
        "--j", "1",
    )  # fmt: skip
    monkeypatch.chdir(project)
    optimiser = f"{tmp_path}/theirs_it002_optimiser.star"
    arguments = ["--continue", optimiser, "--o", f"{tmp_path}/ours", "--auto_iter_max", "3"]
    assert run_command(["refine", *arguments]) == 0
    for half in (1, 2):
        theirs, _ = read_map(tmp_path / f"theirs_it003_half{half}_class001.mrc")
        ours, _ = read_map(tmp_path / f"ours_it003_half{half}_class001.mrc")
        assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.95
