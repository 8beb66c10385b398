"""The chain of operations on particle images."""

import numpy as np
import pytest

from aurefine.extract.images import ImageCounts, ImageSettings, extract_images

RNG = np.random.default_rng(5)
MICROGRAPH = RNG.normal(100, 10, (120, 140)).astype(np.float32)
COORDINATES = RNG.uniform(0, 120, (7, 2))


def _run(settings, micrograph=MICROGRAPH, seed=(0,)):
    counts = ImageCounts()
    batches = list(extract_images(micrograph, COORDINATES, settings, counts, seed=seed))
    return np.concatenate(batches), counts


def test_raw_windows_are_the_pixels_of_the_micrograph():
    images, _ = _run(ImageSettings(16))
    x, y = np.trunc(COORDINATES[3]).astype(int)
    assert images.shape == (7, 16, 16)
    assert images[3, 8, 8] == MICROGRAPH[y, x]


def test_inversion_changes_the_sign_of_everything():
    plain, _ = _run(ImageSettings(16, 12, background_radius=4))
    inverted, _ = _run(ImageSettings(16, 12, background_radius=4, invert_contrast=True))
    np.testing.assert_array_equal(inverted, -plain)


def test_normalised_images_do_not_depend_on_grey_level_and_contrast():
    settings = ImageSettings(16, 12, background_radius=4)
    images, _ = _run(settings)
    changed, _ = _run(settings, micrograph=(MICROGRAPH * 8 + 4096).astype(np.float32))
    # 8 * 100 + 4096 is rounded to 2**-11, a deviation is 80
    np.testing.assert_allclose(images, changed, atol=1e-4)


def test_pixels_that_are_not_numbers_spoil_the_whole_image():
    micrograph = MICROGRAPH.copy()
    x, y = np.trunc(COORDINATES[2]).astype(int)
    micrograph[y, x] = np.nan
    images, _ = _run(ImageSettings(16, 12, background_radius=4), micrograph=micrograph)
    assert not np.isfinite(images[2]).any()


def test_output_size_and_pixel_size():
    assert ImageSettings(360, 256).output_size == 256
    assert ImageSettings(360, 256).output_pixel_size(0.885) == pytest.approx(1.24453125)
    assert ImageSettings(32, 24, 16).output_size == 16
    assert ImageSettings(32, windowed_size=24).output_pixel_size(0.885) == 0.885


def test_window_after_rescaling_keeps_the_particle_centred():
    y, x = np.mgrid[:140, :140]
    micrograph = np.exp(-((x - 70) ** 2 + (y - 70) ** 2) / 20).astype(np.float32)
    for relion_window, peak in ((False, 8), (True, 4)):
        settings = ImageSettings(32, 24, 16, relion_window=relion_window)
        image = next(extract_images(micrograph, np.array([[70.0, 70.0]]), settings, ImageCounts()))[
            0
        ]
        assert np.unravel_index(image.argmax(), image.shape) == (peak, peak)


def test_dust_noise_depends_on_seed_and_particle_only():
    micrograph = MICROGRAPH.copy()
    micrograph[::7, ::7] = 500
    settings = ImageSettings(16, background_radius=4, white_dust=3)
    first, counts = _run(settings, micrograph=micrograph, seed=(1, 2))
    again, _ = _run(settings, micrograph=micrograph, seed=(1, 2))
    other, _ = _run(settings, micrograph=micrograph, seed=(1, 3))
    assert counts.n_dust_pixels > 0
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_a_constant_micrograph_gives_zeros_and_is_counted():
    settings = ImageSettings(16, 12, background_radius=4)
    images, counts = _run(settings, micrograph=np.full((120, 140), 3001.7, dtype=np.float32))
    np.testing.assert_allclose(images, 0, atol=1e-3)
    assert counts.n_constant == 7


def test_a_constant_region_beside_noise_gives_zeros():
    micrograph = MICROGRAPH.copy()
    x, y = np.trunc(COORDINATES[4]).astype(int)
    micrograph[max(y - 8, 0) : y + 8, max(x - 8, 0) : x + 8] = 55.5
    images, counts = _run(ImageSettings(16, 12, background_radius=4), micrograph=micrograph)
    assert counts.n_constant == 1
    np.testing.assert_allclose(images[4], 0, atol=1e-4)
