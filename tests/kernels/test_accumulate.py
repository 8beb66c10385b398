import itertools

import numpy as np
import pytest

from aurefine.kernels import reference
from aurefine.kernels.accumulate import children_with_weight, combine_images


@pytest.fixture
def make_case(random_volume, random_rotations, random_pixels):
    """Function -> arguments of `combine_images` by name, without its outputs."""

    def real(rng, *shape):
        return rng.normal(size=shape).astype(np.float32)

    def make(n_particles, n_pixels, n_child=4, n_children=8, n_noise_groups=2):
        rng = np.random.default_rng(4)
        counts = [3, 1, 0, 4]
        group_first = np.cumsum([0, *counts])
        n_pairs, n_offsets = group_first[-1], 3 * n_child
        particle = np.concatenate([np.sort(rng.integers(0, n_particles, c)) for c in counts])
        weights = rng.random((n_pairs, n_child, n_children)).astype(np.float32)
        weights[rng.random(weights.shape) < 0.5] = 0
        sorted_pair = rng.permutation(n_pairs)
        has_weight = [
            (weights[sorted_pair[a:b]] > 0).any(axis=(0, 1))
            for a, b in itertools.pairwise(group_first)
        ]
        active = np.array(has_weight)
        phase = rng.uniform(-3, 3, (n_offsets, n_pixels))
        pixel_x, pixel_y = random_pixels(n_pixels, 7)
        rotations = random_rotations(len(counts) * n_children)
        return {
            "volume": random_volume(7),
            "rotations": rotations.reshape(len(counts), n_children, 3, 3),
            "pixel_x": pixel_x,
            "pixel_y": pixel_y,
            "group_first": group_first,
            "sorted_particle": particle.astype(np.int64),
            "sorted_offset": (rng.integers(0, 3, n_pairs) * n_child).astype(np.int64),
            "sorted_pair": sorted_pair.astype(np.int64),
            "weights": weights,
            "masked": real(rng, n_particles, 2, n_pixels),
            "unmasked": real(rng, n_particles, 2, n_pixels),
            "transfer": real(rng, n_particles, n_pixels),
            "numerator": real(rng, n_particles, n_pixels),
            "denominator": real(rng, n_particles, n_pixels),
            "cosines": np.cos(phase).astype(np.float32),
            "sines": np.sin(phase).astype(np.float32),
            "noise_group": np.arange(n_particles) % n_noise_groups,
            "is_strong": (np.arange(n_pixels) % 3 < 2).astype(np.float32)[None],
            "slot": np.where(active, np.cumsum(active).reshape(active.shape) - 1, -1),
        }

    return make


def run(kernel, case):
    """Combined images, residual by pixel and sums; the last two started at one."""
    n_particles, _, n_pixels = case["masked"].shape
    combined = np.full((case["slot"].max() + 1, 3, n_pixels), np.nan, np.float32)
    residual_by_pixel = np.ones((case["noise_group"].max() + 1, n_pixels))
    sums = np.ones((n_particles, 4))
    kernel(*case.values(), combined, residual_by_pixel, sums)
    return combined, residual_by_pixel, sums


@pytest.mark.parametrize("n_particles", [1, 3])
@pytest.mark.parametrize("n_pixels", [1, 7, 529])
@pytest.mark.parametrize("n_child, n_children", [(1, 1), (4, 8), (3, 5)])
@pytest.mark.parametrize("own_strength", [False, True])
def test_combined_images_equal_the_reference(
    make_case, n_particles, n_pixels, n_child, n_children, own_strength
):
    case = make_case(n_particles, n_pixels, n_child, n_children)
    if own_strength:
        case["is_strong"] = (
            case["is_strong"] * np.linspace(1, 2, n_particles, dtype=np.float32)[:, None]
        )
    fast = run(combine_images, case)
    slow = run(reference.combine_images, case)
    # sums of up to 4 * 4 * n_pixels terms of order one in single precision
    for found, expected in zip(fast, slow, strict=True):
        assert np.allclose(found, expected, rtol=1e-4, atol=2e-3)


def test_total_weight_is_the_sum_of_each_particles_weights(make_case):
    case = make_case(3, 11)
    _, _, sums = run(combine_images, case)
    of_pairs = case["weights"][case["sorted_pair"]].sum(axis=(1, 2))
    expected = np.bincount(case["sorted_particle"], weights=of_pairs, minlength=3)
    assert sums[:, 3] - 1 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kernel", [combine_images, reference.combine_images])
def test_residuals_by_particle_and_by_pixel_have_the_same_total(make_case, kernel):
    _, by_pixel, sums = run(kernel, make_case(3, 529, n_noise_groups=1))
    assert by_pixel.shape[0] == 1
    # the sum of each particle's residual over pixels is made in single precision
    assert (sums[:, 0] - 1).sum() == pytest.approx((by_pixel - 1).sum(), rel=1e-5)


def test_each_noise_group_collects_the_residuals_of_its_particles(make_case):
    _, by_pixel, sums = run(combine_images, make_case(3, 529, n_noise_groups=3))
    assert sums[:, 0] - 1 == pytest.approx((by_pixel - 1).sum(axis=1), rel=1e-5)


def test_residual_is_power_less_twice_cross_where_all_pixels_are_strong(make_case):
    case = make_case(3, 529)
    case["is_strong"] = np.ones((1, 529), np.float32)
    residual, cross, power, _ = run(combine_images, case)[2].T - 1
    assert residual == pytest.approx(power - 2 * cross, rel=1e-5)


def test_scale_sums_are_zero_without_strong_pixels(make_case):
    case = make_case(3, 7)
    case["is_strong"] = np.zeros((1, 7), np.float32)
    _, _, sums = run(combine_images, case)
    assert (sums[:, 1:3] == 1).all()


@pytest.mark.parametrize("n_child, n_children", [(1, 1), (4, 8), (3, 5)])
def test_children_with_weight_equal_the_reference(make_case, n_child, n_children):
    case = make_case(3, 1, n_child, n_children)
    case["weights"][case["sorted_pair"][0]] = 0
    arguments = case["group_first"], case["sorted_pair"], case["weights"]
    found, expected = (np.ones((4, n_children), bool) for _ in range(2))
    children_with_weight(*arguments, found)
    reference.children_with_weight(*arguments, expected)
    assert np.array_equal(found, expected)
    assert not found[2].any()  # the orientation without pairs
