import numpy as np
import pytest

from aurefine.geometry.symmetry import point_group
from aurefine.kernels import reference, volume


def random_sums(radius, seed=0):
    rng = np.random.default_rng(seed)
    edge = 2 * (radius + 1) + 1
    sums = rng.normal(size=(edge, edge, radius + 2, 3)).astype(np.float32)
    sums[..., 2] = np.abs(sums[..., 2])
    centre = edge // 2
    plane = sums[:, :, 0]
    mirrored = plane[::-1, ::-1] * np.array([1, -1, 1], np.float32)
    sums[:, :, 0] = (plane + mirrored) / 2
    axis = np.arange(edge) - centre
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.arange(radius + 2) ** 2
    sums[r2 > (radius + 1) ** 2] = 0
    return sums


@pytest.mark.parametrize("name", ["C1", "C3", "C4", "D2", "T", "O"])
@pytest.mark.parametrize("planes", [[(0, 15)], [(7, 15), (0, 7)]])
def test_symmetrised_sums_equal_the_reference(name, planes):
    sums = random_sums(6)
    operators = point_group(name).matrices
    fast, slow = np.zeros((2, *sums.shape), np.float32)
    for first, last in planes:
        volume.symmetrise_planes(sums, operators, 6, first, last, 0, fast[..., :2])
        volume.symmetrise_planes(sums, operators, 6, first, last, 2, fast[..., 2:])
    reference.symmetrise_planes(sums, operators, 6, 0, 15, 0, slow)
    assert np.abs(fast - slow).max() < 1e-5 * len(operators)


def test_symmetrising_a_symmetric_volume_multiplies_it_by_the_order():
    """Operators of D2 and O are permutations of the axes: no interpolation error."""
    for name in ("D2", "O"):
        operators = point_group(name).matrices
        symmetric, again = np.zeros((2, *random_sums(6).shape), np.float32)
        volume.symmetrise_planes(random_sums(6), operators, 6, 0, 15, 0, symmetric)
        volume.symmetrise_planes(symmetric, operators, 6, 0, 15, 0, again)
        # voxels outside the radius are copied, not summed
        axis = np.arange(15) - 7
        r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.arange(8) ** 2
        inside = r2 <= 36
        assert again[inside] == pytest.approx(
            len(operators) * symmetric[inside], rel=1e-4, abs=1e-3
        )


@pytest.mark.parametrize("planes", [[(0, 8)], [(0, 3), (3, 7), (7, 8)]])
def test_mirror_images_equal_the_reference(planes):
    fast, slow = (random_sums(6).astype(dtype) for dtype in (np.float32, np.float64))
    fast[..., 0, :] *= np.linspace(1, 2, 15)[:, None, None]  # no longer Hermitian
    fast[7, 7, 0] = 1  # which has no partner
    slow[:] = fast
    for first, last in planes:
        volume.add_mirror_images(fast, first, last)
        reference.add_mirror_images(slow, first, last)
    assert np.abs(fast - slow).max() < 1e-5
    plane = fast[:, :, 0]
    opposite = plane[::-1, ::-1] * np.array([1, -1, 1], np.float32)
    different = np.any(plane != opposite, axis=2)
    assert np.argwhere(different).tolist() == [[7, 7]]


@pytest.mark.parametrize("padding", [1.0, 2.0, 1.5])
@pytest.mark.parametrize("n_shells", [3, 9])
@pytest.mark.parametrize("planes", [(0, 19), (4, 9)])
def test_shell_sums_equal_the_reference(padding, n_shells, planes):
    sums = random_sums(8)
    limits = np.linspace(0, 2, n_shells)
    fast = volume.shell_sums(sums, padding, 8, n_shells, limits, *planes)
    slow = reference.shell_sums(sums, padding, 8, n_shells, limits, *planes)
    assert fast == pytest.approx(slow, rel=1e-10)


@pytest.mark.parametrize("padding", [1.0, 2.0, 1.5])
@pytest.mark.parametrize("n_rings", [2, 8])
@pytest.mark.parametrize("planes", [(0, 19), (11, 12)])
def test_floor_sums_equal_the_reference(padding, n_rings, planes):
    prior = np.linspace(0, 3, 5)
    found = volume.floor_sums(random_sums(8), padding, 8, prior, n_rings, *planes)
    expected = reference.floor_sums(random_sums(8), padding, 8, prior, n_rings, *planes)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("bounds", [[0, 2, 4, 7, 9, 11, 13], [3, 4, 6, 8, 9, 10, 12]])
