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


def test_a_smaller_size_is_a_prefix():
    large, small = fourier_pixels(32, 30), fourier_pixels(32, 14)
    n = large.n_within(14)
    assert n == small.n_pixels
    assert np.array_equal(large.x[:n], small.x)
    assert np.array_equal(large.y[:n], small.y)


def test_shells_are_runs_of_pixels():
    pixels = fourier_pixels(32, 20)
    for shell in range(11):
        run = slice(pixels.shell_first[shell], pixels.shell_first[shell + 1])
        assert set(np.rint(np.hypot(pixels.x, pixels.y)[run])) == {shell}
    assert pixels.shell_first[-1] == pixels.n_pixels


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
