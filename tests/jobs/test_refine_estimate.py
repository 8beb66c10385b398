from dataclasses import replace

import pytest

from aurefine.errors import OptionError
from aurefine.jobs import machine, refine_estimate
from aurefine.jobs.machine import FreeMemory, free_disk, free_memory
from aurefine.jobs.refine_estimate import forecast, forecast_lines, refuse_if_too_large
from aurefine.refine.memory import RunSize, memory_need

SIZE = RunSize(
    box=256, padding=2.0, memory_budget=1.0, n_threads=8, n_particles=10**5, n_fine_offsets=84,
    has_symmetry=False,
)  # fmt: skip
GIB = 2**30


@pytest.fixture
def free(monkeypatch):
    """Function (bytes) that sets the free memory."""

    def set_free(n_bytes):
        found = FreeMemory(int(n_bytes), "limit of a test")
        monkeypatch.setattr(refine_estimate, "free_memory", lambda: found)

    return set_free


def peak(**changes):
    size = replace(SIZE, **changes)
    return memory_need(size, size.box // 2, is_last=True).peak


def test_a_run_that_fits_is_described(free):
    free(64 * GIB)
    found = forecast(SIZE, "/tmp/run")
    lines = "\n".join(forecast_lines(found))
    assert f"Memory: at most {peak() / GIB:.2f} GiB" in lines
    assert "64.00 GiB can be used (limit of a test)" in lines
    assert "GiB for the last iteration" in lines
    refuse_if_too_large(found, pytest.fail, ignore=False)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (peak(memory_budget=0.25), "It fits with --memory_budget 0.25"),
        (peak(padding=1.0), "It fits with --pad 1"),
        (peak(padding=1.0, memory_budget=0.25, n_threads=2), "--memory_budget 0.25 and"),
        (10**6, "rescale the particles"),
    ],
)
def test_the_change_that_makes_it_fit_is_named(free, limit, words):
    free(limit + 1)
    with pytest.raises(OptionError, match=words) as caught:
        refuse_if_too_large(forecast(SIZE, "/tmp/run"), pytest.fail, ignore=False)
    assert "--ignore_memory_check" in str(caught.value)


def test_what_a_continued_run_keeps_is_not_advised(free):
    free(peak(memory_budget=0.25) + 1)
    found = forecast(SIZE, "/tmp/run")
    with pytest.raises(OptionError, match="--j 2") as caught:
        refuse_if_too_large(found, pytest.fail, ignore=False, is_continued=True)
    assert "--memory_budget" not in str(caught.value)
    assert "--pad" not in str(caught.value)


def test_fewer_processes_are_advised(free):
    free(2.5 * peak())
    with pytest.raises(OptionError, match="on this machine"):
        refuse_if_too_large(forecast(SIZE, "/tmp/run", 20), pytest.fail, ignore=False)


def test_a_full_disk_is_refused(free, monkeypatch):
    free(64 * GIB)
    monkeypatch.setattr(refine_estimate, "free_disk", lambda folder: 1000)
    with pytest.raises(OptionError, match="disk: the last iteration needs"):
        refuse_if_too_large(forecast(SIZE, "/tmp/run"), pytest.fail, ignore=False)


def test_the_user_may_start_all_the_same(free):
    free(1)
    warnings = []
    refuse_if_too_large(forecast(SIZE, "/tmp/run"), warnings.append, ignore=True)
    assert len(warnings) == 1


def test_free_memory_and_disk_of_this_machine(tmp_path):
    assert 10**7 < free_memory().n_bytes < 10**15
    assert free_disk(tmp_path / "not" / "there") == pytest.approx(free_disk(tmp_path), rel=0.1)


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("0::/jobs/a", {"jobs/a/memory.max": "max", "jobs/memory.max": "3000",
                        "jobs/memory.current": "1500", "jobs/memory.stat": "inactive_file 500"}),
        ("3:cpu,memory:/a", {"memory/a/memory.limit_in_bytes": "3000",
                             "memory/a/memory.usage_in_bytes": "1500",
                             "memory/a/memory.stat": "cache 1\ntotal_inactive_file 500"}),
    ],
)  # fmt: skip
def test_limits_of_control_groups_are_found(monkeypatch, tmp_path, line, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    original = machine._read
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(
        machine, "_read", lambda path: line if "proc" in path.parts else original(path)
    )
    assert machine._control_groups() == [2000]
