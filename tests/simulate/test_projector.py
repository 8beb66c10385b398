import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler
from aurefine.simulate.atoms import AtomSet, map_from_atoms, scattering_factor
from aurefine.simulate.projector import (
    AtomProjector,
    MapProjector,
    MapTransform,
    image_frequencies,
)

POSE = np.asarray(matrix_from_euler(40.0, 65.0, -110.0), dtype=np.float64)
STRETCH = np.array([[1.02, 0.01], [-0.005, 0.99]])


@pytest.fixture(scope="module")
def atoms():
    rng = np.random.default_rng(1)
    return AtomSet.from_arrays(
        rng.normal(size=(40, 3)) * 15, rng.choice(["C", "N", "O", "S"], 40).tolist()
    )


def direct_projection(atoms, box, pixel_size, matrix, *, bfactor=0.0, stretch=None):
    """The definition: every atom's phase at every frequency."""
    m = np.eye(2) if stretch is None else stretch
    sx, sy = image_frequencies(box, pixel_size)
    u, v = m[0, 0] * sx + m[0, 1] * sy, m[1, 0] * sx + m[1, 1] * sy
    total = np.zeros(sx.shape, dtype=np.complex128)
    for number, element in enumerate(atoms.elements):
        begin, end = atoms.first_of_element[number : number + 2]
        place = atoms.coordinates[begin:end] @ matrix.T
        phase = np.exp(-2j * np.pi * (u[..., None] * place[:, 0] + v[..., None] * place[:, 1]))
        total += scattering_factor(element, u**2 + v**2) * phase.sum(axis=-1)
    total *= np.exp(-bfactor / 4 * (u**2 + v**2))
    total[box // 2] = 0
    total[:, box // 2] = 0
    return total


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.sqrt(np.mean(np.abs(expected) ** 2))


@pytest.mark.parametrize("stretch", [None, STRETCH])
@pytest.mark.parametrize("box, pixel_size", [(48, 2.7), (50, 1.9)])
def test_atom_projection_is_the_analytic_transform(atoms, box, pixel_size, stretch):
    found = AtomProjector(atoms, box, pixel_size, bfactor=30.0, magnification=stretch).project(POSE)
    expected = direct_projection(atoms, box, pixel_size, POSE, bfactor=30.0, stretch=stretch)
    assert relative_error(found, expected) < 1e-4  # kernel width 6


@pytest.mark.parametrize("stretch", [None, STRETCH])
@pytest.mark.parametrize("box, pixel_size", [(48, 2.7), (40, 4.0), (64, 2.0)])
def test_map_projection_agrees_with_atoms(atoms, box, pixel_size, stretch):
    wide = map_from_atoms(atoms, 64, 2.7, bfactor=400.0)
    projector = MapProjector(MapTransform(wide, 2.7), box, pixel_size, magnification=stretch)
    expected = direct_projection(atoms, box, pixel_size, POSE, bfactor=400.0, stretch=stretch)
    # The map knows nothing beyond its Nyquist sphere, and is cut off sharply at it
    sx, sy = image_frequencies(box, pixel_size)
    inside = np.hypot(sx, sy) < 0.85 * 0.5 / 2.7
    assert relative_error(projector.project(POSE)[inside], expected[inside]) < 3e-3


def test_map_projection_is_the_transform_of_the_voxels():
    rng = np.random.default_rng(2)
    n, box = 16, 16
    density = rng.normal(size=(n, n, n)).astype(np.float32)
    found = MapProjector(MapTransform(density, 1.0), box, 1.0).project(POSE)
    sx, sy = image_frequencies(box, 1.0)
    place = np.arange(n) - n // 2
    inside = (np.hypot(sx, sy) <= 0.5) & (np.arange(box) != box // 2)[:, None] & (sx < 0.5)
    for row, column in np.argwhere(inside):
        q = POSE[:2].T @ (sx[row, column], sy[row, column])
        wave = [np.exp(-2j * np.pi * place * part) for part in q]
        expected = np.einsum("zyx,z,y,x", density, wave[2], wave[1], wave[0])
        assert abs(found[row, column] - expected) < 1e-3 * np.sqrt(n**3)


def test_projection_along_z_is_the_sum_of_the_map(atoms):
    box, pixel_size = 40, 2.5
    transform = AtomProjector(atoms, box, pixel_size, bfactor=80.0).project(np.eye(3))
    sign = (-1.0) ** np.add.outer(np.arange(box), np.arange(box // 2 + 1))
    image = np.fft.irfft2(transform * sign, s=(box, box))
    expected = map_from_atoms(atoms, box, pixel_size, bfactor=80.0).sum(axis=0)
    np.testing.assert_allclose(image, expected, atol=1e-4 * expected.max())


def test_a_map_must_be_an_even_cube():
    with pytest.raises(ValueError, match="even size"):
        MapTransform(np.zeros((5, 5, 5), dtype=np.float32), 1.0)
