import numpy as np
import pytest

from aurefine.kernels import reference, two_step

FRACTION = 0.999


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_equal(fast, slow):
    for found, expected in zip(fast, slow, strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("n_particles, n_offsets, n_orientations", [(1, 1, 1), (7, 5, 40)])
def test_best_over_offsets_equals_the_reference(n_particles, n_offsets, n_orientations):
    n_pixels = 13
    arguments = (
        normal(n_particles, n_offsets, 2 * n_pixels),
        np.abs(normal(n_particles, n_pixels, seed=1)),
        normal(n_orientations, 2 * n_pixels, seed=2),
        np.abs(normal(n_orientations, n_pixels, seed=3)),
        normal(n_orientations, seed=4),
        normal(n_particles, n_offsets, seed=5),
        3,
    )
    found, expected = (np.empty((n_particles, n_orientations), np.float32) for _ in range(2))
    two_step.best_over_offsets(*arguments, found)
    reference.best_over_offsets(*arguments, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40)])
@pytest.mark.parametrize("drop", [0.0, 1.0, 1e9])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_likely_orientations_equal_the_reference(shape, drop, share):
    best = normal(*shape)
    drop = np.linspace(drop, drop / 2, shape[0], dtype=np.float32)
    assert_equal(
        two_step.likely_orientations(best, drop, share),
        reference.likely_orientations(best, drop, share),
    )


def test_the_best_orientation_is_always_likely():
    best = normal(2, 30)
    first, likely = two_step.likely_orientations(best, np.zeros(2, np.float32), 0.0)
    assert first.tolist() == [0, 1, 2]
    assert likely.tolist() == best.argmax(axis=1).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_orientation_is_likely_if_scores_are_no_numbers(value):
    best = normal(2, 30)
    best[1] = value
    first, likely = two_step.likely_orientations(best, np.zeros(2, np.float32), 0.1)
    assert first[1] == first[2] == len(likely) > 0


# more than 1024 points make the outputs grow
@pytest.mark.parametrize("n_particles, n_offsets, n_pixels", [(1, 1, 1), (3, 5, 21), (4, 90, 9)])
@pytest.mark.parametrize("max_points", [-1, 3])
def test_scores_of_likely_orientations_equal_the_reference(
    n_particles, n_offsets, n_pixels, max_points
):
    rng = np.random.default_rng(1)
    likely = [np.flatnonzero(rng.random(60) < 0.6) for _ in range(n_particles)]
    likely[0] = np.array([2])
    slices = 0.1 * normal(60, 2 * n_pixels)
    arguments = (
        np.cumsum([0, *(len(own) for own in likely)]),
        np.concatenate(likely),
        slices,
        slices[:, :n_pixels] ** 2 + slices[:, n_pixels:] ** 2,
        normal(60, seed=2),
        normal(n_particles, n_offsets, seed=3),
        normal(n_particles, n_offsets, 2 * n_pixels, seed=4),
        np.abs(normal(n_particles, n_pixels, seed=5)),
        FRACTION,
        max_points,
    )
    assert_equal(two_step.score_likely(*arguments), reference.score_likely(*arguments))


@pytest.fixture
def local_case(random_volume, random_rotations, random_pixels):
    """Function (n_listed, ...) -> arguments of `score_local`."""

    def make(
        *,
        n_listed=(17, 1, 40),
        n_offsets=5,
        limits=(20, 60),
        drop=2.0,
        share=0.0,
        use_correlation=False,
    ):
        n_pixels, n_particles = 60, len(n_listed)
        first = np.cumsum([0, *n_listed])
        rows = 0.3 * normal(n_particles, n_offsets, 2 * n_pixels)
        return (
            random_volume(7),
            first,
            random_rotations(first[-1]),
            normal(first[-1], seed=2),
            *random_pixels(n_pixels, 7),
            np.array(limits),
            rows,
            0.1 * np.abs(normal(n_particles, n_pixels, seed=4)),
            normal(n_particles, n_offsets, seed=5),
            drop,
            share,
            FRACTION,
            -1,
            use_correlation,
        )

    return make


@pytest.mark.parametrize(
    "limits, use_correlation",
    [((60,), False), ((60,), True), ((20, 60), False), ((7, 20, 45, 60), False)],
)
@pytest.mark.parametrize("n_listed, n_offsets", [((17, 1, 40), 5), ((1,), 1), ((33, 16), 90)])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_local_scores_equal_the_reference(
    limits, use_correlation, n_listed, n_offsets, share, local_case
):
    arguments = local_case(
        n_listed=n_listed,
        n_offsets=n_offsets,
        limits=limits,
        share=share,
        use_correlation=use_correlation,
    )
    assert_equal(two_step.score_local(*arguments), reference.score_local(*arguments))


@pytest.mark.parametrize("drop, share", [(1e9, 0.0), (0.0, 1e9)])
def test_a_large_drop_is_a_single_step(drop, share, local_case):
    in_two_steps = two_step.score_local(*local_case(drop=drop, share=share))
    assert_equal(in_two_steps, two_step.score_local(*local_case(limits=(60,))))
