import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.errors import OptionError
from aurefine.maps.operations import (
    centre_of_mass,
    divide_safely,
    flip,
    invert_hand,
    pad_to_square,
    rescale,
    rescaled_size,
    set_box,
    shift_content,
    symmetrise,
)


def _map(shape=(8, 8, 8), seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_rescaled_size_is_rounded_and_then_made_even_downwards():
    assert rescaled_size(64, 3.54, 1.244) == (182, pytest.approx(1.244835, abs=1e-6))
    assert rescaled_size(24, 3.54, 5.0)[0] == 16  # 17 after rounding


@pytest.mark.parametrize("arguments", [(64, 0.0, 1.0), (64, 1.0, -1.0), (4, 1.0, 9.0)])
def test_impossible_pixel_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="Å"):
        rescaled_size(*arguments)


def test_rescaling_reports_the_true_pixel_size():
    rescaled, pixel_size = rescale(_map(), 2.0, 1.5)
    assert rescaled.shape == (10, 10, 10)
    assert pixel_size == pytest.approx(1.6)


def test_rectangular_images_stay_rectangular():
    rescaled, pixel_size = rescale(_map((2, 8, 16)), 2.0, 4.0, as_images=True)
    assert rescaled.shape == (2, 4, 8)
    assert pixel_size == pytest.approx(4.0)


def test_only_cubic_maps_are_rescaled():
    with pytest.raises(ValueError, match="cubic"):
        rescale(_map((4, 8, 8)), 2.0, 1.0)


def test_padding_to_a_square_aligns_origins():
    image = np.arange(12.0).reshape(2, 6)
    square = pad_to_square(image)
    assert square.shape == (6, 6)
    assert square[3, 3] == image[1, 3]
    np.testing.assert_array_equal(square[[0, 1, 4, 5]], 0)


def test_a_box_of_the_same_size_is_left_alone():
    values = _map()
    assert set_box(values, 8) is values
    assert set_box(values, 5, as_images=True).shape == (8, 5, 5)


def test_whole_pixel_shifts_move_content_to_higher_indices():
    values = _map()
    moved = shift_content(values, (1, 2, -3))
    np.testing.assert_allclose(moved[:5, 2:, 1:], values[3:, :6, :7], atol=1e-6)
    np.testing.assert_array_equal(moved[5:], 0)
    assert moved.dtype == np.float32


def test_images_of_a_stack_shift_independently():
    stack = _map()
    moved = shift_content(stack, (1.5, 0, 4.0), as_images=True)
    np.testing.assert_allclose(moved[3], shift_content(stack[3], (1.5, 0, 0)), atol=1e-6)


def test_centre_of_mass_counts_positive_voxels_from_the_origin():
    values = np.full((8, 8, 8), -3.0, dtype=np.float32)
    values[5, 2, 4] = 2.0
    assert centre_of_mass(values) == (0.0, -2.0, 1.0)
    assert centre_of_mass(values[5]) == (0.0, -2.0, 0.0)
    assert centre_of_mass(-np.ones((4, 4))) == (0.0, 0.0, 0.0)


@given(axis=st.sampled_from("XYZ"))
def test_flipping_twice_restores_the_map(axis):
    np.testing.assert_array_equal(flip(flip(_map(), axis), axis), _map())


def test_inverting_the_hand_keeps_the_origin():
    values = _map()
    inverted = invert_hand(values)
    np.testing.assert_array_equal(inverted[:, :, 4], values[:, :, 4])
    np.testing.assert_array_equal(invert_hand(inverted), values)
    np.testing.assert_array_equal(inverted[:, :, 5], values[:, :, 3])


def test_division_by_nothing_gives_zero():
    result = divide_safely(np.array([1.0, 1.0, 1.0]), np.array([2.0, 0.0, 1e-11]))
    np.testing.assert_array_equal(result, [0.5, 0, 0])


def test_symmetrising_a_symmetric_map_changes_only_the_border():
    once = symmetrise(_map((12, 12, 12)), "D2")
    twice = symmetrise(once, "D2")
    np.testing.assert_allclose(twice[1:, 1:, 1:], once[1:, 1:, 1:], atol=1e-6)


def test_a_symmetrised_map_has_the_symmetry():
    values = symmetrise(_map((12, 12, 12)), "C4")
    quarter = np.rot90(values[1:, 1:, 1:], axes=(1, 2))
    np.testing.assert_allclose(quarter, values[1:, 1:, 1:], atol=1e-6)


def test_no_symmetry_leaves_the_map_alone():
    np.testing.assert_array_equal(symmetrise(_map(), "C1"), _map())


def test_an_unknown_symmetry_is_refused():
    with pytest.raises(OptionError):
        symmetrise(_map(), "Q7")
