import numpy as np
import pytest

from aurefine.kernels import byte_products, reference, two_step
from aurefine.kernels.byte_products import (
    GROUP,
    WIDTH,
    bytes_pay,
    pack_rows,
    pack_slices,
    room_for_rows,
)

needs_bytes = pytest.mark.skipif(
    not bytes_pay(0), reason="this processor has no AVX-512 instructions for products of bytes"
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def packed(rows, factor):
    found = room_for_rows(*rows.shape)
    pack_rows(rows, factor, *found)
    return found


def unpacked(blocks, length):
    return np.swapaxes(blocks, 1, 2).reshape(-1, 4 * blocks.shape[1])[:, :length].astype(int)


@pytest.mark.parametrize("n, length", [(1, 1), (GROUP, 8), (2 * GROUP + 5, 33)])
def test_rows_are_their_bytes_to_half_a_step(n, length):
    rows, factor = normal(n, length), np.abs(normal(length, seed=1))
    blocks, scale, middle, power = packed(rows, factor)
    found = unpacked(blocks, length)
    assert np.abs(found[:n] * scale[:, None] - rows * factor).max() <= 0.5001 * scale.max()
    assert np.abs(found[:n]).max(axis=1).tolist() == [127] * n
    assert not found[n:].any()
    assert middle.tolist() == (128 * found[:n].sum(axis=1)).tolist()
    assert power == pytest.approx(((rows * factor) ** 2).sum(axis=1), rel=1e-5)


@pytest.mark.parametrize("n, length", [(1, 1), (WIDTH, 8), (2 * WIDTH + 5, 33)])
def test_slices_are_their_bytes_to_half_a_step(n, length):
    slices, factor = normal(n, length), np.abs(normal(length, seed=1))
    blocks, scale, power = pack_slices(slices, factor)
    found = unpacked(blocks, length) - 128
    assert np.abs(found[:n] * scale[:n, None] - slices * factor).max() <= 0.5001 * scale.max()
    assert not found[n:].any()
    assert not scale[n:].any()
    assert power == pytest.approx(((slices * factor) ** 2).sum(axis=1).max(), rel=1e-5)


def test_rows_of_zeros_stay_zero():
    blocks, scale, middle, power = packed(np.zeros((2, 5), np.float32), np.ones(5, np.float32))
    assert not blocks.any()
    assert not scale.any()
    assert not middle.any()
    assert not power.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_has_no_scale(bad):
    rows = normal(3, 8)
    rows[1, 5] = bad
    _, scale, _, _ = packed(rows, np.ones(8, np.float32))
    assert np.isnan(scale).tolist() == [False, True, False]


def test_rows_whose_sums_could_leave_32_bits_are_not_worked_on():
    longest = (2**31 - 1) // (255 * 127)
    assert not bytes_pay(longest + 1)
    assert bytes_pay(longest) == bytes_pay(0)


@needs_bytes
@pytest.mark.parametrize(
    "n_particles, n_offsets, n_orientations, n_pixels",
    [(1, 1, 1, 1), (5, 7, 40, 13), (3, 21, 96, 32), (30, 1, 33, 3)],
)
def test_best_from_bytes_equals_the_reference(n_particles, n_offsets, n_orientations, n_pixels):
    rows = normal(n_particles * n_offsets, 2 * n_pixels)
    slices = normal(n_orientations, 2 * n_pixels, seed=2)
    factor = np.ones(2 * n_pixels, np.float32)
    in_bytes, scale, middle, _ = packed(rows, factor)
    arguments = (
        in_bytes,
        scale,
        middle,
        np.abs(normal(n_particles, n_pixels, seed=1)),
        *pack_slices(slices, factor)[:2],
        np.abs(normal(n_orientations, n_pixels, seed=3)),
        normal(n_orientations, seed=4),
        normal(n_particles, n_offsets, seed=5),
    )
    found = np.zeros((n_particles, n_orientations + 1), np.float32)
    expected = np.zeros_like(found)
    byte_products.best_from_bytes(*arguments, found[:, :-1])
    reference.best_from_bytes(*arguments, expected[:, :-1])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@needs_bytes
def test_the_largest_sums_fit_32_bits():
    length = (2**31 - 1) // (255 * 127) // 2 * 2
    rows, slices = np.full((2, length), 1, np.float32), np.full((1, length), 1, np.float32)
    rows[1] = -1
    factor = np.ones(length, np.float32)
    in_bytes, scale, middle, _ = packed(rows, factor)
    nothing = np.zeros((2, length // 2), np.float32)
    found = np.empty((2, 1), np.float32)
    byte_products.best_from_bytes(
        in_bytes, scale, middle, nothing, *pack_slices(slices, factor)[:2], nothing[:1],
        np.zeros(1, np.float32), np.zeros((2, 1), np.float32), found,
    )  # fmt: skip
    assert found[:, 0] == pytest.approx([length, -length], rel=1e-6)


@needs_bytes
def test_bytes_say_what_floats_say():
    n_particles, n_offsets, n_orientations, n_pixels = 6, 5, 64, 150
    rows = normal(n_particles, n_offsets, 2 * n_pixels)
    slices = normal(n_orientations, 2 * n_pixels, seed=2)
    shared = (
        np.zeros((n_particles, n_pixels), np.float32),
        np.zeros((n_orientations, n_pixels), np.float32),
        np.zeros(n_orientations, np.float32),
        normal(n_particles, n_offsets, seed=5),
    )
    exact, found = np.empty((2, n_particles, n_orientations), np.float32)
    two_step.best_over_offsets(rows, shared[0], slices, *shared[1:], 3, exact)
    factor = np.ones(2 * n_pixels, np.float32)
    in_bytes, scale, middle, power = packed(rows.reshape(-1, 2 * n_pixels), factor)
    slice_bytes, slice_scale, slice_power = pack_slices(slices, factor)
    byte_products.best_from_bytes(
        in_bytes, scale, middle, shared[0], slice_bytes, slice_scale, *shared[1:], found
    )
    deviation = np.sqrt((scale**2 * slice_power + slice_scale.max() ** 2 * power).max() / 12)
    assert np.abs(found - exact).max() < 5 * deviation
    assert deviation < 0.03 * exact.std()
