"""What a run needs is known before it starts."""

from aurefine.jobs import refine_estimate
from aurefine.jobs.machine import FreeMemory


def no_memory(monkeypatch):
    found = FreeMemory(10**6, "limit of a test")
    monkeypatch.setattr(refine_estimate, "free_memory", lambda: found)


def test_a_dry_run_prints_the_need_and_writes_nothing(refine, tmp_path, capsys):
    assert refine(tmp_path / "job" / "run", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "80 particles of 32 px" in out
    assert "Memory: at most" in out
    assert "Disk:" in out
    assert not (tmp_path / "job").exists()


def test_a_dry_run_of_a_continued_run(refine, finished, capsys):
    before = sorted(path.name for path in finished.iterdir())
    optimiser = f"{finished}/run_it002_optimiser.star"
    assert refine(finished / "run", "--continue", optimiser, "--dry_run", standard=False) == 0
    assert "Memory: at most" in capsys.readouterr().out
    assert sorted(path.name for path in finished.iterdir()) == before


def test_a_run_that_does_not_fit_is_refused(refine, tmp_path, capsys, monkeypatch):
    no_memory(monkeypatch)
    for more in ([], ["--dry_run"]):
        assert refine(tmp_path / "run", *more) == 1
        assert "the last iteration needs" in capsys.readouterr().err
    assert not list(tmp_path.glob("run_it*"))


def test_it_can_be_started_all_the_same(refine, tmp_path, capsys, monkeypatch):
    no_memory(monkeypatch)
    assert refine(tmp_path / "run", "--auto_iter_max", "1", "--ignore_memory_check") == 0
    assert "WARNING: memory: the last iteration needs" in capsys.readouterr().err
    lines = (tmp_path / "run.out").read_text().splitlines()
    assert any(line.startswith(" Memory: at most") for line in lines[:6])
