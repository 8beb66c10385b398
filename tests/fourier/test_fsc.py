import numpy as np
import pytest

from aurefine.fourier import (
    correct_fsc,
    first_shell_below,
    fourier_shell_correlation,
    fsc_of_maps,
    hermitian_weight,
    last_shell_above,
    lowpass_filter,
    phase_randomise,
    resolution_at,
    rfft_map,
    shell_index,
    solvent_corrected_fsc,
    sum_by_shell,
)
from aurefine.imaging import soft_sphere

N = 32


def _noise(seed, n=N):
    return np.random.default_rng(seed).normal(size=(n, n, n)).astype(np.float32)


def _half_maps():
    """The same smooth object with independent noise."""
    signal = lowpass_filter(_noise(9) * soft_sphere(N, 8, 3), 1.0, 4.0) * 4
    return signal + _noise(1), signal + _noise(2)


def test_fsc_of_a_map_with_itself_is_one():
    np.testing.assert_allclose(fsc_of_maps(_noise(1), _noise(1)), 1, atol=1e-6)


def test_fsc_does_not_depend_on_grey_scale():
    half1, half2 = _half_maps()
    np.testing.assert_allclose(
        fsc_of_maps(half1 * 1e-12, half2 * 3e5), fsc_of_maps(half1, half2), atol=1e-5
    )


def test_fsc_of_independent_noise_stays_inside_three_sigma():
    rng = np.random.default_rng(1)
    a, b = (np.fft.rfftn(rng.normal(size=(48,) * 3)) for _ in range(2))
    fsc = fourier_shell_correlation(a, b)
    n_voxels = np.bincount(shell_index(48).ravel(), hermitian_weight(48).ravel())[:25]
    # sigma is 1 / sqrt(n_voxels) for real maps; 22 shells leave room for one outlier
    assert np.mean(np.abs(fsc[3:]) < 3 / np.sqrt(n_voxels[3:])) > 0.95


def test_shells_without_power_are_zero():
    flat = np.ones((8, 8, 8))
    np.testing.assert_array_equal(fsc_of_maps(flat, flat), [1, 0, 0, 0, 0])


def test_fsc_refuses_odd_or_unequal_boxes():
    with pytest.raises(ValueError, match="even cubic"):
        fsc_of_maps(_noise(1, 7), _noise(2, 7))
    with pytest.raises(ValueError, match="even cubic"):
        fsc_of_maps(_noise(1, 6), _noise(2, 8))


def test_resolution_is_that_of_the_last_shell_before_the_first_crossing():
    fsc = np.array([1, 0.9, 0.5, 0.2, 0.1, 0.3])
    assert first_shell_below(fsc, 0.143) == 4
    assert last_shell_above(fsc, 0.143) == 3
    assert resolution_at(fsc, 0.143, 10, 1.5) == pytest.approx(5.0)


def test_resolution_of_curves_that_never_or_always_cross():
    assert resolution_at(np.ones(6), 0.143, 10, 1.5) == pytest.approx(3.0)
    assert resolution_at(np.array([1.0, 0.0, 0.0]), 0.143, 4, 1.0) == 999.0


def test_random_phases_keep_low_shells_and_the_power_of_the_others():
    values = _noise(4)
    randomised = phase_randomise(values, 6, np.random.default_rng(5))
    before, after = rfft_map(values), rfft_map(randomised)
    inside = shell_index(N) < 6
    np.testing.assert_allclose(after[inside], before[inside], atol=2e-3)
    power_ratio = sum_by_shell(np.abs(after) ** 2)[6:] / sum_by_shell(np.abs(before) ** 2)[6:]
    # only the planes kx = 0 and kx = n / 2 lose power, when Hermitian symmetry is restored
    np.testing.assert_allclose(power_ratio, 1, atol=0.1)
    assert randomised.dtype == np.float32


def test_random_phases_destroy_the_correlation_beyond_the_shell():
    values = _noise(4)
    fsc = fsc_of_maps(values, phase_randomise(values, 6, np.random.default_rng(5)))
    np.testing.assert_allclose(fsc[:5], 1, atol=1e-5)
    # about 3000 voxels and more per shell from shell 8 on: sigma < 0.04
    assert np.abs(fsc[8:]).max() < 0.15


def test_random_phases_depend_on_the_seed_only():
    first, again, other = (
        phase_randomise(_noise(4), 3, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_correction_starts_two_shells_beyond_the_randomisation():
    masked = np.array([1, 0.9, 0.8, 0.7, 0.4, 0.1])
    random = np.array([1, 0.9, 0.8, 0.5, 0.2, 0.2])
    np.testing.assert_allclose(
        correct_fsc(masked, random, 2), [1, 0.9, 0.8, 0.7, 0.25, -0.125], atol=1e-12
    )
    assert correct_fsc(masked, random, 2, clip_negative=True)[5] == 0


def test_solvent_correction_raises_the_fsc_of_a_small_object_and_not_that_of_noise():
    half1, half2 = _half_maps()
    mask = soft_sphere(N, 9, 4)
    plain = fsc_of_maps(half1, half2)
    corrected, first = solvent_corrected_fsc(half1, half2, mask, np.random.default_rng(3), N)
    assert first == first_shell_below(plain, 0.8)
    assert corrected[5] > plain[5] + 0.05
    # signal ends at shell 9; the mask alone correlates nothing after correction
    assert np.abs(corrected[11:]).max() < 0.2


def test_solvent_corrected_fsc_ends_at_the_current_image_size():
    half1, half2 = _half_maps()
    corrected, _ = solvent_corrected_fsc(
        half1, half2, soft_sphere(N, 9, 4), np.random.default_rng(3), 12
    )
    assert corrected[6] > 0
    np.testing.assert_array_equal(corrected[7:], 0)


def test_identical_half_maps_have_nothing_to_randomise():
    half1, _ = _half_maps()
    fsc, first = solvent_corrected_fsc(
        half1, half1, soft_sphere(N, 9, 4), np.random.default_rng(3), N
    )
    assert first is None
    np.testing.assert_allclose(fsc, 1, atol=1e-5)


def test_solvent_correction_refuses_a_mask_of_another_size():
    with pytest.raises(ValueError, match="differ in shape"):
        solvent_corrected_fsc(
            _noise(1), _noise(2), soft_sphere(16, 4, 2), np.random.default_rng(3), N
        )
