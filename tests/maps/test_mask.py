import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.maps.mask import automatic_threshold, binarise, grow, shell_mask, soften


def _points(n=12, count=5, seed=1):
    inside = np.zeros((n, n, n), dtype=bool)
    inside[tuple(np.random.default_rng(seed).integers(0, n, size=(3, count)))] = True
    return inside


def _distance(inside):
    n = inside.shape
    grid = np.indices(n).reshape(3, -1).T
    points = np.argwhere(inside)
    d2 = ((grid[:, None] - points[None]) ** 2).sum(axis=-1).min(axis=1)
    return np.sqrt(d2).reshape(n)


def test_a_voxel_at_the_threshold_belongs_to_the_mask():
    np.testing.assert_array_equal(binarise(np.array([0.1, 0.2, 0.3]), 0.2), [False, True, True])


@pytest.mark.parametrize(
    "how, expected",
    [
        ("and", [0, 0, 0, 1]),
        ("or", [0, 1, 1, 1]),
        ("and_not", [0, 0, 1, 0]),
        ("or_not", [1, 0, 1, 1]),
    ],
)
def test_combinations_of_two_maps(how, expected):
    first, second = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])
    np.testing.assert_array_equal(binarise(first, 0.5, second, how), expected)


def test_bad_combinations_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        binarise(np.zeros(3), 0.5, np.zeros(4), "and")
    with pytest.raises(ValueError, match="one of"):
        binarise(np.zeros(3), 0.5, np.zeros(3), "xor")


@given(by=st.floats(0.1, 5), seed=st.integers(0, 50))
def test_growing_adds_voxels_strictly_nearer_than_the_distance(by, seed):
    inside = _points(seed=seed)
    np.testing.assert_array_equal(grow(inside, by), inside | (_distance(inside) < by))


@given(by=st.floats(0.1, 5), seed=st.integers(0, 50))
def test_shrinking_removes_what_growing_the_outside_covers(by, seed):
    inside = ~_points(seed=seed)
    np.testing.assert_array_equal(grow(inside, -by), ~grow(~inside, by))


def test_growing_by_nothing_changes_nothing():
    np.testing.assert_array_equal(grow(_points(), 0), _points())


def test_a_full_mask_does_not_shrink_at_the_border_of_the_box():
    assert grow(np.ones((6, 6, 6), dtype=bool), -2).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_pieces_of_a_large_box_fit_together(workers):
    inside = np.zeros((150, 9, 9), dtype=bool)
    inside[[60, 66, 130], 4, 4] = True
    expected = _distance(inside)
    np.testing.assert_array_equal(grow(inside, 6.5, workers=workers), expected < 6.5)
    edge = np.where(expected < 4, 0.5 + 0.5 * np.cos(np.pi * expected / 4), 0)
    np.testing.assert_allclose(soften(inside, 4, workers=workers), edge, atol=1e-6)


def test_a_soft_edge_without_width_is_binary():
    mask = soften(_points(), 0)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, _points())


def test_an_empty_mask_stays_empty():
    nothing = np.zeros((6, 6, 6), dtype=bool)
    assert not grow(nothing, 3).any()
    assert not soften(nothing, 3).any()


def test_shell_mask_has_soft_edges_on_both_sides():
    row = shell_mask(32, 4, 8, 2)[16, 16, 16:]
    np.testing.assert_allclose(row[[0, 2, 3, 4, 8, 9, 10, 12]], [0, 0, 0.5, 1, 1, 0.5, 0, 0])


def test_shell_mask_can_be_moved():
    moved = shell_mask(32, 0, 5, 3, centre=(3.0, -2.0, 1.0))
    np.testing.assert_allclose(moved[1:, :-2, 3:], shell_mask(32, 0, 5, 3)[:-1, 2:, :-3], atol=1e-6)


def test_shell_mask_without_edge_is_binary():
    assert set(np.unique(shell_mask(16, 2, 5, 0))) == {0, 1}


def test_automatic_threshold_finds_a_sphere_in_noise():
    n = 40
    axis2 = (np.arange(n) - n // 2) ** 2
    r2 = axis2[:, None, None] + axis2[:, None] + axis2
    sphere = r2 < 10**2
    values = sphere + np.random.default_rng(1).normal(0, 0.05, size=(n, n, n))
    np.testing.assert_array_equal(values >= automatic_threshold(values), sphere)


def test_a_constant_map_has_no_threshold():
    with pytest.raises(ValueError, match="constant"):
        automatic_threshold(np.ones((4, 4, 4)))
