"""Messages between the processes that an MPI launcher has started.

Waiting costs no processor time: a process looks for a message, sleeps a moment, and looks again.
Blocking calls of MPI, which would keep a core busy, begin when the partner is known to be there.
Arrays travel as they lie in memory, in pieces that any version of MPI can count.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aurefine.errors import AurefineError
from aurefine.parallel.records import Buffer, empty_buffers, pack, unpack

__all__ = ["Message", "MpiCommunicator", "ProcessFailedError", "Tag"]

Value = TypeVar("Value")
Array = npt.NDArray[Any]

_PIECE = 1 << 28  # bytes of an array in one message
_SUM_PIECE = 1 << 22  # elements that are added up at a time
_LONGEST_PAUSE = 0.005  # seconds


class Tag(IntEnum):
    """What a message is about."""

    VALUE = 1
    REQUEST = 2
    RESULT = 3
    REPLY = 4
    HERE = 5
    FAILED = 6
    ORDER = 7
    PAUSED = 8


class ProcessFailedError(AurefineError):
    """Another process has failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class Message:
    """A value from another process."""

    value: Any
    source: int
    tag: Tag


class MpiCommunicator:
    """All processes of a launcher, or some of them; number 0 is the leader.

    Attributes
    ----------
    sent : Counter
        Bytes by purpose that this process has passed to others: what it sent, its part of sums,
        and, because it is one copy for each receiver, what it received of a broadcast.
    """

    def __init__(self, handle: Any = None, sent: Counter[str] | None = None) -> None:
        """Wrap a communicator of mpi4py, by default that of all processes."""
        if handle is None:
            rc = importlib.import_module("mpi4py").rc
            rc.thread_level = "funneled"  # only the main thread sends and receives
        self._mpi: Any = importlib.import_module("mpi4py.MPI")
        self._handle = self._mpi.COMM_WORLD if handle is None else handle
        self.rank = int(self._handle.rank)
        self.size = int(self._handle.size)
        self.sent: Counter[str] = Counter() if sent is None else sent

    def among(self, ranks: Sequence[int]) -> MpiCommunicator:
        """Return the communicator of some processes; each of them must call this."""
        group = self._handle.group.Incl(list(ranks))
        return MpiCommunicator(self._handle.Create_group(group), self.sent)

    def abort(self, exit_code: int) -> None:
        """End all processes at once."""
        self._mpi.COMM_WORLD.Abort(exit_code)

    def library(self) -> str:
        """Return name and version of the MPI library."""
        return str(self._mpi.Get_library_version()).split(",")[0].strip("\0 ")

    # one to one ------------------------------------------------------------------------------

    def send(self, value: object, to: int, tag: Tag = Tag.VALUE, *, purpose: str = "state") -> None:
        """Send a record to a process that waits for it or will do so soon."""
        head, buffers = pack(value)
        self._handle.Send([head, self._mpi.BYTE], to, tag)
        for piece in _pieces(buffers):
            self._handle.Send([piece, self._mpi.BYTE], to, tag)
        self.sent[purpose] += len(head) + sum(len(buffer) for buffer in buffers)

    def receive(
        self, source: int | None = None, tag: Tag | None = None, *, patience: float | None = None
    ) -> Message | None:
        """Wait for a record.

        Parameters
        ----------
        source : int, optional
            From which process; from any by default.
        tag : Tag, optional
            Of which kind; any by default.
        patience : float, optional
            Seconds to wait; without end by default.

        Returns
        -------
        Message or None
            None if nothing has come.

        Raises
        ------
        ProcessFailedError
            If a process reports its failure instead.
        """
        status = self._wait(source, tag, patience)
        if status is None:
            return None
        source, tag = int(status.Get_source()), Tag(status.Get_tag())
        head = bytearray(status.Get_count(self._mpi.BYTE))
        self._handle.Recv([head, self._mpi.BYTE], source, tag)
        buffers = empty_buffers(bytes(head))
        for piece in _pieces(buffers):
            self._handle.Recv([piece, self._mpi.BYTE], source, tag)
        value = unpack(bytes(head), buffers)
        if tag is Tag.FAILED:
            raise ProcessFailedError(str(value))
        return Message(value, source, tag)

    def await_value(self, source: int, tag: Tag = Tag.VALUE) -> Any:
        """Wait without end for a record of one process and return it."""
        message = self.receive(source, tag)
        assert message is not None
        return message.value

    def meet(self, partner: int) -> None:
        """Wait until the partner waits for this process, too."""
        self._handle.Send([b"", self._mpi.BYTE], partner, Tag.HERE)
        self._wait(partner, Tag.HERE, None)
        self._handle.Recv([bytearray(), self._mpi.BYTE], partner, Tag.HERE)

    def send_array(self, array: Array, to: int, *, purpose: str) -> None:
        """Send an array whose shape and type the receiver knows, as soon as it is ready."""
        self.meet(to)
        for piece in _pieces([_bytes(np.ascontiguousarray(array))]):
            self._handle.Send([piece, self._mpi.BYTE], to, Tag.VALUE)
        self.sent[purpose] += array.nbytes

    def receive_array(self, like: Array, source: int) -> Array:
        """Receive what `send_array` sends, of the same shape and type as another array."""
        self.meet(source)
        array = np.empty(like.shape, like.dtype)
        for piece in _pieces([_bytes(array)]):
            self._handle.Recv([piece, self._mpi.BYTE], source, Tag.VALUE)
        return array

    def exchange(self, array: Array, partner: int, *, purpose: str) -> Array:
        """Swap arrays of the same shape and type with a partner."""
        self.meet(partner)
        own = np.ascontiguousarray(array)
        other = np.empty_like(own)
        for mine, its in zip(_pieces([_bytes(own)]), _pieces([_bytes(other)]), strict=True):
            self._handle.Sendrecv(
                [mine, self._mpi.BYTE],
                partner,
                Tag.VALUE,
                [its, self._mpi.BYTE],
                partner,
                Tag.VALUE,
            )
        self.sent[purpose] += own.nbytes
        return other

    # all together ----------------------------------------------------------------------------

    def broadcast(self, value: Value | None, *, purpose: str = "state") -> Value:
        """Give the leader's record to all; the others pass None."""
        is_leader = self.rank == 0
        head, buffers = pack(value) if is_leader else (b"", [])
        size = np.array([len(head)], np.int64)
        self._handle.Bcast(size, 0)
        text = bytearray(head) if is_leader else bytearray(int(size[0]))
        self._handle.Bcast([text, self._mpi.BYTE], 0)
        if not is_leader:
            buffers = empty_buffers(bytes(text))
            self.sent[purpose] += len(text) + sum(len(buffer) for buffer in buffers)
        for piece in _pieces(buffers):
            self._handle.Bcast([piece, self._mpi.BYTE], 0)
        if is_leader:
            assert value is not None
            return value
        received: Value = unpack(bytes(text), buffers)
        return received

    def add_up(self, array: Array, *, purpose: str = "sums") -> None:
        """Add the arrays of all processes, in place, for the leader; the others' stay as they are.

        Integers wrap around; floating-point numbers are added in an order that depends on the
        number of processes.
        """
        flat = array.reshape(-1)
        assert np.shares_memory(flat, array)
        for start in range(0, len(flat), _SUM_PIECE):
            piece = flat[start : start + _SUM_PIECE]
            if self.rank == 0:
                self._handle.Reduce(self._mpi.IN_PLACE, piece, root=0)
            else:
                self._handle.Reduce(piece, None, root=0)
                self.sent[purpose] += piece.nbytes

    def scatter(self, values: Sequence[Value] | None) -> Value:
        """Give each process its value; the leader passes one for each, the others None."""
        if values is None:
            own: Value = self.await_value(0)
            return own
        for rank in range(1, self.size):
            self.send(values[rank], rank)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes by rank on the leader, and [] on the others."""
        if self.rank > 0:
            self.send(value, 0)
            return []
        return [value, *(self.await_value(rank) for rank in range(1, self.size))]

    def _wait(self, source: int | None, tag: Tag | None, patience: float | None) -> Any:
        """Look for a message, or for the report of a failure, until there is one."""
        any_source, any_tag = self._mpi.ANY_SOURCE, self._mpi.ANY_TAG
        wanted = any_source if source is None else source
        kind = any_tag if tag is None else int(tag)
        status = self._mpi.Status()
        end = None if patience is None else time.monotonic() + patience
        pause = 0.0
        while True:
            if self._handle.Iprobe(any_source, Tag.FAILED, status):
                return status
            if self._handle.Iprobe(wanted, kind, status):
                return status
            if end is not None and time.monotonic() >= end:
                return None
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, 1.5 * pause + 1e-5)


def _bytes(array: Array) -> Buffer:
    flat: Buffer = array.reshape(-1).view(np.uint8)
    return flat


def _pieces(buffers: Sequence[Buffer]) -> Iterator[Buffer]:
    """Cut buffers into parts that one message can hold."""
    for buffer in buffers:
        for start in range(0, len(buffer), _PIECE):
            yield buffer[start : start + _PIECE]
