"""Threads that work on numbered tasks; results come back in the order of the tasks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

from threadpoolctl import threadpool_limits

from aurefine.parallel.ranges import even_parts
from aurefine.parallel.shield import SHIELD, in_main_thread

__all__ = ["TaskGroup", "WorkerPool"]

_PARTS = 4  # for each thread, so that none waits long for the last one
_LEAST = 1 << 14  # numbers in a part; waking a thread takes as long as some thousand of them

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerPool:
    """A fixed number of threads, each with one BLAS thread.

    What a task computes must not depend on which thread runs it: tasks are cut by the data,
    never by the number of threads, so that results are the same bit for bit.
    """

    def __init__(self, n_threads: int) -> None:
        """Start the threads that work beside the calling one."""
        self.n_threads = max(1, n_threads)
        self._executor = ThreadPoolExecutor(self.n_threads - 1) if self.n_threads > 1 else None
        self._reader = ThreadPoolExecutor(1)
        self._urgent: deque[TaskGroup[Any]] = deque()
        self._spare: deque[TaskGroup[Any]] = deque()
        self._limits = threadpool_limits(limits=1)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """Run `function` on every task and return the results in the order of the tasks.

        If some of them fail, the exception is that of the first failing task.
        """
        listed = list(tasks)
        n_helpers = min(self.n_threads, len(listed)) - 1
        if self._executor is None or n_helpers < 1:
            return [function(task) for task in listed]
        group = TaskGroup(function, listed, self._work_on_spare)
        self._begin(group, self._urgent, n_helpers)
        return group.result()

    def aside(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        spent: Callable[[float], None],
    ) -> TaskGroup[Result]:
        """Run `function` on tasks whenever a thread would have nothing else to do.

        What nobody has found the time for is done when the result is asked for; with one thread,
        that is everything.  `spent` is called with the seconds of CPU time of each task.
        """
        group = TaskGroup(function, list(tasks), self._work_on_spare, spent)
        if self._executor is not None:
            self._begin(group, self._spare, self.n_threads - 1)
        return group

    def read_ahead(self, function: Callable[[Task], Result], task: Task) -> Callable[[], Result]:
        """Run one task (reading files) beside the others; what is returned waits for its result."""
        with SHIELD:
            future = self._reader.submit(function, task)

        def result() -> Result:
            with SHIELD:
                return future.result()

        return result

    def map_parts(self, function: Callable[[slice], None], n_items: int) -> None:
        """Run `function` on contiguous parts of 0..n_items, for independent items only."""
        n_parts = 1 if self.n_threads == 1 else _PARTS * self.n_threads
        self.map(function, even_parts(n_items, min(n_parts, -(-n_items // _LEAST))))

    def close(self) -> None:
        """Stop the threads and give BLAS its own threads back."""
        self._spare.clear()
        self._reader.shutdown(cancel_futures=True)
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, group: TaskGroup[Any], groups: deque[TaskGroup[Any]], n_helpers: int) -> None:
        assert self._executor is not None
        with SHIELD:
            groups.append(group)
            for _ in range(n_helpers):
                self._executor.submit(self._help)

    def _help(self) -> None:
        """Work until there is nothing left to do."""
        while _work_on_one(self._urgent) or _work_on_one(self._spare):
            pass

    def _work_on_spare(self) -> bool:
        return _work_on_one(self._spare)


class TaskGroup(Generic[Result]):
    """Tasks that several threads take from."""

    def __init__(
        self,
        function: Callable[[Task], Result],
        tasks: list[Task],
        meanwhile: Callable[[], bool],
        spent: Callable[[float], None] | None = None,
    ) -> None:
        """List the tasks; `meanwhile` does a task of another group, unless there is none."""
        self._run: Callable[[int], Result] = lambda number: function(tasks[number])
        self._n, self._meanwhile, self._spent = len(tasks), meanwhile, spent
        self._numbers = iter(range(len(tasks)))  # which all threads take from
        self._results: dict[int, Result] = {}
        self._failures: dict[int, BaseException] = {}
        self._left = len(tasks)
        self._done = threading.Condition()

    def work_on_one(self) -> bool:
        """Do one task, unless all have been taken."""
        with SHIELD:
            number = next(self._numbers, None)
            if number is None:
                return False
            start = 0.0 if self._spent is None else time.thread_time()
            self._run_one(number)
            if self._spent is not None:
                self._spent(time.thread_time() - start)
            with self._done:
                self._left -= 1
                if not self._left:
                    self._done.notify_all()
            return True

    def _run_one(self, number: int) -> None:
        """Run a task, which signals may interrupt, and note how it ended."""
        is_main = in_main_thread()
        depth = SHIELD.depth
        try:
            if is_main:
                SHIELD.depth = 0
                SHIELD.raise_late()
            if not self._failures:
                self._results[number] = self._run(number)
        except BaseException as error:  # nothing is called from here on: signals can not come in
            self._failures[number] = error
        finally:
            if is_main:
                SHIELD.depth = depth

    def result(self) -> list[Result]:
        """Return the results in the order of the tasks, after doing those that are left.

        While other threads finish theirs, tasks are done that threads have time for (see
        `WorkerPool.aside`). If some tasks fail, the exception is that of the first failing one.
        """
        try:
            while self.work_on_one():
                pass
            while self._left and self._meanwhile():
                pass
            self._wait()
        except BaseException as error:  # an interrupt: what is running ends, no more is begun
            self._failures[self._n] = error
            while self.work_on_one():
                pass
            self._wait()
        del self._run  # with the data of the tasks
        if self._failures:
            raise self._failures[min(self._failures)]
        return [self._results[number] for number in range(self._n)]

    def _wait(self) -> None:
        with SHIELD, self._done:
            while self._left:
                self._done.wait()


def _work_on_one(groups: deque[TaskGroup[Any]]) -> bool:
    """Do one task of the first group that has any; forget groups that have none."""
    while groups:
        group = groups[0]
        if group.work_on_one():
            return True
        try:
            groups.remove(group)
        except ValueError:  # another thread was faster
            continue
    return False
