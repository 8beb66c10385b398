"""Slices that are added to the sums beside other work."""

import gc
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels.additions import BLOCK
from aurefine.kernels.fixed_point import APART, insert_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine import insertion, memory
from aurefine.refine.exact_volume import VolumeScales, empty_volume, exact_values
from aurefine.refine.insertion import Insertion, RangesApart, insertion_ranges
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.profile import Stopwatch

RADIUS = 20
SCALES = VolumeScales(*(np.array(v, np.float32) for v in ([], [2.0**16], [2.0**16])))


def geometry():
    pixels = fourier_pixels(64, 2 * RADIUS)
    x, y = (axis.astype(np.float32) for axis in (pixels.x, pixels.y))
    return SimpleNamespace(pixels=pixels, slice_x=x, slice_y=y)


def windows(n_windows=3, n=700, *, strength=1.0):
    rng = np.random.default_rng(0)
    shape = n, 3, geometry().pixels.n_pixels
    for _ in range(n_windows):
        rotations = matrix_from_euler(*rng.uniform(-180, 180, (3, n))).astype(np.float32)
        yield (strength * rng.normal(size=shape)).astype(np.float32), rotations


def inserted(n_threads, *, strength=1.0):
    """Exact sums of some windows, as 64-bit integers."""
    volume = empty_volume(RADIUS, SCALES)
    with WorkerPool(n_threads) as pool:
        insertion = Insertion(volume, pool, Stopwatch())
        for slices, rotations in windows(strength=strength):
            buffer = insertion.buffer(len(slices), slices.shape[2])
            buffer[:] = slices
            insertion.begin(buffer, rotations, geometry())
        insertion.finish()
    assert not volume.copies
    return exact_values(volume, 0, volume.words.size)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("n_copies", [0, 1, 3])
@pytest.mark.parametrize("strength", [1.0, 2.0**12])
def test_windows_are_added_whoever_adds_them(n_threads, n_copies, strength, monkeypatch):
    """Threads with sums of their own, and such that share them in ranges as thin as may be."""
    volume = empty_volume(RADIUS, SCALES)
    monkeypatch.setattr(memory, "_COPIES", n_copies * volume.words.nbytes)
    edge, own = len(volume.words), geometry()
    expected = np.zeros(volume.words.size, np.int64)
    for slices, rotations in windows(strength=strength):
        words = np.zeros(volume.words.size, np.int32)
        index, carry = insert_slices(
            (words, edge), SCALES.arrays, rotations, own.slice_x, own.slice_y, slices,
            0, own.pixels.n_pixels,
        )  # fmt: skip
        expected += words
        np.add.at(expected, index, carry << 32)
    assert np.any(np.abs(expected) >= 2**31) == (strength > 1)
    assert np.array_equal(inserted(n_threads, strength=strength), expected)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("n_copies", [0, 3])
def test_windows_of_any_size_share_the_memory(n_threads, n_copies, monkeypatch):
    """Also larger ones than two of which fit, and such that come to lie before older ones."""
    volume = empty_volume(RADIUS, SCALES)
    monkeypatch.setattr(memory, "_COPIES", n_copies * volume.words.nbytes)
    ((slices, rotations),) = windows(1)
    room = 150  # slices
    monkeypatch.setattr(insertion, "WINDOW_BYTES", room * slices[0].nbytes)
    sizes = [20, 70, 45, 60, 30, 10, 5, 160, 40, 90, 60, 110]
    assert sum(sizes) == len(slices)
    assert max(sizes) > room
    with WorkerPool(n_threads) as pool:
        several = Insertion(volume, pool, Stopwatch())
        for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
            buffer = several.buffer(size, slices.shape[2])
            buffer[:] = slices[stop - size : stop]
            several.begin(buffer, rotations[stop - size : stop], geometry())
        several.finish()
    with WorkerPool(1) as pool:
        at_once = Insertion(empty_volume(RADIUS, SCALES), pool, Stopwatch())
        at_once.begin(slices, rotations, geometry())
        at_once.finish()
    words = volume.words.size
    assert np.array_equal(exact_values(volume, 0, words), exact_values(at_once.volume, 0, words))