@pytest.mark.parametrize("r_max", [2, 3, 9])
@pytest.mark.parametrize("planes", [[(0, 6)], [(2, 6), (0, 2)]])
def test_unpadded_averages_equal_the_reference(bounds, r_max, planes):
    sums = random_sums(5)
    sums[:2, ..., 2] = 0  # no data, no average
    bounds, bounds_x = np.array(bounds), np.array([0, 1, 3, 4])
    fast, slow = np.zeros((2, 6, 6, 3), np.complex64)
    for first, last in planes:
        volume.average_unpadded(sums, bounds, bounds_x, -3, r_max, first, last, fast)
    reference.average_unpadded(sums, bounds, bounds_x, -3, r_max, 0, 6, slow)
    assert np.abs(fast - slow).max() < 1e-5
    assert np.count_nonzero(fast) > (10 if r_max == 2 else 25)


@pytest.mark.parametrize("size, padding", [(10, 1.0), (20, 2.0), (16, 1.0), (24, 1.5)])
@pytest.mark.parametrize("planes", [[(0, 19)], [(9, 19), (0, 3), (3, 9)]])
def test_wiener_transform_equals_the_reference(size, padding, planes):
    sums = random_sums(8)
    sums[4, :, 3, 2] = 0  # voxels without weight
    arguments = sums, padding, 8, np.linspace(0, 1, 4), np.array([0.5, 0.0, 0.1])
    n_x = min(size // 2 + 1, 9)  # columns within the radius are enough
    fast, slow = np.zeros((2, 19, size, n_x), np.complex64)
    for first, last in planes:
        volume.wiener_transform(*arguments, first, last, fast[first:last])
    reference.wiener_transform(*arguments, 0, 19, slow)
    assert np.abs(fast - slow).max() < 1e-4


def test_voxels_without_weight_become_zero():
    sums = random_sums(4)
    sums[..., 2] = 0
    out = np.zeros((11, 12, 7), np.complex64)
    volume.wiener_transform(sums, 1.0, 4, np.zeros(1), np.zeros(1), 0, 11, out)
    assert not out.any()


@pytest.mark.parametrize("n", [8, 14, 30])
@pytest.mark.parametrize("radius, inner_radius", [(6.0, -1.0), (5.5, 2.0), (4.0, 0.0)])
def test_cropped_transform_equals_the_reference(n, radius, inner_radius):
    rng = np.random.default_rng(1)
    shape = n, n, n // 2 + 1
    transform = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    fast, slow = np.zeros((2, 15, 15, 8, 2), np.float32)
    for first, last in [(5, 15), (0, 5)]:
        volume.crop_transform(transform, radius, inner_radius, 0.25, first, last, fast)
    reference.crop_transform(transform, radius, inner_radius, 0.25, 0, 15, slow)
    assert np.abs(fast - slow).max() < 1e-6
    x, y, z = 1, -3, 2  # inside
    sign = (-1) ** (x + y + z)
    assert fast[7 + z, 7 + y, x] @ [1, 1j] == pytest.approx(0.25 * sign * transform[z, y, x])


def test_wiener_filter_undoes_cropping():
    """Unit weights and no prior: the transform of a centred map comes back."""
    rng = np.random.default_rng(2)
    n, radius = 16, 6
    transform = np.fft.rfftn(rng.normal(size=(n, n, n))).astype(np.complex64)
    edge = 2 * (radius + 1) + 1
    values = np.zeros((edge, edge, radius + 2, 2), np.float32)
    volume.crop_transform(transform, float(radius), -1.0, 1.0, 0, edge, values)
    sums = np.concatenate([values, np.ones((*values.shape[:3], 1), np.float32)], axis=-1)
    planes = np.zeros((edge, n, n // 2 + 1), np.complex64)
    volume.wiener_transform(sums, 1.0, radius, np.zeros(1), np.zeros(1), 0, edge, planes)
    out = np.zeros_like(transform)
    out[np.arange(edge) - edge // 2] = planes
    k = np.fft.fftfreq(n, 1 / n)
    r2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + np.arange(n // 2 + 1) ** 2
    inside = r2 < radius**2
    assert np.allclose(out[inside], transform[inside], atol=1e-5)
    assert not out[~inside].any()
