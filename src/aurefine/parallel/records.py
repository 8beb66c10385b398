"""Records as bytes for the wire; arrays go beside them, without being copied."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Buffer", "empty_buffers", "pack", "unpack"]

Buffer = npt.NDArray[np.uint8]


def pack(value: object) -> tuple[bytes, list[Buffer]]:
    """Split a record into a small head and the memory of its arrays.

    Returns
    -------
    head : bytes
        Everything but the contents of contiguous arrays, and the sizes of these.
    buffers : list of ndarray, uint8
        Views of the arrays themselves.
    """
    found: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, protocol=5, buffer_callback=found.append)
    buffers = [np.asarray(buffer.raw(), np.uint8) for buffer in found]
    return pickle.dumps((text, [len(buffer) for buffer in buffers])), buffers


def empty_buffers(head: bytes) -> list[Buffer]:
    """Make room for the arrays of a record."""
    return [np.empty(size, np.uint8) for size in pickle.loads(head)[1]]


def unpack(head: bytes, buffers: Sequence[Buffer]) -> Any:
    """Put a record together; its arrays are views of the buffers."""
    return pickle.loads(pickle.loads(head)[0], buffers=buffers)
