"""Stop a job cleanly on Ctrl-C or a signal, even while compiled code is running."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from aurefine.parallel.shield import SHIELD, in_main_thread

__all__ = [
    "TerminatedError",
    "raise_if_asked",
    "raise_if_lost",
    "stop_is_asked",
    "stop_waits",
    "stoppable",
    "unwrapped_stop",
]

_GRACE = 4.0  # seconds to leave by an exception; a busy machine may need some
_PATIENCE = 600.0  # seconds to reach a place where work can be saved
_WAITING = b"\n stopping as soon as the work can be saved; a second signal stops at once\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_PATIENT = signal.SIGUSR1  # launchers of MPI pass it on and leave the processes their time


class TerminatedError(BaseException):
    """A signal asked the process to end; like KeyboardInterrupt, it is not an Exception."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class _Stop:
    """Remembers the first signal; the main thread learns of it by an exception."""

    def __init__(self, *, is_hasty: bool) -> None:
        self.number = 0  # of the first signal
        self.saves: Callable[[], bool] = _never  # whether there is work that can be saved
        self._is_hasty = is_hasty
        self.is_waiting = False  # whether the exception has still to be raised

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number:  # already on the way out: do not interrupt the cleaning up
            return
        self.number = number
        if self.waits(number):
            self.is_waiting = True
            os.write(2, _WAITING)
            return
        if not SHIELD.delays(self.leave):
            self.leave()

    def waits(self, number: int) -> bool:
        """Whether a signal waits until the work is saved."""
        return self.saves() and (number == _PATIENT or not self._is_hasty)

    def leave(self) -> None:
        """Raise the exception that belongs to the signal."""
        self.is_waiting = False
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        raise TerminatedError(self.number)


def _never() -> bool:
    return False


_stops: list[_Stop] = []  # of the contexts that are active; the last one counts


def stop_is_asked() -> bool:
    """Whether a signal waits for the work to be saved."""
    return bool(_stops) and _stops[-1].is_waiting


def raise_if_asked() -> None:
    """Raise the exception of a signal that has waited."""
    if stop_is_asked():
        _stops[-1].leave()


def raise_if_lost() -> None:
    """Raise the exception of a signal once more if other code has lost it, and went on.

    To be called where a job comes by only as long as it goes on.  Callbacks of compiled code and
    destructors lose exceptions.
    """
    if _stops and _stops[-1].number and not _stops[-1].is_waiting:
        _stops[-1].leave()


@contextlib.contextmanager
def stop_waits(waits: Callable[[], bool]) -> Iterator[None]:
    """Let signals wait for `raise_if_asked` as long as `waits` says so; at the end at the latest.

    Parameters
    ----------
    waits : callable
        Returns whether there is work that can be saved; may be called by another thread.
    """
    if not _stops:
        yield
        return
    stop = _stops[-1]
    stop.saves = waits
    try:
        yield
    finally:
        stop.saves = _never
    if stop.is_waiting:
        stop.leave()


@contextlib.contextmanager
def stoppable(last_words: Callable[[int], None], *, is_hasty: bool = False) -> Iterator[None]:
    """Turn signals into exceptions, and leave the process if it does not follow soon.

    Python runs signal handlers between two of its own instructions, so that a long stretch of
    compiled code delays them.  A thread of its own therefore ends the process if the exception
    has not left this context after a short while, or at a second signal.

    Parameters
    ----------
    last_words : callable
        Called with the number of the signal before the process is ended that way: to tell the
        user, and to remove incomplete files.
    is_hasty : bool
        Whether the sender of the usual signals ends the process by force at once, so that only
        SIGUSR1 waits for work to be saved.

    Notes
    -----
    Does nothing outside the main thread.  Signals that are ignored (`nohup`) stay ignored.
    """
    if not in_main_thread():
        yield
        return
    stop = _Stop(is_hasty=is_hasty)
    wakes, wake = os.pipe()
    os.set_blocking(wake, False)
    left = threading.Event()
    watch = threading.Thread(target=_watch, args=(wakes, left, last_words, stop), daemon=True)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    old_hook, sys.unraisablehook = sys.unraisablehook, _without_stops(sys.unraisablehook)
    old_wake = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    watch.start()
    _stops.append(stop)
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, stop)
        yield
    finally:
        left.set()
        _stops.remove(stop)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(old_wake)
        sys.unraisablehook = old_hook
        os.close(wake)  # ends the thread
        watch.join(_GRACE)


def _without_stops(hook: Callable[[Any], object]) -> Callable[[Any], None]:
    """Do not show exceptions of signals that were lost; see `unwrapped_stop`."""

    def show(lost: Any) -> None:
        if not isinstance(lost.exc_value, (KeyboardInterrupt, TerminatedError)):
            hook(lost)

    return show


@contextlib.contextmanager
def unwrapped_stop() -> Iterator[None]:
    """Raise Ctrl-C or a signal as itself if other code has wrapped it in its own exception.

    Compiled code does so when the signal arrives at its edge; the compiler loses it, and fails.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, (KeyboardInterrupt, TerminatedError)):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise_if_lost()
        raise


def _watch(
    wakes: int, left: threading.Event, last_words: Callable[[int], None], stop: _Stop
) -> None:
    """Wait for a signal, then for the exception to leave the context."""
    try:
        number = 0
        while not number:
            received = os.read(wakes, 1)
            if not received:
                return
            number = received[0] if received[0] in _SIGNALS else 0
        if not _leaves_in_time(wakes, left, _PATIENCE if stop.waits(number) else _GRACE):
            with contextlib.suppress(Exception):  # nothing may keep the process alive
                last_words(number)
            os._exit(128 + number)
    finally:
        os.close(wakes)


def _leaves_in_time(wakes: int, left: threading.Event, patience: float) -> bool:
    """Whether the main thread leaves before the time is up or a second signal comes."""
    if left.is_set():
        return True
    ready, _, _ = select.select([wakes], [], [], patience)
    return left.is_set() or bool(ready and not os.read(wakes, 1))
