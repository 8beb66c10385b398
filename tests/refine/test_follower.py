"""What a follower does between its batches, as its leader orders."""

from types import SimpleNamespace

import numpy as np
import pytest

from aurefine.parallel.mpi import Tag
from aurefine.refine import follower
from aurefine.refine.batch_result import BatchResult
from aurefine.refine.leader import Order
from aurefine.refine.work import Batch

RESULT = BatchResult(*(np.zeros(1) for _ in BatchResult.__slots__))
BATCH = Batch(1, 0, 0, np.zeros(1, np.int64))


class Leader:
    """Orders that have arrived one after the other, and what was sent in return."""

    def __init__(self, *orders):
        self.orders, self.sent = list(orders), []

    def send(self, value, to, tag=Tag.VALUE, purpose=""):
        self.sent.append((tag, value))

    def receive(self, source, tag, patience=None):
        return SimpleNamespace(value=self.orders.pop(0)) if self.orders else None

    def await_value(self, source, tag):
        return self.orders.pop(0)


@pytest.mark.parametrize("is_early", [True, False])
def test_the_end_may_come_while_the_last_batch_is_handed_in(is_early):
    leader = Leader(*[Order.END][:is_early])
    work = follower._RemoteWork(leader, pytest.fail)
    work.deliver(BATCH, RESULT)
    leader.orders += [Order.END][is_early:]
    work.await_end()
    assert [tag for tag, _ in leader.sent] == [Tag.RESULT]
    assert not leader.orders


def test_sums_are_stored_in_a_pause():
    leader = Leader(Order.PAUSE, "mark", Order.RESUME)
    work = follower._RemoteWork(leader, lambda mark: {1: f"file {mark}"})
    work.deliver(BATCH, RESULT)
    assert leader.sent[1:] == [(Tag.PAUSED, None), (Tag.REPLY, {1: "file mark"})]
    leader.orders += [Order.PAUSE, Order.RESUME, Order.END]
    work.await_end()
    assert leader.sent[3:] == [(Tag.PAUSED, None)]
