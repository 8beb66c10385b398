"""`run.out` and `run.err` of a job: appended, flushed, and shown on the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from aurefine.errors import AurefineError, OutputError
from aurefine.jobs.job_control import AbortRequestedError
from aurefine.jobs.stopping import TerminatedError
from aurefine.parallel.launcher import launcher_shows_terminal, launcher_writes_to

__all__ = ["RunLog"]

_BAR_WIDTH = 60


class RunLog:
    """Text output of one job.

    Parameters
    ----------
    directory : path-like
        Of the job; `run.out` and `run.err` are appended to.
    verbosity : int
        0 keeps the terminal silent.
    show_progress : bool
        Whether a terminal gets a progress bar.
    stdout, stderr : text stream, optional
        Terminal streams; those of the process by default.

    Notes
    -----
    A pipeline may already have redirected the streams to the same files (``> run.out``); then
    each line is written once.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        verbosity: int = 1,
        show_progress: bool = True,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self._verbosity = verbosity
        self._out_path = Path(directory) / "run.out"
        self._err_path = Path(directory) / "run.err"
        self._out_is_stdout = _reaches(self._stdout, 1, self._out_path)
        self._err_is_stderr = _reaches(self._stderr, 2, self._err_path)
        self._out = None if self._out_is_stdout else _open(self._out_path)
        try:
            self._err = None if self._err_is_stderr else _open(self._err_path)
        except OutputError:
            if self._out is not None:
                self._out.close()
            raise
        is_watched = _is_terminal(self._stdout) and launcher_shows_terminal()
        self._shows_bar = show_progress and verbosity > 0 and is_watched
        self._console: Any = None  # of the progress bar that is shown at the moment
        self._open_line = False  # whether a bar of dots has begun

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files; a failure leaves its message in `run.err`."""
        try:
            if error is not None:
                self._record_failure(error)
        finally:
            self.close()

    def write(self, lines: str | Iterable[str]) -> None:
        """Write lines (without line ends) to `run.out` and the terminal."""
        texts = [lines] if isinstance(lines, str) else list(lines)
        if not texts:
            return
        text = "".join(f"{line}\n" for line in texts)
        self._to_file("\n" + text if self._open_line else text)
        self._open_line = False
        if self._verbosity > 0 or self._out_is_stdout:
            self._to_terminal(text)

    def warn(self, message: str) -> None:
        """Write one warning to `run.err` and the terminal."""
        text = f"WARNING: {message}\n"
        if self._err is not None:
            _append(self._err, text, self._err_path)
        if self._verbosity > 0 or self._err_is_stderr:
            _append(self._stderr, text, self._err_path)

    @contextlib.contextmanager
    def progress(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show the progress of `total` steps.

        Parameters
        ----------
        label : str
            What is going on; shown beside the bar on a terminal.
        total : int
            Number of steps, e.g. particles.

        Yields
        ------
        advance : callable
            ``advance(n)`` says that `n` more steps are done. A terminal gets a bar with the time
            left; `run.out` gets a line of dots that ends with the seconds taken.
        """
        start = time.monotonic()
        dots = _Dots(total)
        with contextlib.ExitStack() as stack:
            advance_bar = self._start_bar(stack, label, total) if self._shows_bar else None

            def advance(n: int) -> None:
                new = dots.advance(n)
                if new:
                    self._to_plain("." * new)
                if advance_bar is not None:
                    advance_bar(n)

            yield advance
            if dots.is_complete:
                self._to_plain("." * dots.rest() + f" {time.monotonic() - start:.0f} sec\n")
                self._open_line = False

    def close(self) -> None:
        """Close the files."""
        for stream in (self._out, self._err):
            if stream is not None:
                stream.close()

    def _start_bar(
        self, stack: contextlib.ExitStack, label: str, total: int
    ) -> Callable[[int], None]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=self._stdout)
        bar = stack.enter_context(
            Progress(
                TextColumn(" {task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=console,
                transient=True,
            )
        )
        task = bar.add_task(label, total=total)
        self._console = console
        stack.callback(setattr, self, "_console", None)
        return lambda n: bar.advance(task, n)

    def _to_plain(self, text: str) -> None:
        """Write part of a line of dots: to the file, and to a terminal without a bar."""
        self._open_line = True
        self._to_file(text)
        if self._out_is_stdout or (self._verbosity > 0 and not self._shows_bar):
            self._to_terminal(text)

    def _to_file(self, text: str) -> None:
        if self._out is not None:
            _append(self._out, text, self._out_path)

    def _to_terminal(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
        else:
            _append(self._stdout, text, self._out_path)

    def _record_failure(self, error: BaseException) -> None:
        """Leave the message in the files; the terminal gets it from the entry point."""
        from aurefine import __version__

        is_wished = isinstance(error, AbortRequestedError) or not isinstance(error, Exception)
        ending = "an abort" if is_wished else "an error"
        message = repr(error)
        if isinstance(error, KeyboardInterrupt):
            message = "interrupted by Ctrl-C."
        elif isinstance(error, (AurefineError, TerminatedError)):
            message = str(error)
        with contextlib.suppress(OutputError):  # e.g. a full disk, which is the failure itself
            if self._err is not None:
                _append(self._err, f"aurefine: error: {message}\n", self._err_path)
        with contextlib.suppress(OutputError):
            start = "\n" if self._open_line else ""
            self._to_file(
                f"{start}\n aurefine version: {__version__}\n exiting with {ending} ...\n"
            )


class _Dots:
    """How many dots of a plain progress line are due."""

    def __init__(self, total: int) -> None:
        self._total = max(total, 1)
        self._done = 0
        self._drawn = 0

    def advance(self, n: int) -> int:
        self._done = min(self._done + n, self._total)
        new = _BAR_WIDTH * self._done // self._total - self._drawn
        self._drawn += new
        return new

    @property
    def is_complete(self) -> bool:
        return self._done == self._total

    def rest(self) -> int:
        return _BAR_WIDTH - self._drawn


def _open(path: Path) -> TextIO:
    try:
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path}: can not be written: {error.strerror}. Check that the output directory "
            "exists and is yours."
        ) from None


def _append(stream: TextIO, text: str, path: Path) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: can not be written: {error.strerror}.") from None


def _is_terminal(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def _reaches(stream: TextIO, number: int, path: Path) -> bool:
    """Whether a stream already writes to `path`, by itself or through the launcher of MPI."""
    is_own = stream is (sys.stdout if number == 1 else sys.stderr)
    return _is_same_file(stream, path) or (is_own and launcher_writes_to(number, path))


def _is_same_file(stream: TextIO, path: Path) -> bool:
    """Whether a stream already writes to `path`."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (OSError, ValueError, AttributeError):
        return False