def test_slices_are_forgotten_once_they_are_added():
    """Without waiting for the garbage collector: windows may be large."""
    with WorkerPool(2) as pool:
        insertion = Insertion(empty_volume(RADIUS, SCALES), pool, Stopwatch())
        gc.disable()
        try:
            ((slices, rotations),) = windows(1)
            buffer = insertion.buffer(len(slices), slices.shape[2])
            buffer[:] = slices
            gone = weakref.ref(buffer.base)
            insertion.begin(buffer, rotations, geometry())
            del buffer
            insertion.finish()
            assert gone() is None
        finally:
            gc.enable()


def test_memory_is_lent_once_all_slices_are_added():
    with WorkerPool(2) as pool:
        insertion = Insertion(empty_volume(RADIUS, SCALES), pool, Stopwatch())
        assert len(insertion.lend(7)) == 7  # before there is a window
        for slices, rotations in windows():
            buffer = insertion.buffer(len(slices), slices.shape[2])
            buffer[:] = slices
            insertion.begin(buffer, rotations, geometry())
            lent = insertion.lend(buffer.size)
            assert np.shares_memory(lent, buffer)
            lent[:] = np.nan
        larger = insertion.lend(2 * buffer.size + 1)  # there is room for two windows
        assert not np.shares_memory(larger, buffer)
        insertion.finish()
        found = exact_values(insertion.volume, 0, insertion.volume.words.size)
    assert np.array_equal(found, inserted(1))


@pytest.mark.parametrize("padding", [1.0, 2.0, 2.7])
@pytest.mark.parametrize("size", [2, 10, 64, 128])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 16])
def test_next_but_one_ranges_do_not_touch_the_same_words(padding, size, n_threads):
    pixels = fourier_pixels(128, size)
    radius = (padding * np.hypot(pixels.x, pixels.y)).astype(np.float32)
    ranges = insertion_ranges(radius, n_threads)
    assert [p for a, b in ranges for p in range(a, b)] == list(range(pixels.n_pixels))
    assert len(ranges) <= 8 * n_threads
    for (_, end), (begin, _) in zip(ranges, ranges[2:], strict=False):
        assert radius[begin:].min() - radius[:end].max() >= APART
    if size == 128 and padding == 2.0 and n_threads < 4:
        assert len(ranges) == {1: 1, 2: 8, 3: 17}[n_threads]
        if n_threads == 2:  # whole blocks of the kernel
            assert all((end - begin) % BLOCK == 0 for begin, end in ranges[:-1])


@pytest.mark.parametrize("n_ranges", [1, 2, 3, 16])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_neighbouring_ranges_are_not_at_work_together(n_ranges, n_threads):
    ranges = RangesApart([(k, k + 1) for k in range(n_ranges)])
    at_work, done = set(), []
    rounds = [ranges.all_once() for _ in range(3)]

    def work(left):
        with ranges.one(left) as (number, _):
            assert not {number - 1, number, number + 1} & at_work
            at_work.add(number)
            time.sleep(0.002)
            at_work.remove(number)
            done.append(number)

    with WorkerPool(n_threads) as pool:
        pool.map(work, [left for left in rounds for _ in range(n_ranges)])
    assert sorted(done) == sorted([*range(n_ranges)] * len(rounds))
    assert not any(rounds)


def test_range_whose_work_fails_holds_nobody_up():
    ranges = RangesApart([(0, 1), (1, 2)])
    left = ranges.all_once()
    with pytest.raises(ZeroDivisionError), ranges.one(left):
        raise ZeroDivisionError
    with ranges.one(left) as other:
        assert other == (0, 1)
