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


def test_sums_that_wait_in_a_file_give_the_same_bits(refine, finished, tmp_path, monkeypatch):
    """The last iteration of a run, with sums that are never in memory together."""
    from aurefine.io.file_array import array_in_file
    from aurefine.jobs import refine3d
    from aurefine.refine import memory

    kept = []

    def keep(values, folder):
        kept.append(values.nbytes)
        return array_in_file(values, folder)

    monkeypatch.setattr(refine3d, "array_in_file", keep)
    last = max(int(path.name[6:9]) for path in finished.glob("run_it*_optimiser.star"))
    monkeypatch.setattr(memory, "_SMALL", 0)
    optimiser = str(finished / f"run_it{last:03d}_optimiser.star")
    assert refine(tmp_path / "run", "--continue", optimiser, standard=False) == 0
    assert kept == [kept[0]] * 4 + [4 * 32**3] * 2  # sums twice, as they are symmetrised, and maps
    assert kept[0] > 65**3 / 2 * 12
    for name in ("run_class001.mrc", "run_half2_class001_unfil.mrc"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
