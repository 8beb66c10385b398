"""FSC in cones: isotropic maps, and maps that lack detail along one direction."""

import numpy as np
import pytest

from aurefine.fourier import fsc_of_maps
from aurefine.validate.directional_fsc import directional_fsc

N, PIXEL = 48, 2.0


def half_maps(falloff):
    """Equal signal and independent noise; their ratio is exp(-falloff(kx, ky, kz))."""
    rng = np.random.default_rng(4)
    k = np.fft.fftfreq(N, 1 / N)
    z, y, x = np.meshgrid(k, k, k[: N // 2 + 1], indexing="ij")
    gain = np.exp(-0.5 * falloff(x, y, z))
    signal = np.fft.rfftn(rng.normal(size=(N,) * 3)) * gain * 3
    noise = [np.fft.rfftn(rng.normal(size=(N,) * 3)) for _ in range(2)]
    return [np.fft.irfftn(signal + n, s=(N,) * 3, axes=(0, 1, 2)) for n in noise]


def test_isotropic_maps_have_one_resolution():
    first, second = half_maps(lambda x, y, z: (x**2 + y**2 + z**2) / 12**2 * 3)
    found = directional_fsc(first, second, PIXEL)
    assert found.sphericity > 0.9  # noise makes each cone cross elsewhere
    assert found.area_ratio > 0.75
    # FSC = S / (S + 1) is 0.143 where S = 9 exp(-3 k² / 144) is 1/6: at k = 13.8
    assert np.median(found.resolution) == pytest.approx(N * PIXEL / 13.8, rel=0.1)


def test_all_cones_together_are_the_fsc():
    first, second = half_maps(lambda x, y, z: (x**2 + y**2 + z**2) / 12**2 * 3)
    found = directional_fsc(first, second, PIXEL, half_angle=90.0)
    whole = fsc_of_maps(first, second)
    assert np.allclose(found.total[1:], whole[1:], atol=1e-6)
    assert np.allclose(found.fsc[:, 1:], whole[None, 1:], atol=1e-6)


def test_lack_of_detail_along_z_is_found_along_z():
    first, second = half_maps(lambda x, y, z: (x**2 + y**2 + 9 * z**2) / 14**2 * 3)
    found = directional_fsc(first, second, PIXEL)
    worst = found.directions[np.argmax(found.resolution)]
    assert abs(worst[2]) > 0.9
    along = np.abs(found.directions[:, 2])
    ratio = found.resolution[along > 0.95].mean() / found.resolution[along < 0.2].mean()
    assert 1.8 < ratio < 3.5  # 3 in cones without a width
    assert found.sphericity < 0.88
    assert found.area_ratio < 0.6


def test_maps_of_different_boxes_are_refused():
    with pytest.raises(ValueError, match="equal even cubic"):
        directional_fsc(np.zeros((8,) * 3), np.zeros((10,) * 3), 1.0)
