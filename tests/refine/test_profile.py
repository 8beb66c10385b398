"""Time by stage."""

import time

import pytest

from aurefine.refine.profile import Stopwatch


def test_a_stage_within_another_counts_once():
    start = time.perf_counter()
    stopwatch = Stopwatch()
    with stopwatch("outer"):
        time.sleep(0.02)
        with stopwatch("inner"):
            time.sleep(0.05)
    stopwatch.finish()
    assert stopwatch.seconds["inner"] >= 0.05
    assert stopwatch.seconds["outer"] >= 0.02
    assert 0.07 <= sum(stopwatch.seconds.values()) <= time.perf_counter() - start


def test_waiting_takes_no_cpu_time():
    stopwatch = Stopwatch()
    with stopwatch("waiting"):
        time.sleep(0.05)
    assert stopwatch.cpu_seconds["waiting"] < 0.02 < stopwatch.seconds["waiting"]


def test_an_error_ends_a_stage():
    stopwatch = Stopwatch()
    with pytest.raises(ValueError), stopwatch("outer"), stopwatch("inner"):
        raise ValueError
    assert set(stopwatch.seconds) == {"outer", "inner"}
    with stopwatch("next"):
        time.sleep(0.01)
    assert stopwatch.seconds["next"] >= 0.01


def test_cpu_time_of_other_work_belongs_to_its_own_stage():
    stopwatch = Stopwatch()
    with stopwatch("scoring"):
        start = time.process_time()
        while time.process_time() - start < 0.05:
            pass
        stopwatch.add_cpu("preparing", 0.03)
    stopwatch.finish()
    assert stopwatch.cpu_seconds["preparing"] == 0.03
    assert 0.015 < stopwatch.cpu_seconds["scoring"] < 0.03
    assert 0.05 <= sum(stopwatch.cpu_seconds.values()) < 0.07
    assert "preparing" not in stopwatch.seconds
