from dataclasses import dataclass

import numpy as np

from aurefine.parallel.records import empty_buffers, pack, unpack


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    values: np.ndarray
    nested: tuple


def sent(value):
    """What arrives at another process."""
    head, buffers = pack(value)
    room = empty_buffers(head)
    for target, source in zip(room, buffers, strict=True):
        target[:] = source
    return unpack(head, room)


def test_a_record_arrives_as_it_was():
    record = Record("a", np.arange(6.0).reshape(2, 3), (np.int32(5), {"b": np.zeros(0)}))
    found = sent(record)
    assert found.name == "a"
    assert np.array_equal(found.values, record.values)
    assert found.values.dtype == np.float64
    assert found.nested[0] == 5
    assert found.nested[1]["b"].shape == (0,)


def test_arrays_that_arrive_can_be_changed():
    found = sent(np.zeros(3, np.float32))
    found += 1
    assert found.tolist() == [1, 1, 1]


def test_contents_of_arrays_are_not_pickled_nor_copied():
    values = np.zeros((100, 100), np.float32)
    head, buffers = pack({"map": values, "fortran": np.asfortranarray(values)})
    assert len(head) < 1000
    assert [len(buffer) for buffer in buffers] == [values.nbytes, values.nbytes]
    assert np.shares_memory(buffers[0], values)
