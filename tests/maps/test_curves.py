import numpy as np
import pytest

from aurefine.errors import ImageError
from aurefine.fourier import fsc_of_maps, lowpass_filter
from aurefine.imaging import soft_sphere
from aurefine.maps.curves import (
    final_shell,
    fsc_curves,
    particle_fraction_of_mask,
    particle_fraction_of_weight,
    particle_fsc,
    working_dtype,
)

N = 32
MASK = soft_sphere(N, 9, 4)


def _half_maps():
    rng = np.random.default_rng(4)
    signal, noise1, noise2 = rng.normal(size=(3, N, N, N))
    signal = lowpass_filter(signal * soft_sphere(N, 8, 3), 1.0, 4.0) * 4
    return signal + noise1, signal + noise2


def _curves(mask=MASK, **wishes):
    return fsc_curves(*_half_maps(), mask, rng=np.random.default_rng(1), **wishes)


def test_without_a_mask_the_corrected_curve_is_the_unmasked_one():
    curves = _curves(None)
    np.testing.assert_array_equal(curves.corrected, curves.unmasked)
    assert curves.masked is None
    assert curves.random is None


def test_curves_are_those_of_the_half_maps_and_masked_half_maps():
    half1, half2 = _half_maps()
    curves = _curves()
    np.testing.assert_allclose(curves.unmasked, fsc_of_maps(half1, half2, hermitian=False))
    np.testing.assert_allclose(
        curves.masked, fsc_of_maps(half1 * MASK, half2 * MASK, hermitian=False)
    )


def test_correction_starts_two_shells_after_the_first_random_one():
    curves = _curves()
    start = curves.first_random_shell + 2
    np.testing.assert_array_equal(curves.corrected[:start], curves.masked[:start])
    assert not np.allclose(curves.corrected[start:], curves.masked[start:])
    assert curves.unmasked[curves.first_random_shell] < 0.8


def test_the_first_random_shell_can_be_given():
    assert _curves(first_random_shell=7).first_random_shell == 7


def test_identical_maps_are_refused():
    half1, _ = _half_maps()
    with pytest.raises(ImageError, match="never falls below"):
        fsc_curves(half1, half1, MASK, rng=np.random.default_rng(1))


def test_uncorrected_curves_weight_by_the_unmasked_fsc():
    curves = _curves().without_correction()
    np.testing.assert_array_equal(curves.corrected, curves.unmasked)
    assert curves.masked is not None


def test_particle_fraction_is_one_for_a_mask_of_the_usual_share():
    mask = np.zeros(1000)
    mask[:476] = 1
    assert particle_fraction_of_mask(mask) == pytest.approx(1.0)


def test_particle_fraction_of_a_molecular_weight():
    assert particle_fraction_of_weight(100.0, 100.0) == pytest.approx(0.476 * 0.81e6 / 1e5)


def test_particle_fsc_is_one_where_the_fsc_is_one_and_higher_elsewhere():
    curve = particle_fsc(np.array([1.0, 0.5, 0.0]), 4.0)
    np.testing.assert_allclose(curve, [1.0, 0.8, 0.0])


def test_the_final_shell_is_the_last_before_the_first_crossing():
    assert final_shell(np.array([1.0, 0.5, 0.1, 0.5])) == 1


def test_large_boxes_are_handled_in_single_precision():
    assert working_dtype(384) is np.float64
    assert working_dtype(512) is np.float32
