import numpy as np
import pytest

from aurefine.errors import ImageError
from aurefine.fourier import lowpass_filter
from aurefine.maps.chain import Operations, apply_operations
from aurefine.maps.operations import flip


def _map(shape=(8, 8, 8), seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _apply(values, as_images=False, **wishes):
    result, _ = apply_operations(values, 2.0, Operations(**wishes), as_images=as_images)
    return result


def test_nothing_to_do_returns_the_same_values_and_pixel_size():
    values, pixel_size = apply_operations(_map(), 2.0, Operations())
    np.testing.assert_array_equal(values, _map())
    assert pixel_size == 2.0


def test_the_input_is_not_changed():
    values = _map()
    _apply(values, lowpass=8.0, constant=("add", 1.0), flip="X", new_box=6, clamp_above=0.0)
    np.testing.assert_array_equal(values, _map())


@pytest.mark.parametrize(
    "name, expected", [("multiply", 8.0), ("divide", 2.0), ("add", 6.0), ("subtract", 2.0)]
)
def test_arithmetic_with_a_number(name, expected):
    result = _apply(np.full((4, 4, 4), 4.0, dtype=np.float32), constant=(name, 2.0))
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.float32


def test_division_by_a_zero_constant_is_refused():
    with pytest.raises(ImageError, match="division by zero"):
        _apply(_map(), constant=("divide", 0.0))


def test_a_second_image_serves_for_every_image_of_a_stack():
    stack, second = _map((3, 6, 6)), _map((6, 6), seed=2)
    result, _ = apply_operations(
        stack, 2.0, Operations(other="subtract"), other=second, as_images=True
    )
    np.testing.assert_array_equal(result, stack - second)


def test_a_second_map_of_another_size_is_refused():
    with pytest.raises(ImageError, match="size of the first"):
        apply_operations(_map(), 2.0, Operations(other="add"), other=_map((6, 6, 6)))


def test_filters_act_before_a_flip():
    result = _apply(_map(), lowpass=8.0, flip="X")
    expected = flip(lowpass_filter(_map(), 2.0, 8.0, whole_shell=True), "X")
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_rescaling_acts_before_the_new_box():
    result, pixel_size = apply_operations(_map(), 2.0, Operations(rescale_to=1.0, new_box=20))
    assert result.shape == (20, 20, 20)
    assert pixel_size == 1.0
    np.testing.assert_array_equal(result[:2], 0)


def test_a_stack_gives_the_same_as_its_images_one_by_one():
    stack = _map((4, 8, 8))
    wishes = dict(
        bfactor=50.0, lowpass=7.0, highpass=12.0, flip="hand", shift=(0.5, -1.0, 0.0),
        rescale_to=1.0, new_box=12, clamp_below=-0.5,
    )  # fmt: skip
    together = _apply(stack, as_images=True, **wishes)
    single = _apply(stack[2:3], as_images=True, **wishes)
    np.testing.assert_allclose(together[2:3], single, atol=1e-6)


def test_images_are_centred_one_by_one():
    stack = np.zeros((2, 8, 8), dtype=np.float32)
    stack[0, 2, 6] = stack[1, 5, 1] = 1
    centred = _apply(stack, as_images=True, shift_to_centre_of_mass=True)
    np.testing.assert_allclose(centred[:, 4, 4], 1)


def test_undefined_voxels_are_replaced():
    values = _map()
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(_apply(values, replace_nan=7.0)[0, 0, :3], 7)


def test_images_can_be_transposed():
    images = _map((1, 4, 6))
    np.testing.assert_array_equal(
        _apply(images, as_images=True, transpose="flipXY")[0], images[0].T
    )
    anti = _apply(images, as_images=True, transpose="flipmXY")[0]
    np.testing.assert_array_equal(anti, images[0][::-1, ::-1].T)


def test_rectangular_images_keep_their_size_when_filtered():
    result = _apply(_map((2, 6, 10)), as_images=True, lowpass=8.0)
    assert result.shape == (2, 6, 10)


def test_random_phases_are_the_same_for_the_same_seed():
    wishes = Operations(randomise_phases_at=6.0)
    first, again = (
        apply_operations(_map(), 2.0, wishes, rng=np.random.default_rng(3))[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, _map())


@pytest.mark.parametrize(
    "wishes, as_images, message",
    [
        (dict(flip="Z"), True, "--flipZ"),
        (dict(symmetry="C2"), True, "--sym"),
        (dict(transpose="flipXY"), False, "--flipXY"),
        (dict(randomise_phases_at=9.0), True, "--phase_randomise"),
    ],
)
def test_operations_that_do_not_fit_are_named(wishes, as_images, message):
    with pytest.raises(ImageError, match=message):
        _apply(_map(), as_images=as_images, **wishes)


def test_a_map_that_is_not_cubic_is_not_filtered():
    with pytest.raises(ImageError, match="cubic"):
        _apply(_map((4, 8, 8)), lowpass=8.0)


@pytest.mark.parametrize(
    "wishes, needed",
    [
        (dict(), False),
        (dict(new_box=4), False),
        (dict(bfactor=1.0), True),
        (dict(lowpass=9.0), True),
    ],
)
def test_only_some_operations_need_a_pixel_size(wishes, needed):
    assert Operations(**wishes).needs_pixel_size is needed
