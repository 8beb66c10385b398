"""The leader of several processes: hands out work and collects what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import OutputError
from aurefine.parallel.mpi import Message, Tag
from aurefine.refine.accuracy import Accuracy
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.crew import HalfFsc, NewModels
from aurefine.refine.iteration import IterationSettings, RefinementInput
from aurefine.refine.ranks import Ranks, half_of
from aurefine.refine.state import HalfModel, Poses, StageTimes
from aurefine.refine.stored_sums import UnusableSumsError
from aurefine.refine.work import Batch, WorkList

__all__ = ["Leader", "Order", "columns_of", "result_from"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_SECONDS_BETWEEN_LOOKS = 0.5  # for the user's wish to stop


class Order(Enum):
    """What a follower does beside its batches; in a pause, a mark is the order to store sums."""

    PAUSE = 1  # after the batch at hand
    RESUME = 2
    END = 3  # all batches of all followers are done


class Leader:
    """The half sets, held by other processes (a `Crew`).

    Each step is announced to all followers, and is over when all of them have replied; in
    between they sleep.
    """

    def __init__(self, ranks: Ranks, data: RefinementInput, note: object = None) -> None:
        """Give the followers what stays the same.

        Parameters
        ----------
        data : RefinementInput
            Masks go only to those who make maps.
        note : object
            What else the followers are told.
        """
        self._ranks, self._world = ranks, ranks.world
        self._n_followers = ranks.world.size - 1
        self.is_idle = True  # whether all followers wait for the next step
        masks = data.solvent_mask, data.solvent_mask2
        self._announce(
            "start", (replace(data, solvent_mask=None, solvent_mask2=None), note), purpose="start"
        )
        for rank in (1, 2):
            self._world.send(masks, rank, purpose="start")
        self.first_replies = self._replies()  # to the note, by rank

    def begin(
        self, settings: IterationSettings, poses: Poses, models: Mapping[int, HalfModel]
    ) -> None:
        """Send the poses to all, and the model of a half to its followers."""
        self._announce("begin", (settings, poses), purpose="poses")
        for half, model in models.items():
            self._ranks.with_leader[half].broadcast(model, purpose="models")
        self._replies()

    def estimate_accuracy(self, settings: IterationSettings, rows: IntArray) -> Accuracy:
        """Let the first follower of half 1 estimate the accuracy of poses."""
        self._announce("estimate_accuracy", (settings, rows))
        found: Accuracy = self._replies()[1]
        return found

    def restore(self, names: Mapping[int, str], mark: str) -> None:
        """Let the first followers take over stored sums, both or none."""
        self._announce("restore", (names, mark))
        problems = [problem for problem in self._replies().values() if problem]
        if problems:
            self._announce("restore", ({}, mark))
            self._replies()
            raise UnusableSumsError(problems[0])

    def align(self, settings: IterationSettings, work: WorkList) -> None:
        """Give a batch to whoever asks, until all are done; pause where sums are to be stored."""
        self._announce("align", (settings,))
        given: dict[tuple[int, int], Batch] = {}
        n_idle = n_paused = 0
        is_pausing = False
        while is_pausing or n_idle < self._n_followers or not work.is_complete:
            message = self._world.receive(patience=_SECONDS_BETWEEN_LOOKS)
            if message is None:
                work.progress(0)
            elif message.tag is Tag.REQUEST:
                batch = work.take(half_of(message.source))
                if batch is None:
                    n_idle += 1
                else:
                    given[batch.half, batch.number] = batch
                self._world.send(batch, message.source, purpose="batches")
            elif message.tag is Tag.RESULT:
                self._accept(message, given, work)
            elif message.tag is Tag.PAUSED:
                n_paused += 1
            if not is_pausing and not work.is_complete and work.is_due():
                is_pausing = True
                self._order(Order.PAUSE)
            if n_paused == self._n_followers:
                work.store()
                self._order(Order.RESUME)
                is_pausing, n_paused = False, 0
        self._order(Order.END)
        self._replies()

    def store(self, mark: str) -> Mapping[int, str]:
        """Let the first followers store the sums of their halves; all of them pause."""
        self._order(mark)
        names: dict[int, str] = {}
        problems = []
        for reply in self._collect().values():
            if isinstance(reply, str):
                problems.append(reply)
            else:
                names.update(reply)
        if problems:
            raise OutputError(problems[0])
        return names

    def complete_sums(self) -> None:
        """Let the followers bring their sums together."""
        self._announce("complete_sums")
        self._replies()

    def join_halves(self, shell: int) -> None:
        """Let the first followers average their sums up to a shell."""
        self._announce("join_halves", (shell,))
        self._replies()

    def measure_fsc(self) -> HalfFsc:
        """Let the first followers compare their sums."""
        self._announce("measure_fsc")
        found: HalfFsc = self._replies()[1]
        return found

    def reconstruct(self, fsc: Float, orientability: Float, n_particles: IntArray) -> NewModels:
        """Let the first followers make their maps at the same time, and take the results."""
        self._announce("reconstruct", (fsc, orientability, n_particles))
        replies = self._replies()
        models: dict[int, HalfModel] = {}
        unfiltered: dict[int, Float32] = {}
        for rank in (1, 2):
            own: NewModels = replies[rank]
            models.update(own.models)
            unfiltered.update(own.unfiltered)
        return NewModels(models, unfiltered)

    def finish(self) -> StageTimes:
        """Collect times of the first follower of half 1, peak memory and bytes of all."""
        self._announce("finish")
        replies = self._replies()
        sent = Counter(self._world.sent)
        self._world.sent.clear()
        for _, own in replies.values():
            sent.update(own)
        peak = max(times.peak_memory for times, _ in replies.values())
        first: StageTimes = replies[1][0]
        return replace(first, peak_memory=peak, sent=dict(sent))

    def _accept(
        self, message: Message, given: dict[tuple[int, int], Batch], work: WorkList
    ) -> None:
        number, columns = message.value
        batch = given.pop((half_of(message.source), number))
        work.keep(batch, result_from(columns))
        work.progress(len(batch.rows))

    def _announce(
        self, step: str, arguments: tuple[Any, ...] = (), *, purpose: str = "state"
    ) -> None:
        self.is_idle = False
        for rank in range(1, self._world.size):
            self._world.send((step, purpose), rank)
        self._world.broadcast(arguments, purpose=purpose)

    def _order(self, order: Order | str) -> None:
        for rank in range(1, self._world.size):
            self._world.send(order, rank, Tag.ORDER)

    def _replies(self) -> dict[int, Any]:
        """Return what each follower has to say to a step, by rank; they are idle then."""
        replies = self._collect()
        self.is_idle = True
        return replies

    def _collect(self) -> dict[int, Any]:
        replies: dict[int, Any] = {}
        while len(replies) < self._n_followers:
            message = self._world.receive(tag=Tag.REPLY)
            assert message is not None
            replies[message.source] = message.value
        return replies


def columns_of(result: BatchResult) -> Float:
    """Put a result into one array, which is one message; whole numbers stay exact."""
    names = BatchResult.__slots__
    return np.array([getattr(result, name) for name in names], np.float64)


def result_from(columns: Float) -> BatchResult:
    """Return the result that `columns_of` has packed."""
    values: dict[str, Any] = dict(zip(BatchResult.__slots__, columns, strict=True))
    for name in ("rows", "n_significant"):
        values[name] = values[name].astype(np.int64)
    return BatchResult(**values)
