"""Figures drawn by two processes: the same files as by one, whatever happens to the second."""

import signal
import subprocess
import time

import numpy as np
import pytest

from aurefine.errors import OutputError
from aurefine.report import beside
from aurefine.report.beside import Drawing, save_drawings
from aurefine.report.plots import draw_fsc, draw_map_slices, draw_orientations


def drawings(folder):
    rng = np.random.default_rng(0)
    fsc = np.linspace(1, 0, 17)[None] * np.array([[0.8], [1]])
    angles = rng.uniform(0, 180, (2, 50))
    return [
        Drawing(f"{folder}/fsc", draw_fsc, (fsc, 3.5), {"final": fsc[-1], "joined": 40.0}),
        Drawing(f"{folder}/map", draw_map_slices, (rng.normal(size=(8, 8, 8)), 3.5)),
        Drawing(f"{folder}/orientations", draw_orientations, tuple(angles)),
    ]


def contents(paths):
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture
def expected(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    return contents(save_drawings(drawings(folder), 1))


@pytest.fixture
def children(monkeypatch):
    """The processes that are started."""
    started = []

    class Remembered(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(beside.subprocess, "Popen", Remembered)
    return started


def test_two_processes_write_the_files_of_one(tmp_path, expected, children):
    paths = save_drawings(drawings(tmp_path), 2)
    assert [child.returncode for child in children] == [0]
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in ("fsc", "map", "orientations") for kind in ("png", "pdf")
    ]
    assert contents(paths) == expected


def test_one_process_starts_no_other(tmp_path, children):
    save_drawings(drawings(tmp_path), 1)
    assert not children


def test_what_the_other_process_can_not_draw_is_drawn_here(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(beside.sys, "executable", "/bin/false")
    assert contents(save_drawings(drawings(tmp_path), 2)) == expected


def test_without_another_process_all_is_drawn_here(tmp_path, expected, monkeypatch):
    monkeypatch.setattr(beside.sys, "executable", str(tmp_path / "nowhere"))
    assert contents(save_drawings(drawings(tmp_path), 2)) == expected


@pytest.mark.parametrize("name", ["fsc.png", "map.png"])
def test_a_file_that_can_not_be_written_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=name):
        save_drawings(drawings(tmp_path), 2)


@pytest.mark.usefixtures("default_signals")
def test_the_other_process_ends_with_an_interrupt(tmp_path, children):
    def interrupted(*_):
        """Once the other process draws: one that has hardly started ends in another way."""
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("fsc.png*")) and time.monotonic() < deadline:
            time.sleep(0.005)
        raise KeyboardInterrupt

    first, _, last = drawings(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        save_drawings([first, Drawing("", interrupted, ()), last], 2)
    (child,) = children
    assert child.returncode == -signal.SIGINT
    assert not list(tmp_path.glob("*tmp*"))
