import numpy as np
import pytest

from aurefine.errors import ImageError
from aurefine.fourier import apply_bfactor, irfft_map, lowpass_filter, rfft_map, shell_index
from aurefine.maps.sharpening import Mtf, SharpeningPlan, fit_guinier, sharpen

N, PIXEL = 24, 1.5


def _map():
    return np.random.default_rng(1).normal(size=(N, N, N))


def test_doing_nothing_gives_the_map_back():
    result = sharpen(_map(), PIXEL, SharpeningPlan())
    np.testing.assert_allclose(result.map, _map(), atol=1e-12)
    assert list(result.guinier) == ["original"]


def test_a_given_bfactor_is_applied():
    result = sharpen(_map(), PIXEL, SharpeningPlan(bfactor=-40.0))
    np.testing.assert_allclose(result.map, apply_bfactor(_map(), PIXEL, -40.0), atol=1e-12)
    assert result.bfactor == -40.0


def test_the_fitted_bfactor_undoes_the_fall_off_of_a_map():
    flat = irfft_map(np.ones((N, N, N // 2 + 1), dtype=complex), N)
    blurred = apply_bfactor(flat, PIXEL, 90.0)
    plan = SharpeningPlan(fit_bfactor=True, fit_low=20.0, fit_high=3.1)
    result = sharpen(blurred, PIXEL, plan)
    # a shell holds a range of radii: its mean amplitude is not exactly that of its centre
    assert result.bfactor == pytest.approx(-90.0, rel=0.02)
    assert result.fit.correlation == pytest.approx(1.0, abs=1e-3)
    sharpened = result.guinier["sharpened"]
    assert np.ptp(sharpened[2:12]) < 0.02


def test_the_steps_leave_their_guinier_curves_in_order():
    plan = SharpeningPlan(
        mtf=Mtf(np.linspace(0, 0.5, 11), np.linspace(1, 0.4, 11)),
        weights=np.linspace(1, 0.1, N // 2 + 1),
        bfactor=-10.0,
    )
    result = sharpen(_map(), PIXEL, plan)
    assert list(result.guinier) == ["original", "mtf", "weighted", "sharpened"]
    assert all(curve.shape == (N // 2 + 1,) for curve in result.guinier.values())


def test_fsc_weights_end_at_the_first_shell_without_correlation():
    weights = np.full(N // 2 + 1, 0.6)
    weights[5] = 0.0
    result = sharpen(_map(), PIXEL, SharpeningPlan(weights=weights))
    before, after = rfft_map(_map()), rfft_map(result.map)
    shell = shell_index(N)
    np.testing.assert_allclose(after[shell == 3], before[shell == 3] * np.sqrt(1.2 / 1.6))
    np.testing.assert_allclose(after[shell >= 5], 0, atol=1e-9)
    np.testing.assert_array_equal(result.guinier["weighted"][5:] < -30, True)


def test_the_lowpass_comes_last():
    result = sharpen(_map(), PIXEL, SharpeningPlan(bfactor=-40.0, lowpass=6.0))
    expected = lowpass_filter(apply_bfactor(_map(), PIXEL, -40.0), PIXEL, 6.0, whole_shell=True)
    np.testing.assert_allclose(result.map, expected, atol=1e-12)
    assert result.guinier["sharpened"][-1] > -20


def test_an_mtf_is_divided_out_inside_nyquist():
    mtf = Mtf(np.linspace(0, 0.5, 51), np.linspace(1, 0.5, 51))
    result = sharpen(_map(), PIXEL, SharpeningPlan(mtf=mtf))
    ratio = (rfft_map(result.map) / rfft_map(_map())).real
    assert ratio[0, 0, 6] == pytest.approx(1 / mtf.at(np.array([6 / (N * PIXEL)]))[0])
    assert ratio[12, 12, 12] == pytest.approx(1.0)


def test_mtf_ends_are_constant():
    mtf = Mtf(np.linspace(0, 0.5, 6), np.array([1.0, 0.9, 0.8, 0.6, 0.5, 0.4]))
    np.testing.assert_allclose(mtf.at(np.array([0.0, 0.05, 0.7])), [1.0, 1.0, 0.4])


def test_an_mtf_of_zero_is_an_error():
    mtf = Mtf(np.linspace(0, 0.5, 6), np.zeros(6))
    with pytest.raises(ImageError, match="MTF falls to zero"):
        sharpen(_map(), PIXEL, SharpeningPlan(mtf=mtf))


def test_a_fit_without_shells_names_the_limits():
    with pytest.raises(ImageError, match="between 10 and 9 Å"):
        fit_guinier(np.zeros(N // 2 + 1), N, PIXEL, 10.0, 9.0)


def test_shells_without_signal_are_not_fitted():
    logs = -(np.arange(N // 2 + 1) ** 2.0)
    holes = logs.copy()
    holes[6] = -99.0
    full, partial = (fit_guinier(y, N, PIXEL, 100.0, 0.0) for y in (logs, holes))
    assert partial.slope == pytest.approx(full.slope)


def test_single_precision_is_kept():
    result = sharpen(_map().astype(np.float32), PIXEL, SharpeningPlan(bfactor=-5.0))
    assert result.map.dtype == np.float32
