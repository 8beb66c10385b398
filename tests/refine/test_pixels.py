import numpy as np
import pytest

from aurefine.refine.pixels import fourier_pixels, half_plane_rings, phase_ramps


@pytest.mark.parametrize("box, size", [(8, 2), (8, 8), (30, 14), (32, 32)])
def test_every_frequency_of_the_disc_is_listed_once(box, size):
    pixels = fourier_pixels(box, size)
    listed = {(x, y) for x, y in zip(pixels.x.tolist(), pixels.y.tolist(), strict=True)}
    r = size // 2
    disc = {
        (x, y)
        for x in range(-r, r + 1)
        for y in range(-r, r + 1)
        if x * x + y * y <= r * r
    }  # fmt: skip
    mates = {(-x, -y) for x, y in listed}
    assert len(listed) == pixels.n_pixels
    assert listed | mates == disc
    assert listed & mates == {(0, 0)}


@pytest.mark.parametrize("prefixes", [(14,), (7, 14, 22), (30, 13, 2)])
def test_smaller_sizes_that_were_asked_for_are_prefixes(prefixes):
    large = fourier_pixels(32, 30, prefixes)
    for size in prefixes:
        n = large.n_within(size)
        assert np.hypot(large.x, large.y)[:n].max() <= size / 2
        assert np.hypot(large.x, large.y)[n:].min(initial=np.inf) > size / 2
        small = large.leading(n)
        assert small.n_pixels == n
        assert small.n_shells == size // 2 + 1


def test_size_that_was_not_asked_for_is_refused():
    with pytest.raises(ValueError, match="20 px"):
        fourier_pixels(32, 30, (14,)).n_within(20)


def test_pixels_are_listed_annulus_by_annulus_and_neighbour_by_neighbour():
    pixels = fourier_pixels(256, 256)
    radius = np.hypot(pixels.x, pixels.y)
    assert (pixels.x[0], pixels.y[0]) == (0, 0)
    assert np.all(np.maximum.accumulate(radius) - radius < 3)
    steps = np.hypot(np.diff(pixels.x), np.diff(pixels.y))
    assert np.mean(steps < 5) > 0.99


def test_shell_sums_are_those_of_the_pixels_of_each_shell():
    pixels = fourier_pixels(32, 20, (10,))
    values = np.random.default_rng(0).normal(size=(3, pixels.n_pixels))
    expected = [values[:, pixels.shell == shell].sum(axis=1) for shell in range(11)]
    assert pixels.shell_sums(values) == pytest.approx(np.transpose(expected))


def test_index_and_sign_give_the_transform_about_the_centre():
    """A point in the middle of the box has the transform one everywhere."""
    image = np.zeros((16, 16))
    image[8, 8] = 1
    pixels = fourier_pixels(16, 16)
    assert np.fft.rfft2(image).ravel()[pixels.index] * pixels.sign == pytest.approx(1)


def test_multiplicity_counts_the_stored_copies():
    pixels = fourier_pixels(12, 12)
    expected = np.where((pixels.x == 0) & (pixels.y != 0), 2, 1)
    assert np.array_equal(pixels.multiplicity, expected)


@pytest.mark.parametrize("box", [2, 8, 30])
def test_rings_count_each_frequency_once(box):
    ring, n_pixels = half_plane_rings(box)
    table = ring.reshape(box, box // 2 + 1)
    for y in range(-box // 2 + 1, box // 2 + 1):
        for x in range(box // 2 + 1):
            expected = int(np.floor(np.hypot(x, y) + 0.5))
            if expected > box // 2 or (x == 0 and y < 0):
                expected = -1
            assert table[y % box, x] == expected
    assert np.array_equal(n_pixels, np.bincount(ring[ring >= 0]))


def test_phase_ramps_shift_an_image():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(16, 16))
    pixels = fourier_pixels(16, 14)
    cosines, sines = phase_ramps(pixels, np.array([[0.0, 0.0], [3.0, -2.0]]), pixels.n_pixels)
    values = np.fft.rfft2(image).ravel()[pixels.index]
    moved = np.fft.rfft2(np.roll(image, (-2, 3), axis=(0, 1))).ravel()[pixels.index]
    assert np.array_equal(cosines[0], np.ones(pixels.n_pixels))
    assert values * (cosines[1] + 1j * sines[1]) == pytest.approx(moved, abs=1e-4)
