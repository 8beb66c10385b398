"""Command lines of RELION, unchanged, through the scripts with RELION's names."""

import os
import shlex
import shutil
import subprocess

import pytest

from aurefine.cli.main import run_command
from aurefine.io import read_map

# as RELION 4's interface writes it, with options that have no meaning here
COMMAND = shlex.split(
    "--o Refine3D/job005/run --auto_refine --split_random_halves --i particles.star "
    "--ref reference.mrc --firstiter_cc --trust_ref_size --ini_high 50 "
    "--dont_combine_weights_via_disc --preread_images --pool 30 --pad 2 --skip_gridding --ctf "
    "--particle_diameter 190 --flatten_solvent --zero_mask --oversampling 1 --healpix_order 1 "
    "--auto_local_healpix_order 4 --offset_range 3 --offset_step 2 --sym D2 "
    "--low_resol_join_halves 40 --norm --scale --j 2 --gpu 0:1 --random_seed 1 "
    "--scratch_dir /tmp --pipeline_control Refine3D/job005/ --auto_iter_max 2"
)
WITHOUT_EFFECT = {
    "--dont_combine_weights_via_disc", "--pool", "--skip_gridding", "--gpu",
}  # fmt: skip


@pytest.fixture
def folder(project, tmp_path):
    for name in ("particles.star", "particles.mrcs", "reference.mrc"):
        shutil.copy(project / name, tmp_path / name)
    assert run_command(["relion-shims", str(tmp_path / "bin")]) == 0
    (tmp_path / "Refine3D/job005").mkdir(parents=True)
    return tmp_path


def run(folder, *command):
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def check(folder, done, finished):
    assert done.returncode == 0, done.stderr
    job = folder / "Refine3D/job005"
    assert (job / "RELION_JOB_EXIT_SUCCESS").exists()
    lines = (job / "run.out").read_text().splitlines()
    notes = [line.split()[2] for line in lines if line.startswith(" Note: option")]
    # one process alone says, too, that images in memory need no scratch
    assert set(notes) - {"--scratch_dir"} == WITHOUT_EFFECT
    assert len(notes) == len(set(notes))
    ours, _ = read_map(job / "run_it002_half1_class001.mrc")
    expected, _ = read_map(finished / "run_it002_half1_class001.mrc")
    assert (ours == expected).all()


def test_a_job_of_relion_runs_unchanged(folder, finished):
    done = run(folder, "relion_refine_mpi", *COMMAND)
    check(folder, done, finished)
    assert "Summary: iteration 2" in done.stdout


def test_under_mpirun_the_processes_share_the_work(folder, finished, mpirun):
    # by its path: mpirun, called by its own, puts the folder that it is in first
    program = str(folder / "bin/relion_refine_mpi")
    check(folder, run(folder, *mpirun(3), program, *COMMAND), finished)


def test_output_that_is_redirected_to_run_out_is_written_once(folder, finished):
    """As RELION's pipeline starts jobs: ``command >> job/run.out 2>> job/run.err``."""
    line = shlex.join(["relion_refine", *COMMAND])
    redirected = f"{line} >> Refine3D/job005/run.out 2>> Refine3D/job005/run.err"
    check(folder, run(folder, "sh", "-c", redirected), finished)
    text = (folder / "Refine3D/job005/run.out").read_text()
    assert text.count("Auto-refine: Iteration= 1\n") == 1
    assert text.count("Summary: iteration 2") == 1


def test_a_failure_has_relions_marker(folder):
    done = run(folder, "relion_refine_mpi", *COMMAND, "--sym", "Q")
    assert done.returncode == 1
    assert (folder / "Refine3D/job005/RELION_JOB_EXIT_FAILURE").exists()
