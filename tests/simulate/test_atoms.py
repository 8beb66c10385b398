import numpy as np
import pytest

from aurefine.errors import AurefineError
from aurefine.geometry.symmetry import point_group
from aurefine.simulate.atoms import AtomSet, map_from_atoms, read_atoms, scattering_factor


@pytest.fixture
def few_atoms():
    rng = np.random.default_rng(4)
    return AtomSet.from_arrays(
        rng.normal(size=(30, 3)) * 8, rng.choice(["C", "N", "O", "S"], 30).tolist()
    )


def test_scattering_at_zero_frequency_matches_the_published_sum():
    # sums of the five amplitudes of Peng et al. (1996)
    values = [float(scattering_factor(e, np.zeros(1))[0]) for e in ("C", "N", "O", "S")]
    np.testing.assert_allclose(values, [2.5088, 2.2135, 1.9834, 5.1604], atol=1e-9)


def test_map_equals_the_direct_sum_of_gaussians(few_atoms):
    box, pixel_size, bfactor = 24, 2.5, 700.0  # so blurred that sampling does not alias
    density = map_from_atoms(few_atoms, box, pixel_size, bfactor=bfactor)

    axis = (np.arange(box) - box // 2) * pixel_size
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    s2 = np.linspace(0, 0.02, 20)
    expected = np.zeros((box,) * 3)
    for number, element in enumerate(few_atoms.elements):
        begin, end = few_atoms.first_of_element[number : number + 2]
        # one Gaussian stands for the narrow atom: good to the curvature of its factor
        factor = scattering_factor(element, s2)
        width = bfactor - 4 * np.polyfit(s2, np.log(factor), 1)[0]
        for px, py, pz in few_atoms.coordinates[begin:end]:
            r2 = (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2
            expected += (
                factor[0]
                * (4 * np.pi / width) ** 1.5
                * np.exp(-4 * np.pi**2 * r2 / width)
                * pixel_size**3
            )
    assert np.corrcoef(density.ravel(), expected.ravel())[0, 1] > 0.9999
    np.testing.assert_allclose(density.max(), expected.max(), rtol=0.01)


def test_sum_of_a_map_is_the_scattering_at_zero_frequency(few_atoms):
    total = sum(
        scattering_factor(element, np.zeros(1))[0] * count
        for element, count in zip(
            few_atoms.elements, np.diff(few_atoms.first_of_element), strict=True
        )
    )
    density = map_from_atoms(few_atoms, 32, 2.0)
    np.testing.assert_allclose(density.sum(dtype=np.float64), total, rtol=1e-4)


def test_an_atom_lies_at_its_place_in_zyx_order():
    atom = AtomSet.from_arrays([[4.0, -6.0, 10.0]], ["C"])
    density = map_from_atoms(atom, 16, 2.0, bfactor=50.0)
    assert np.unravel_index(density.argmax(), density.shape) == (13, 5, 10)


@pytest.mark.parametrize("name", ["bgal_d2", "apoferritin_o", "stnv_i", "synthetic_c4"])
def test_models_are_symmetric_about_the_axes_of_their_group(shared_data, name):
    atoms = read_atoms(shared_data / "models" / f"{name}.npz")
    begin, end = atoms.first_of_element[-2:]  # sulphurs: few, so that all pairs fit
    sulphur = atoms.coordinates[begin:end]
    for operator in point_group(atoms.symmetry).matrices[:12]:
        moved = sulphur @ operator.T
        nearest = np.abs(moved[:, None] - sulphur).max(axis=2).min(axis=1)
        assert nearest.max() < 1e-3


def test_symmetric_atoms_give_a_symmetric_map():
    atoms = AtomSet.from_arrays(
        [[12.0, 3.0, 5.0], [4.0, 9.0, -7.0]], ["C", "S"], symmetry="C4", expand=True
    )
    density = map_from_atoms(atoms, 32, 2.0, bfactor=60.0)[1:, 1:, 1:]  # centred on (15, 15, 15)
    np.testing.assert_allclose(np.rot90(density, axes=(1, 2)), density, atol=1e-5)


def test_pdb_atoms_are_read_without_waters_and_centred(tmp_path):
    row = "ATOM  {:5d}  {:<3s} {:3s} A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00          {:>2s}\n"
    text = row.format(1, "CA", "ALA", 1, 10.0, 0.0, 2.0, "C")
    text += row.format(2, "N", "ALA", 1, 14.0, 2.0, 2.0, "N")
    text += row.format(3, "O", "HOH", 2, 90.0, 2.0, 2.0, "O").replace("ATOM  ", "HETATM")
    (tmp_path / "a.pdb").write_text(text + "ENDMDL\n" + row.format(4, "S", "CYS", 1, 1, 1, 1, "S"))
    atoms = read_atoms(tmp_path / "a.pdb")
    assert atoms.elements == ("C", "N")
    np.testing.assert_allclose(atoms.coordinates, [[-2, -1, 0], [2, 1, 0]])


@pytest.mark.parametrize(
    "arrays, part",
    [
        ({"coords": np.zeros((2, 3))}, "array 'element"),
        ({"coords": np.zeros((2, 3)), "element": np.array([0, 9])}, "codes must be 0-3"),
        ({"coords": np.zeros((2, 3)), "elements": np.array(["C", "U"])}, "element U"),
        ({"coords": np.full((1, 3), np.nan), "elements": np.array(["C"])}, "not a finite number"),
        ({"coords": np.zeros((2, 2)), "elements": np.array(["C", "C"])}, r"shape \(n_atoms, 3\)"),
    ],
)
def test_bad_atom_files_are_explained(tmp_path, arrays, part):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(AurefineError, match=part) as caught:
        read_atoms(path)
    assert "bad.npz" in str(caught.value)


def test_a_file_that_is_not_npz_is_explained(tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("no")
    with pytest.raises(AurefineError, match="can not be used as an atom set"):
        read_atoms(path)
