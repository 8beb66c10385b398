import itertools

import numpy as np
import pytest

from aurefine.kernels import reference
from aurefine.kernels.accumulate import combine_images


def make_case(n_particles, n_pixels, n_child, n_children, random_volume, random_rotations, pixels):
    rng = np.random.default_rng(4)
    counts = [3, 1, 0, 4]
    group_first = np.cumsum([0, *counts])
    n_pairs, n_offsets = group_first[-1], 3 * n_child
    particle = np.concatenate([np.sort(rng.integers(0, n_particles, c)) for c in counts])
    weights = rng.random((n_pairs, n_child, n_children)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.5] = 0
    output = rng.permutation(n_pairs)
    has_weight = [
        (weights[output[a:b]] > 0).any(axis=(0, 1)) for a, b in itertools.pairwise(group_first)
    ]
    active = np.array(has_weight)
    slot = np.where(active, np.cumsum(active).reshape(active.shape) - 1, -1)
    phase = rng.uniform(-3, 3, (n_offsets, n_pixels))
    shell_first = np.unique([0, 1, min(5, n_pixels), n_pixels])

    def real(*shape):
        return rng.normal(size=shape).astype(np.float32)

    arguments = (
        random_volume(7),
        random_rotations(len(counts) * n_children).reshape(len(counts), n_children, 3, 3),
        *pixels(n_pixels, 7),
        shell_first.astype(np.int64),
        group_first,
        particle.astype(np.int64),
        (rng.integers(0, 3, n_pairs) * n_child).astype(np.int64),
        output.astype(np.int64),
        weights,
        real(n_particles, 2, n_pixels),
        real(n_particles, 2, n_pixels),
        real(n_particles, n_pixels),
        real(n_particles, n_pixels),
        real(n_particles, n_pixels),
        np.cos(phase).astype(np.float32),
        np.sin(phase).astype(np.float32),
        slot.astype(np.int64),
    )
    return arguments, int(active.sum()), len(shell_first) - 1


def run(kernel, arguments, n_slots, n_particles, n_pixels, n_shells):
    combined = np.full((n_slots, 3, n_pixels), np.nan, np.float32)
    cross, power = np.ones((2, n_particles, n_shells))  # sums are added to
    total = np.ones(n_particles)
    kernel(*arguments, combined, cross, power, total)
    return combined, cross, power, total


@pytest.mark.parametrize("n_particles", [1, 3])
@pytest.mark.parametrize("n_pixels", [1, 7, 529])
@pytest.mark.parametrize("n_child, n_children", [(1, 1), (4, 8), (3, 5)])
def test_combined_images_equal_the_reference(
    n_particles, n_pixels, n_child, n_children, random_volume, random_rotations, random_pixels
):
    arguments, n_slots, n_shells = make_case(
        n_particles, n_pixels, n_child, n_children, random_volume, random_rotations, random_pixels
    )
    shape = n_slots, n_particles, n_pixels, n_shells
    fast = run(combine_images, arguments, *shape)
    slow = run(reference.combine_images, arguments, *shape)
    # sums of up to 4 * 4 * n_pixels terms of order one in single precision
    for found, expected in zip(fast, slow, strict=True):
        assert np.allclose(found, expected, rtol=1e-4, atol=2e-3)


def test_total_weight_is_the_sum_of_each_particles_weights(
    random_volume, random_rotations, random_pixels
):
    arguments, n_slots, n_shells = make_case(
        3, 11, 4, 8, random_volume, random_rotations, random_pixels
    )
    particle, output, weights = arguments[6], arguments[8], arguments[9]
    _, _, _, total = run(combine_images, arguments, n_slots, 3, 11, n_shells)
    expected = np.bincount(particle, weights=weights[output].sum(axis=(1, 2)), minlength=3)
    assert total - 1 == pytest.approx(expected, rel=1e-6)
