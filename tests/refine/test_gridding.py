import numpy as np
import pytest

from aurefine.refine.exact_volume import VolumeScales
from aurefine.refine.gridding import _Blob, density_compensated_transform
from aurefine.refine.sums import complete_sums, empty_sums

ONE_ZONE = VolumeScales(*(np.ones(n, np.float32) for n in (0, 1, 1)))


@pytest.fixture
def sums(pool):
    """Uneven weights that vary slowly, data equal to the weights: the transform of a point."""
    radius = 12
    out = empty_sums(
        radius=radius,
        scales=ONE_ZONE,
        padding=2.0,
        box=16,
        n_noise_groups=1,
        n_groups=1,
        n_directions=1,
    )
    complete_sums(out, pool)
    edge = len(out.volume)
    axis = np.arange(edge) - edge // 2
    x = np.arange(radius + 2)
    r2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + x**2
    weight = 50 / (1 + np.sqrt(r2)) * (1 + 0.3 * np.cos(axis[:, None, None] / 6))
    weight[r2 > radius**2] = 0
    out.volume[..., 0] = out.volume[..., 2] = weight
    return out


def test_compensated_weights_are_even(sums, pool):
    """The data of a point in the centre become a constant transform."""
    found = density_compensated_transform(sums, 32, np.zeros(9), 10, pool)
    k = np.fft.fftfreq(32, 1 / 32)
    r = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(17) ** 2)
    sign = np.rint((-1) ** (k[:, None, None] + k[:, None] + np.arange(17)))
    inner = r < 8
    values = (found * sign).real
    # away from the border, where the kernel averages over missing voxels
    assert values[inner].std() / values[inner].mean() < 0.03
    assert not found[r >= 12].any()


def test_more_iterations_compensate_better(sums, pool):
    """What becomes even are the weights as the kernel averages them."""
    k = np.fft.fftfreq(32, 1 / 32)
    inner = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(17) ** 2) < 8
    blob = _Blob(32, len(sums.volume))
    kernel = np.fft.fftshift(np.stack([blob.plane(z) for z in range(32)]))
    spread = []
    for n in (1, 10):
        found = np.fft.irfftn(density_compensated_transform(sums, 32, np.zeros(9), n, pool))
        values = np.abs(np.fft.rfftn(found * kernel))[inner]
        spread.append(values.std() / values.mean())
    assert spread[1] < 0.25 * spread[0]


def test_a_prior_damps_the_transform(sums, pool):
    plain = density_compensated_transform(sums, 32, np.zeros(9), 10, pool)
    prior = np.where(np.arange(9) < 3, 0, 1e4)
    damped = density_compensated_transform(sums, 32, prior, 10, pool)
    assert abs(damped[0, 0, 9]) < 0.01 * abs(plain[0, 0, 9])
