"""Memory does not grow with the number of particles beyond their metadata."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
from aurefine.cli.main import run_command
code = run_command(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
OPTIONS = (
    "--i particles.star --ref reference.mrc --sym D2 --ctf --ini_high 50 --particle_diameter 190 "
    "--zero_mask --flatten_solvent --offset_range 5 --offset_step 2 --random_seed 1 "
    "--auto_iter_max 1 --memory_budget 0.1 --o run/run"
)


def peak_memory(folder: Path, n_particles: int) -> float:
    """Peak resident memory of one iteration [MiB]."""
    folder.mkdir()

    def run(words: str) -> str:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM, *words.split()]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    run(f"simulate --preset demo --o . --n_particles {n_particles} --snr 0.1")
    return int(run(f"refine {OPTIONS}").split("PEAK")[1]) / 1024


@pytest.mark.slow
def test_ten_times_the_particles_need_no_more_memory(tmp_path):
    peak_memory(tmp_path / "warm", 100)  # compiles what is not in the cache
    few, many = peak_memory(tmp_path / "few", 200), peak_memory(tmp_path / "many", 2000)
    images = 2000 * 64**2 * 4 / 2**20  # 31 MiB, which would show
    assert many - few < images / 2, f"{few:.0f} MiB with 200 particles, {many:.0f} with 2000"
