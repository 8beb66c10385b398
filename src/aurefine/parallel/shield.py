"""Stretches of the main thread in which the exception of a signal has to wait.

A signal handler may raise an exception between almost any two instructions: when a task has been
taken and not yet been noted, or inside of `Condition.__enter__`, after which nobody releases the
lock.  Other threads, and with them the process, would then wait forever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

__all__ = ["SHIELD", "Shield", "in_main_thread"]


class Shield:
    """Context in which signals of the main thread wait; of no effect in other threads.

    `depth` is the number of contexts that the main thread is in; where signals may interrupt a
    part of one, it is set to 0 for that part.
    """

    def __init__(self) -> None:
        """Start with nothing shielded."""
        self.depth = 0
        self._late: Callable[[], None] | None = None

    def delays(self, leave: Callable[[], None]) -> bool:
        """Whether an exception has to wait; `leave`, which raises it, is then called later."""
        if self.depth:
            self._late = leave
        return self.depth > 0

    def raise_late(self) -> None:
        """Raise the exception that has waited, if there is one and nothing is shielded."""
        if self._late is not None and not self.depth:
            leave, self._late = self._late, None
            leave()

    def __enter__(self) -> None:
        if in_main_thread():
            self.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if in_main_thread():
            self.depth -= 1
            self.raise_late()


def in_main_thread() -> bool:
    """Whether the caller runs in the thread that signals interrupt."""
    return threading.get_ident() == threading.main_thread().ident


SHIELD = Shield()
