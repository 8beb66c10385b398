import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels import reference
from aurefine.kernels.fixed_point import APART, add_words, insert_slices, words_to_floats
from aurefine.kernels.slices import extract_slices

EDGE, RADIUS = 21, 9
N_VOXELS = EDGE * EDGE * ((EDGE + 1) // 2)


def scales(limits=(), data=(2.0**20,), weight=(2.0**18,)):
    return tuple(np.array(values, np.float32) for values in (limits, data, weight))


ONE_ZONE = scales()
THREE_ZONES = scales((6.0, 40.0), (2.0**12, 2.0**20, 2.0**22), (2.0**9, 2.0**18, 2.0**17))


def insert(kernel, used, rotations, x, y, slices, bounds=()):
    """Exact sums as int64, carries included."""
    words = np.zeros(3 * N_VOXELS, np.int32)
    total = np.zeros(3 * N_VOXELS, np.int64)
    for first, last in itertools.pairwise([0, *bounds, len(x)]):
        found = kernel((words, EDGE), used, rotations, x, y, slices, first, last)
        np.add.at(total, found[0], found[1] << 32)
    return total + words


def as_values(total, used):
    """Sums divided by their scales, (edge, edge, (edge + 1) // 2, 3)."""
    z, y, x = np.indices((EDGE, EDGE, (EDGE + 1) // 2))
    r2 = x**2 + (y - EDGE // 2) ** 2 + (z - EDGE // 2) ** 2
    zone = np.searchsorted(used[0], r2, side="right")
    scale = np.stack([used[1][zone], used[1][zone], used[2][zone]], axis=-1)
    return total.reshape(scale.shape) / scale


@pytest.fixture
def make_case(random_rotations, random_pixels):
    """Function (n_slices, n_pixels, seed) -> rotations, coordinates and slices."""

    def make(n_slices, n_pixels, seed=3):
        rng = np.random.default_rng(seed)
        slices = rng.normal(size=(n_slices, 3, n_pixels)).astype(np.float32)
        return random_rotations(n_slices), *random_pixels(n_pixels, RADIUS), slices

    return make


@pytest.mark.parametrize("used", [ONE_ZONE, THREE_ZONES], ids=["one zone", "three zones"])
@pytest.mark.parametrize("n_pixels", [0, 1, 7, 512, 513])
@pytest.mark.parametrize("n_slices", [0, 1, 5])
def test_insertion_equals_the_reference(used, n_pixels, n_slices, make_case):
    case = make_case(n_slices, n_pixels)
    fast = as_values(insert(insert_slices, used, *case), used)
    slow = as_values(insert(reference.insert_slices, used, *case), used)
    # the origin sums up to 5 values, each with an error in the last place; near the origin of
    # the three zones a unit is 2^-9
    assert np.abs(fast - slow).max() < (1e-4 if used is ONE_ZONE else 0.02)


def test_zones_change_nothing_but_the_rounding(make_case):
    case = make_case(8, 600)
    one = as_values(insert(insert_slices, ONE_ZONE, *case), ONE_ZONE)
    three = as_values(insert(insert_slices, THREE_ZONES, *case), THREE_ZONES)
    units = as_values(np.ones(3 * N_VOXELS), THREE_ZONES)  # 0.5 per contribution
    assert np.all(np.abs(one - three) < 40 * units + 1e-3)


@pytest.mark.parametrize("bounds", [(1,), (10, 11, 523, 640)])
def test_insertion_by_ranges_of_pixels_is_bitwise_the_same(bounds, make_case):
    case = make_case(17, 700)
    whole = insert(insert_slices, THREE_ZONES, *case)
    assert np.array_equal(whole, insert(insert_slices, THREE_ZONES, *case, bounds))


@pytest.mark.parametrize("used", [ONE_ZONE, THREE_ZONES], ids=["one zone", "three zones"])
def test_a_sample_changes_nothing_but_the_voxels_around_it(used, random_rotations):
    """Farther away than half of `APART` other threads may be at work."""
    radius = 9.0
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    x, y = (radius * f(angle).astype(np.float32) for f in (np.cos, np.sin))
    values = np.ones((40, 3, len(x)), np.float32)
    turned = random_rotations(40)
    turned[0] = np.eye(3)
    found = insert(insert_slices, used, turned, x, y, values).reshape(EDGE, EDGE, -1, 3)
    voxel = np.argwhere(found.any(axis=-1)) - (EDGE // 2, EDGE // 2, 0)
    distance = np.abs(np.sqrt((voxel**2).sum(axis=1)) - radius)
    assert 1.0 < distance.max() < APART / 2


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), strength=st.sampled_from([1.0, 300.0, 1e5, 1e9]))
def test_insertion_does_not_depend_on_the_order(seed, strength):
    """Also where sums leave the range of 32 bits on their way, or for good."""
    rng = np.random.default_rng(seed)
    n, n_pixels = 24, 90
    rotations = matrix_from_euler(*rng.uniform(-180, 180, (3, n))).astype(np.float32)
    r, a = RADIUS * np.sqrt(rng.random(n_pixels)), rng.uniform(-np.pi, np.pi, n_pixels)
    x, y = (r * np.cos(a)).astype(np.float32), (r * np.sin(a)).astype(np.float32)
    slices = (strength * rng.normal(size=(n, 3, n_pixels))).astype(np.float32)
    whole = insert(insert_slices, THREE_ZONES, rotations, x, y, slices)
    total = np.zeros_like(whole)
    order = rng.permutation(n)
    for part in np.array_split(order, 5):
        total += insert(insert_slices, THREE_ZONES, rotations[part], x, y, slices[part])
    assert np.array_equal(whole, total)


@pytest.mark.parametrize("largest", [10, 2**30, 2**31 - 1])
@pytest.mark.parametrize("n", [0, 1, 5000])
def test_added_words_equal_the_reference(n, largest):
    rng = np.random.default_rng(n)
    words, more = rng.integers(-largest, largest, (2, n), endpoint=True).astype(np.int32)
    expected = words.copy()
    total = words.astype(np.int64) + more
    index, carry = add_words(words, more)
    slow = reference.add_words(expected, more)
    assert np.array_equal(words, expected)
    assert np.array_equal(index, slow[0])
    assert np.array_equal(carry, slow[1])
    exact = words.astype(np.int64)
    exact[index] += carry << 32
    assert np.array_equal(exact, total)
    assert (len(index) > 0) == (n == 5000 and largest == 2**31 - 1)


@pytest.mark.parametrize("strength", [2.0**10, 2.0**14, 2.0**30])
def test_sums_beyond_32_bits_are_exact(strength, make_case):
    """Powers of two scale every contribution, so that the same bits appear shifted."""
    rotations, x, y, slices = make_case(9, 200)
    slices = np.rint(slices * 2**8) / np.float32(2**8)
    coarse = scales(data=(2.0**24,), weight=(2.0**24,))
    plain = insert(insert_slices, coarse, rotations, x, y, slices)
    strong = insert(insert_slices, coarse, rotations, x, y, slices * np.float32(strength))
    assert np.abs(strong).max() > 2**31
    # up to 20 contributions, each rounded to half a unit before it is multiplied
    assert np.abs(strong - plain * strength).max() <= 20 * strength
    assert strong.max() > 0.9 * strength * plain.max()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_values_that_fit_no_integer_are_refused(value, make_case):
    rotations, x, y, slices = make_case(2, 20)
    slices[1, 0, 7] = value
    with pytest.raises(OverflowError, match="not finite or far too large"):
        insert(insert_slices, ONE_ZONE, rotations, x, y, slices)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n_pixels=st.integers(1, 700), n_slices=st.integers(1, 4))
def test_insertion_is_the_transpose_of_extraction(seed, n_pixels, n_slices):
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(EDGE, EDGE, (EDGE + 1) // 2, 2)).astype(np.float32)
    angle = rng.uniform(-180, 180, (3, n_slices))
    rotations = matrix_from_euler(*angle).astype(np.float32)
    r, a = RADIUS * np.sqrt(rng.random(n_pixels)), rng.uniform(-np.pi, np.pi, n_pixels)
    x, y = (r * np.cos(a)).astype(np.float32), (r * np.sin(a)).astype(np.float32)
    slices = rng.normal(size=(n_slices, 3, n_pixels)).astype(np.float32)
    sums = as_values(insert(insert_slices, ONE_ZONE, rotations, x, y, slices), ONE_ZONE)
    extracted = np.empty((n_slices, 2 * n_pixels), np.float32)
    extract_slices((volume.reshape(-1), EDGE), rotations, x, y, extracted)
    by_volume = (sums[..., :2] * volume).sum()
    by_slices = (extracted.reshape(n_slices, 2, n_pixels).astype(float) * slices[:, :2]).sum()
    # float32 products: relative to the norm of the terms, not of their sum
    assert by_volume == pytest.approx(by_slices, abs=2e-5 * n_slices * n_pixels)


def test_the_weight_is_inserted_with_total_one(random_rotations, random_pixels):
    x, y = random_pixels(300, RADIUS)
    slices = np.zeros((2, 3, 300), np.float32)
    slices[:, 2] = 1
    sums = as_values(insert(insert_slices, ONE_ZONE, random_rotations(2), x, y, slices), ONE_ZONE)
    assert sums.reshape(-1, 3).sum(axis=0) == pytest.approx([0, 0, 600], rel=1e-4)


@pytest.mark.parametrize("used", [ONE_ZONE, THREE_ZONES], ids=["one zone", "three zones"])
def test_words_become_floats_in_place(used):
    rng = np.random.default_rng(0)
    words = rng.integers(-(2**31), 2**31, (EDGE, EDGE, (EDGE + 1) // 2, 3)).astype(np.int32)
    expected = np.empty(words.shape, np.float32)
    reference.words_to_floats(words, used, 0, EDGE, expected)
    out = words.view(np.float32)
    for first, last in itertools.pairwise([0, 5, 6, EDGE]):
        words_to_floats(words, used, first, last, out)
    assert np.array_equal(out, expected)
