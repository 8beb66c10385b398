"""The same input gives the same bits: threads, repetition, continuation."""

import os
import shutil
import subprocess
import sys

import pytest

RESULTS = ("half1_class001.mrc", "half2_class001.mrc", "half1_model.star", "half2_model.star",
           "sampling.star")  # fmt: skip


def files(folder, iteration):
    """Contents of the result files without the names of files in them."""
    stem = folder / f"run_it{iteration:03d}"
    return {
        end: (folder / f"{stem.name}_{end}").read_bytes().replace(bytes(folder), b"FOLDER")
        for end in (*RESULTS, "data.star")
    }


def test_one_and_two_threads_give_the_same_bits(refine, tmp_path):
    for threads in ("1", "2"):
        assert refine(tmp_path / threads / "run", "--auto_iter_max", "3", "--j", threads) == 0
    assert files(tmp_path / "1", 3) == files(tmp_path / "2", 3)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(refine, finished, tmp_path):
    assert refine(tmp_path / "same" / "run", "--auto_iter_max", "2") == 0
    assert refine(tmp_path / "other" / "run", "--auto_iter_max", "2", "--random_seed", "2") == 0
    assert files(tmp_path / "same", 2) == files(finished, 2)
    assert files(tmp_path / "other", 2) != files(finished, 2)


def test_a_continued_run_ends_with_the_same_bits(refine_and_draw, finished, tmp_path):
    """From the middle of a converged run to its end."""
    middle = max(int(p.name[6:9]) for p in finished.glob("run_it*_optimiser.star")) // 2
    for path in finished.glob(f"run_it{middle:03d}_*"):
        shutil.copy(path, tmp_path / path.name)
    optimiser = tmp_path / f"run_it{middle:03d}_optimiser.star"
    assert refine_and_draw(tmp_path / "run", "--continue", str(optimiser), standard=False) == 0
    names = ("class001.mrc", "half1_class001_unfil.mrc", "half2_class001_unfil.mrc",
             "orientations.png", "map.png")  # fmt: skip
    for name in names:
        assert (tmp_path / f"run_{name}").read_bytes() == (finished / f"run_{name}").read_bytes()
    assert files(tmp_path, middle + 1) == files(finished, middle + 1)
    assert (tmp_path / "run_data.star").read_text() == (finished / "run_data.star").read_text()


def test_a_continued_run_without_output_name_writes_beside_it(refine, finished, tmp_path, capsys):
    for path in finished.glob("run_it001_*"):
        shutil.copy(path, tmp_path / path.name)
    optimiser = tmp_path / "run_it001_optimiser.star"
    assert refine(tmp_path / "run_ct1", "--continue", str(optimiser), "--auto_iter_max", "2",
                  "--ini_high", "40", standard=False) == 0  # fmt: skip
    assert (tmp_path / "run_ct1_it002_optimiser.star").exists()
    assert "option --ini_high is not followed with --continue" in capsys.readouterr().out


def test_a_converged_run_can_not_be_continued(refine, finished, tmp_path, capsys):
    code = refine(tmp_path / "run", "--continue", f"{finished}/run_optimiser.star", standard=False)
    assert code == 1
    assert "has converged; there is nothing to continue" in capsys.readouterr().err


def test_the_end_can_be_forced(refine, finished, tmp_path):
    for path in finished.glob("run_it003_*"):
        shutil.copy(path, tmp_path / path.name)
    optimiser = tmp_path / "run_it003_optimiser.star"
    code = refine(
        tmp_path / "run", "--continue", str(optimiser), "--force_converge", standard=False
    )
    assert code == 0
    assert (tmp_path / "run_class001.mrc").exists()
    assert not (tmp_path / "run_it004_data.star").exists()


def test_a_continued_run_with_all_savings_repeats_the_bits(refine, tmp_path):
    """What the savings need from one iteration to the next is in the files."""
    savings = ("--early_particles", "25", "--scoring_tolerance", "0.01", "--jump_sampling",
               "--reuse_poses", "0.5")  # fmt: skip
    whole, part = tmp_path / "whole", tmp_path / "part"
    part.mkdir()
    assert refine(whole / "run", *savings, "--auto_iter_max", "4") == 0
    for path in whole.glob("run_it002_*"):
        shutil.copy(path, part / path.name)
    optimiser = str(part / "run_it002_optimiser.star")
    assert refine(part / "run", "--continue", optimiser, "--auto_iter_max", "4",
                  standard=False) == 0  # fmt: skip
    for iteration in (3, 4):
        assert files(part, iteration) == files(whole, iteration)


@pytest.mark.slow
def test_compiled_code_and_code_from_the_cache_give_the_same_bits(
    project, standard_options, tmp_path
):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("compiled", "cached"):
        (tmp_path / name).mkdir()
        words = ["--i", "particles.star", "--ref", "reference.mrc", *standard_options]
        subprocess.run(
            [sys.executable, "-m", "aurefine", "refine", *words, "--o", f"{tmp_path / name}/run"],
            cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    compiled, cached = tmp_path / "compiled", tmp_path / "cached"
    last = max(int(path.name[6:9]) for path in compiled.glob("run_it*_optimiser.star"))
    for iteration in range(1, last + 1):
        assert files(compiled, iteration) == files(cached, iteration)
