import numpy as np
import pytest

from aurefine.optics.aberrations import (
    antisymmetric_phase,
    symmetric_phase,
    zernike,
    zernike_index,
)
from aurefine.optics.wavelength import electron_wavelength

X, Y = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 50))


def test_odd_numbering_runs_through_tilt_trefoil_and_coma():
    found = [zernike_index(i, is_odd=True) for i in range(7)]
    assert found == [(1, -1), (1, 1), (3, -3), (3, -1), (3, 1), (3, 3), (5, -5)]


def test_even_numbering_runs_through_piston_astigmatism_and_defocus():
    found = [zernike_index(i, is_odd=False) for i in range(10)]
    assert found[:4] == [(0, 0), (2, -2), (2, 0), (2, 2)]
    assert found[4:] == [(4, -4), (4, -2), (4, 0), (4, 2), (4, 4), (6, -6)]


@pytest.mark.parametrize(
    "n, m, by_hand",
    [
        (0, 0, np.ones_like(X)),
        (1, -1, Y),
        (1, 1, X),
        (2, -2, 2 * X * Y),
        (2, 0, 2 * (X**2 + Y**2) - 1),
        (2, 2, X**2 - Y**2),
        (3, -3, 3 * X**2 * Y - Y**3),
        (3, -1, (3 * (X**2 + Y**2) - 2) * Y),
        (3, 1, (3 * (X**2 + Y**2) - 2) * X),
        (3, 3, X**3 - 3 * X * Y**2),
        (4, 0, 6 * (X**2 + Y**2) ** 2 - 6 * (X**2 + Y**2) + 1),
        (4, 2, (4 * (X**2 + Y**2) - 3) * (X**2 - Y**2)),
    ],
)
def test_low_orders_are_those_written_by_hand(n, m, by_hand):
    np.testing.assert_allclose(zernike(n, m, X, Y), by_hand, atol=1e-14)


@pytest.mark.parametrize("n, m", [(2, 1), (1, 3), (3, -5)])
def test_impossible_orders_are_refused(n, m):
    with pytest.raises(ValueError, match="no Zernike polynomial"):
        zernike(n, m, X, Y)


def test_symmetric_phase_is_even_and_antisymmetric_phase_odd(optics_group):
    aberrated = optics_group(
        even_zernike=tuple(range(1, 10)), odd_zernike=tuple(range(1, 7)), beam_tilt_x=0.5
    )
    np.testing.assert_allclose(
        symmetric_phase(aberrated, -X, -Y), symmetric_phase(aberrated, X, Y), atol=1e-12
    )
    np.testing.assert_allclose(
        antisymmetric_phase(aberrated, -X, -Y), -antisymmetric_phase(aberrated, X, Y), atol=1e-12
    )


def test_beam_tilt_gives_a_cubic_phase_along_the_tilt(optics_group):
    # 1 mrad, 2.7 mm, 300 kV at 3 Å: 2 pi Cs lambda^2 s^3 tilt, all in Å and radians
    wavelength = electron_wavelength(300)
    expected = -2 * np.pi * 2.7e7 * wavelength**2 * (1 / 3) ** 3 * 1e-3
    found = antisymmetric_phase(optics_group(beam_tilt_x=1.0), [1 / 3, 0], [0, 1 / 3])
    np.testing.assert_allclose(found, [expected, 0])


def test_beam_tilt_and_zernike_coefficients_add(optics_group):
    zernike_only = antisymmetric_phase(optics_group(odd_zernike=(1.0, -2.0)), X, Y)
    tilt_only = antisymmetric_phase(optics_group(beam_tilt_y=0.3), X, Y)
    both = antisymmetric_phase(optics_group(odd_zernike=(1.0, -2.0), beam_tilt_y=0.3), X, Y)
    np.testing.assert_allclose(both, zernike_only + tilt_only)


def test_magnification_applies_to_aberrations(optics_group):
    matrix = np.array([[1.1, 0.2], [0.0, 0.9]])
    plain = antisymmetric_phase(
        optics_group(odd_zernike=(1.0, -2.0, 3.0)), 1.1 * X + 0.2 * Y, 0.9 * Y
    )
    magnified = optics_group(odd_zernike=(1.0, -2.0, 3.0), magnification=matrix)
    np.testing.assert_allclose(antisymmetric_phase(magnified, X, Y), plain)


def test_without_aberrations_the_phases_are_zero(optics_group):
    assert not symmetric_phase(optics_group(), X, Y).any()
    assert not antisymmetric_phase(optics_group(), X, Y).any()
