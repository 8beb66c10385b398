"""Threads that work on numbered tasks; results come back in the order of the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

from threadpoolctl import threadpool_limits

from aurefine.parallel.ranges import even_parts

__all__ = ["WorkerPool"]

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
        self._limits = threadpool_limits(limits=1)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """Run `function` on every task and return the results in the order of the tasks.

        If some of them fail, the exception is that of the first failing task.
        """
        listed = list(tasks)
        n_helpers = min(self.n_threads, len(listed)) - 1
        if self._executor is None or n_helpers < 1:
            return [function(task) for task in listed]
        results: dict[int, Result] = {}
        failures: dict[int, BaseException] = {}
        numbers = iter(range(len(listed)))  # which all threads take from

        def work() -> None:
            for number in numbers:
                if failures:
                    return
                try:
                    results[number] = function(listed[number])
                except BaseException as error:
                    failures[number] = error

        helpers = [self._executor.submit(work) for _ in range(n_helpers)]
        try:
            work()
        finally:
            wait(helpers)
        if failures:
            raise failures[min(failures)]
        return [results[number] for number in range(len(listed))]

    def read_ahead(self, function: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Run one task (reading files) beside the others."""
        return self._reader.submit(function, task)

    def split(self, n_items: int) -> list[tuple[int, int]]:
        """Cut 0..n_items into one contiguous range per thread, for independent items only."""
        parts = even_parts(n_items, self.n_threads)
        return [(part.start, part.stop) for part in parts if part.stop > part.start]

    def close(self) -> None:
        """Stop the threads and give BLAS its own threads back."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._reader.shutdown(cancel_futures=True)
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
