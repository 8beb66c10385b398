"""Figures that two processes draw side by side; threads would not, they wait for each other."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurefine.report.saving import figure_paths, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "save_drawings"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that has still to be drawn."""

    root: str  # of its files
    draw: Callable[..., Figure]  # a function of a module
    arguments: Sequence[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def save(self) -> None:
        """Draw the figure and write its files."""
        save_figure(self.draw(*self.arguments, **self.options), self.root)


def save_drawings(drawings: Sequence[Drawing], n_processes: int) -> list[Path]:
    """Draw figures and save them, every other one in a second process if there may be two.

    Parameters
    ----------
    drawings : sequence of Drawing
        Arguments of the first, the third, ... are copied for the other process.
    n_processes : int

    Returns
    -------
    paths : list of Path
        The files.

    Raises
    ------
    OutputError
        If a file can not be written.
    """
    with _drawn_beside(drawings[::2] if n_processes > 1 else []) as are_done:
        for drawing in drawings[1::2]:
            drawing.save()
        if not are_done():
            for drawing in drawings[::2]:
                drawing.save()
    return [path for drawing in drawings for path in figure_paths(drawing.root)]


@contextlib.contextmanager
def _drawn_beside(drawings: Sequence[Drawing]) -> Iterator[Callable[[], bool]]:
    """Draw in another process; what is yielded waits and says whether all went well there."""
    if not drawings:
        yield lambda: False
        return
    try:
        child = _start(drawings)
    except OSError:  # no room for a file or a process
        yield lambda: False
        return
    try:
        yield lambda: child.wait() == 0
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)  # which lets it remove its temporary files
            child.wait()


def _start(drawings: Sequence[Drawing]) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() as stream:
        pickle.dump(list(drawings), stream)
        stream.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=stream,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )


if __name__ == "__main__":
    for _drawing in pickle.load(sys.stdin.buffer):
        _drawing.save()
