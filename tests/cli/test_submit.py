import shlex

import pytest

from aurefine.cli.main import run_command

REFINE = "refine --i p.star --ref r.mrc --o Refine3D/job012/run --sym D2 --j 8"


def submit(line):
    return run_command(["submit", *shlex.split(line)])


def test_a_dry_run_prints_the_script_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert submit(f"--dry-run --mpi 5 --queue long {REFINE}") == 0
    out = capsys.readouterr().out
    for line in ("#SBATCH --ntasks=5", "#SBATCH --cpus-per-task=8", "#SBATCH --partition=long",
                 "#SBATCH --job-name=Refine3D/job012/", "#SBATCH --output=Refine3D/job012/run.out",
                 "#SBATCH --error=Refine3D/job012/run.err"):  # fmt: skip
        assert line in out.splitlines()
    assert out.splitlines()[-1].startswith("launch ")
    assert out.splitlines()[-1].endswith(f"aurefine {REFINE}")
    assert not list(tmp_path.iterdir())


def test_a_template_of_relion_is_filled(tmp_path, capsys):
    (tmp_path / "qsub.sh").write_text("go XXXcoresXXX XXXnodesXXX XXXextra1XXX XXXcommandXXX\n")
    options = f"--template {tmp_path}/qsub.sh --dedicated 16 --extra1 a --mpi 5 --dry-run"
    assert submit(f"{options} {REFINE}") == 0
    assert capsys.readouterr().out.startswith("go 40 3 a ")


def test_the_script_goes_to_the_queue(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        submit(
            "--qsub 'wc -l' extract --i m.star --part_dir Extract/job011/ --extract_size 64 --j 3"
        )
        == 0
    )
    assert (tmp_path / "Extract/job011/run_submit.script").exists()
    assert "Submitted Extract/job011/run_submit.script" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line, words",
    [
        ("--mpi 5", "the command to run is missing"),
        (f"--mpi 2 {REFINE}", "at least 3 are needed"),
        ("--mpi 5 postprocess --i half1.mrc", "aurefine postprocess is one process"),
        ("--dry-run refine --symm D2 --o a/run", "--symm"),
    ],
)
def test_what_can_not_run_is_not_submitted(line, words, capsys):
    assert submit(line) == 1
    assert words in capsys.readouterr().err
