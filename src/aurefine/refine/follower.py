"""A follower: does what the leader announces, for one half set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import OutputError
from aurefine.parallel.mpi import MpiCommunicator, Tag
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.half_sets import HalfSets
from aurefine.refine.iteration import IterationSettings, RefinementInput
from aurefine.refine.leader import Order, columns_of
from aurefine.refine.ranks import Ranks
from aurefine.refine.reduction import add_volumes
from aurefine.refine.state import HalfModel, Poses
from aurefine.refine.stored_sums import UnusableSumsError
from aurefine.refine.work import Batch

__all__ = ["follow"]

Array = npt.NDArray[Any]

_PIECE = 1 << 26  # elements that are added at a time


Prepare = Callable[
    [RefinementInput, Any, int], contextlib.AbstractContextManager[tuple[RefinementInput, Any]]
]


def follow(ranks: Ranks, prepare: Prepare) -> None:
    """Do what the leader announces until it dismisses this process.

    Parameters
    ----------
    prepare : callable
        Is called with the data, the note that the leader sends with them, and the half. Its
        context gives the data as this process can use them, and the reply to the note.
    """
    world = ranks.world
    if (announced := world.await_value(0)) is None:
        return
    start: tuple[RefinementInput, Any] = world.broadcast(None, purpose=announced[1])
    data, note = start
    if ranks.makes_maps:
        masks = world.await_value(0)
        data = replace(data, solvent_mask=masks[0], solvent_mask2=masks[1])
    with (
        prepare(data, note, ranks.half) as (data, reply),
        WorkerPool(data.options.n_threads) as pool,
    ):
        follower = _Follower(ranks, HalfSets(data, pool, (ranks.half,), _Links(ranks)))
        world.send(reply, 0, Tag.REPLY)
        while (announced := world.await_value(0)) is not None:
            step, purpose = announced
            arguments: tuple[Any, ...] = world.broadcast(None, purpose=purpose)
            reply = getattr(follower, step)(*arguments)
            world.send(reply, 0, Tag.REPLY, purpose="models")


class _Follower:
    """Turns announced steps into work on one half set; what is not for this process is skipped."""

    def __init__(self, ranks: Ranks, sets: HalfSets) -> None:
        self._ranks, self._sets, self._half = ranks, sets, ranks.half

    def begin(self, settings: IterationSettings, poses: Poses) -> None:
        model: HalfModel = self._ranks.with_leader[self._half].broadcast(None, purpose="models")
        self._sets.begin(settings, poses, {self._half: model})

    def estimate_accuracy(self, settings: IterationSettings, rows: Array) -> Any:
        is_first = self._ranks.makes_maps and self._half == 1
        return self._sets.estimate_accuracy(settings, rows) if is_first else None

    def restore(self, names: Mapping[int, str], mark: str) -> str:
        """Take over stored sums at the first follower of each half; return what is wrong."""
        if self._ranks.makes_maps:
            try:
                self._sets.restore(names, mark)
            except UnusableSumsError as error:
                return str(error)
        return ""

    def align(self, settings: IterationSettings) -> None:
        work = _RemoteWork(self._ranks.world, self._store)
        self._sets.align(settings, work)
        work.await_end()

    def _store(self, mark: str) -> Mapping[int, str] | str:
        """Store the sums of the half from its first follower, which goes on with all of them."""
        self._add_up()
        if not self._ranks.makes_maps:
            self._sets.steps[self._half].clear()
            return {}
        try:
            return self._sets.store(mark)
        except OutputError as error:
            return str(error)

    def _add_up(self) -> None:
        """Add the sums of all followers of the half up, at the first of them."""
        step = self._sets.steps[self._half]
        followers = self._ranks.followers[self._half]
        add_volumes(step.volume(), followers)
        followers.add_up(step.exact.digits)

    def complete_sums(self) -> None:
        self._add_up()
        if self._ranks.makes_maps:
            self._sets.complete_sums()
        else:
            self._sets.steps.clear()

    def join_halves(self, shell: int) -> None:
        if self._ranks.makes_maps:
            self._sets.join_halves(shell)

    def measure_fsc(self) -> Any:
        return self._sets.measure_fsc() if self._ranks.makes_maps else None

    def reconstruct(self, *arguments: Any) -> Any:
        return self._sets.reconstruct(*arguments) if self._ranks.makes_maps else None

    def finish(self) -> Any:
        sent = dict(self._ranks.world.sent)
        self._ranks.world.sent.clear()
        return self._sets.finish(), sent


class _RemoteWork:
    """The leader's list of batches, seen from a follower (a `WorkSource`)."""

    def __init__(
        self, world: MpiCommunicator, store: Callable[[str], Mapping[int, str] | str]
    ) -> None:
        self._world, self._store = world, store
        self._has_ended = False

    def take(self, half: int) -> Batch | None:
        self._world.send(None, 0, Tag.REQUEST, purpose="batches")
        batch: Batch | None = self._world.await_value(0)
        return batch

    def deliver(self, batch: Batch, result: BatchResult) -> None:
        message = batch.number, columns_of(result)
        self._world.send(message, 0, Tag.RESULT, purpose="batches")
        order = self._world.receive(0, Tag.ORDER, patience=0)
        if order is not None:
            self._heed(order.value)

    def await_end(self) -> None:
        """Do nothing but store sums, if asked to, until others have done their batches."""
        while not self._has_ended:
            self._heed(self._world.await_value(0, Tag.ORDER))

    def _heed(self, order: Order) -> None:
        if order is Order.PAUSE:
            self._pause()
        else:  # the batch that was just handed in was the last one of all
            self._has_ended = True

    def _pause(self) -> None:
        """Wait, with the sums of whole batches, until the leader lets the work go on."""
        self._world.send(None, 0, Tag.PAUSED)
        while (order := self._world.await_value(0, Tag.ORDER)) is not Order.RESUME:
            self._world.send(self._store(order), 0, Tag.REPLY)

    def progress(self, n: int) -> None:
        """Nothing: the leader counts the particles of the results."""


class _Links:
    """The way to the other half's first follower (`Links`)."""

    def __init__(self, ranks: Ranks) -> None:
        self._world, self._half = ranks.world, ranks.half
        self._partner = 3 - ranks.world.rank

    def swap(self, own: Mapping[int, Array]) -> dict[int, Array]:
        array = own[self._half]
        return {self._half: self._world.exchange(array, self._partner, purpose="halves")}

    def meet(self, own: Mapping[int, Array]) -> tuple[Array, Array] | None:
        array = own[self._half]
        if self._half == 1:
            other: Array = self._world.receive_array(array, self._partner)
            return array, other
        self._world.send_array(array, self._partner, purpose="halves")
        return None

    def add(self, own: Mapping[int, Array]) -> None:
        flat = own[self._half].reshape(-1)
        assert np.shares_memory(flat, own[self._half])
        for start in range(0, len(flat), _PIECE):
            piece = flat[start : start + _PIECE]
            if self._half == 1:
                piece += self._world.receive_array(piece, self._partner)
            else:
                self._world.send_array(piece, self._partner, purpose="halves")
