import numpy as np
import pytest

from aurefine.kernels import hierarchy, reference

FRACTION = 0.999


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_equal(fast, slow):
    for found, expected in zip(fast, slow, strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 40)])
@pytest.mark.parametrize("drop", [0.0, 1.0, 1e9])
def test_likely_parents_equal_the_reference(shape, drop):
    log_weights = normal(*shape)
    fast = hierarchy.likely_parents(log_weights, drop)
    assert_equal(fast, reference.likely_parents(log_weights, drop))


def test_the_best_parent_is_always_likely():
    log_weights = normal(2, 4, 30)
    first, parents = hierarchy.likely_parents(log_weights, 0.0)
    assert first.tolist() == [0, 1, 2]
    assert parents.tolist() == log_weights.max(axis=1).argmax(axis=1).tolist()


# more than 1024 points make the outputs grow
@pytest.mark.parametrize("n_particles, n_offsets, n_pixels", [(1, 1, 1), (3, 5, 21), (4, 60, 9)])
@pytest.mark.parametrize("max_points", [-1, 3])
def test_global_children_equal_the_reference(n_particles, n_offsets, n_pixels, max_points):
    rng = np.random.default_rng(1)
    child_first = np.array([0, 8, 9, 17, 30])
    parents = [
        np.sort(rng.choice(4, rng.integers(1, 5), replace=False)) for _ in range(n_particles)
    ]
    first = np.cumsum([0, *(len(p) for p in parents)])
    slices = 0.2 * normal(30, 2 * n_pixels)
    arguments = (
        first,
        np.concatenate(parents),
        child_first,
        slices,
        slices[:, :n_pixels] ** 2 + slices[:, n_pixels:] ** 2,
        normal(30, seed=2),
        normal(n_particles, n_offsets, seed=3),
        normal(n_particles, n_offsets, 2 * n_pixels, seed=4),
        np.abs(normal(n_particles, n_pixels, seed=5)),
        FRACTION,
        max_points,
    )
    assert_equal(hierarchy.global_children(*arguments), reference.global_children(*arguments))


@pytest.fixture
def local_case(random_volume, random_rotations, random_pixels):
    """Function (has_parents, drop, use_correlation, ...) -> arguments of `local_block`."""

    def make(
        *, n_listed=(17, 1, 40), n_offsets=5, drop=2.0, has_parents=True, use_correlation=False
    ):
        n_pixels, n_parent_pixels = 60, 20
        n_particles = len(n_listed)
        start = np.cumsum([0, *(n + 3 for n in n_listed)])  # lists need not fill their places
        parent = np.zeros(start[-1], np.int64)
        n_parents = 0
        for begin, n in zip(start, n_listed, strict=False):
            parent[begin : begin + n] = n_parents + np.arange(n) // 4
            n_parents = parent[begin + n - 1] + 1
        rows = 0.3 * normal(n_particles, n_offsets, 2 * n_pixels)
        split = rows.reshape(n_particles, n_offsets, 2, n_pixels)[..., :n_parent_pixels]
        return (
            random_volume(7),
            start,
            np.array(n_listed),
            random_rotations(start[-1]),
            normal(start[-1], seed=2),
            parent if has_parents else np.empty(0, np.int64),
            random_rotations(n_parents, seed=3),
            *random_pixels(n_pixels, 7),
            n_parent_pixels,
            rows,
            np.ascontiguousarray(split).reshape(n_particles, n_offsets, -1),
            0.1 * np.abs(normal(n_particles, n_pixels, seed=4)),
            normal(n_particles, n_offsets, seed=5),
            drop,
            FRACTION,
            -1,
            use_correlation,
        )

    return make


@pytest.mark.parametrize("has_parents", [False, True])
@pytest.mark.parametrize("use_correlation", [False, True])
@pytest.mark.parametrize("n_listed, n_offsets", [((17, 1, 40), 5), ((1,), 1), ((33, 16), 90)])
def test_local_blocks_equal_the_reference(
    has_parents, use_correlation, n_listed, n_offsets, local_case
):
    arguments = local_case(
        n_listed=n_listed,
        n_offsets=n_offsets,
        has_parents=has_parents,
        use_correlation=use_correlation,
    )
    assert_equal(hierarchy.local_block(*arguments), reference.local_block(*arguments))


def test_a_large_drop_is_a_full_search(local_case):
    with_parents = hierarchy.local_block(*local_case(drop=1e9))
    assert_equal(with_parents, hierarchy.local_block(*local_case(has_parents=False)))
