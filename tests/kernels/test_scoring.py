import numpy as np
import pytest

from aurefine.kernels import reference, scoring


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("n_pixels", [1, 9, 513])
@pytest.mark.parametrize("n_rows", [0, 1, 6])
def test_shifted_rows_equal_the_reference(n_pixels, n_rows):
    rng = np.random.default_rng(1)
    phase = rng.uniform(-3, 3, (4, n_pixels))
    arguments = (
        normal(3, 2, n_pixels),
        normal(3, n_pixels),
        np.cos(phase).astype(np.float32),
        np.sin(phase).astype(np.float32),
        rng.integers(0, 3, n_rows).astype(np.int32),
        rng.integers(0, 4, n_rows).astype(np.int32),
    )
    fast, slow = np.empty((2, n_rows, 2 * n_pixels), np.float32)
    scoring.shifted_rows(*arguments, fast)
    reference.shifted_rows(*arguments, slow)
    assert np.abs(fast - slow).max(initial=0) < 1e-5


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (3, 17)])
def test_slice_norms_equal_the_reference(shape):
    slices = normal(shape[0], 2 * shape[1])
    fast, slow = np.empty((2, *shape), np.float32)
    scoring.slice_norms(slices, fast)
    reference.slice_norms(slices, slow)
    assert np.allclose(fast, slow, rtol=1e-6)


@pytest.fixture
def pairs():
    """Function (n_particles, n_groups, n_pairs_per_group, n_child) -> sorted pairs and rows."""

    def make(n_particles, counts, n_child):
        rng = np.random.default_rng(2)
        group_first = np.cumsum([0, *counts])
        n_pairs = group_first[-1]
        particle = np.concatenate(
            [np.sort(rng.integers(0, n_particles, c)) for c in counts]
        ).astype(np.int64)
        row = rng.integers(0, 5, n_pairs) * n_child
        return group_first, particle, row, rng.permutation(n_pairs)

    return make


# 2 x 8 tiles need an even number of offsets and a multiple of 8 orientations; others do not
@pytest.mark.parametrize("n_child, n_children", [(1, 1), (4, 8), (2, 16), (3, 8), (4, 5), (16, 64)])
@pytest.mark.parametrize("n_pixels", [1, 37, 1030])
def test_fine_scores_equal_the_reference(
    n_child, n_children, n_pixels, pairs, random_volume, random_rotations, random_pixels
):
    group_first, particle, row, output = pairs(3, (2, 0, 5, 1), n_child)
    n_pairs = len(particle)
    arguments = (
        random_volume(7),
        random_rotations(4 * n_children).reshape(4, n_children, 3, 3),
        *random_pixels(n_pixels, 7),
        group_first,
        particle,
        row,
        output,
        normal(5 * n_child, 2 * n_pixels, seed=1),
        np.abs(normal(3, n_pixels, seed=2)),
        n_child,
    )
    results = []
    for kernel in (scoring.fine_scores, reference.fine_scores):
        cross = np.full((n_pairs, n_child, n_children), np.nan, np.float32)
        norms = np.full((n_pairs, n_children), np.nan, np.float32)
        kernel(*arguments, cross, norms)
        results.append((cross, norms))
    # sums of n products of order one in single precision
    tolerance = 1e-5 * np.sqrt(n_pixels) * 10
    assert np.abs(results[0][0] - results[1][0]).max() < tolerance
    assert np.allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def test_fine_scores_without_pairs_do_nothing(random_volume, random_pixels):
    empty = np.empty(0, np.int64)
    cross, norms = np.empty((0, 4, 8), np.float32), np.empty((0, 8), np.float32)
    scoring.fine_scores(
        random_volume(4), np.empty((0, 8, 3, 3), np.float32), *random_pixels(5, 4),
        np.zeros(1, np.int64), empty, empty, empty, np.empty((0, 10), np.float32),
        np.empty((0, 5), np.float32), 4, cross, norms,
    )  # fmt: skip
    assert not cross.size


@pytest.mark.parametrize("use_correlation", [False, True])
@pytest.mark.parametrize("n_particles, n_offsets, n_orientations", [(1, 1, 1), (3, 5, 19)])
def test_finished_scores_equal_the_reference(
    use_correlation, n_particles, n_offsets, n_orientations
):
    scores = normal(n_particles, n_offsets, n_orientations)
    norms = np.abs(normal(n_particles, n_orientations, seed=1))
    norms[0, 0] = 0  # a slice without power correlates with nothing
    priors = normal(n_orientations, seed=2), normal(n_particles, n_offsets, seed=3)
    slow, slow_norms = scores.copy(), norms.copy()
    scoring.finish_coarse_scores(scores, norms, *priors, use_correlation)
    reference.finish_coarse_scores(slow, slow_norms, *priors, use_correlation)
    assert np.allclose(scores, slow, atol=1e-5)
    assert np.allclose(norms, slow_norms, rtol=1e-5)


def test_scores_order_samples_like_the_squared_difference(
    random_volume, random_rotations, random_pixels
):
    """Cross term minus half the norm term is a constant minus the squared difference."""
    n_pixels, n_orientations = 60, 9
    x, y = random_pixels(n_pixels, 7)
    volume, rotations = random_volume(7), random_rotations(n_orientations)
    slices = np.empty((n_orientations, 2 * n_pixels), np.float32)
    reference.extract_slices(volume, rotations, x, y, slices)
    predicted = slices[:, :n_pixels] + 1j * slices[:, n_pixels:]
    image, transfer = normal(2, n_pixels), normal(n_pixels, seed=1)
    inverse = np.float32(0.7)
    row = np.concatenate(list(image * transfer * inverse))[None]
    cross = np.empty((1, 1, n_orientations), np.float32)
    norms = np.empty((1, n_orientations), np.float32)
    scoring.fine_scores(
        volume, rotations[None], x, y, np.array([0, 1]), *np.zeros((3, 1), np.int64),
        row, (transfer**2 * inverse)[None].astype(np.float32), 1, cross, norms,
    )  # fmt: skip
    found = cross[0, 0] - norms[0] / 2
    residual = image[0] + 1j * image[1] - transfer * predicted
    expected = -(np.abs(residual) ** 2).sum(axis=1) * inverse / 2
    assert np.allclose(found - found[0], expected - expected[0], atol=1e-3)
