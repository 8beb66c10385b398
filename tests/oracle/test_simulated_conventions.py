"""Projections and CTF against images that another program simulated (shared data, d2-small)."""

import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler
from aurefine.io.mrc import read_map
from aurefine.io.particles import read_particles
from aurefine.optics.ctf import CtfParameters, ctf_values
from aurefine.optics.groups import optics_groups_from_table
from aurefine.simulate.atoms import map_from_atoms, read_atoms
from aurefine.simulate.projector import AtomProjector, image_frequencies

BOX, PIXEL_SIZE = 64, 3.54


@pytest.fixture(scope="module")
def atoms(shared_data):
    return read_atoms(shared_data / "models" / "bgal_d2.npz")


@pytest.fixture(scope="module")
def mean_correlation(shared_data, atoms):
    """Function: mean correlation of 60 images with their prediction, with a changed convention."""
    table = read_particles(shared_data / "d2-small" / "truth.star")
    groups = optics_groups_from_table(table.optics, "truth.star")
    stack, _ = read_map(shared_data / "d2-small" / "particles.mrcs")
    rows = table.particles.iloc[::10]
    ctf = CtfParameters.from_table(rows)
    projector = AtomProjector(atoms, BOX, PIXEL_SIZE, bfactor=170.0)
    sx, sy = image_frequencies(BOX, PIXEL_SIZE)
    to_centre = (-1.0) ** np.add.outer(np.arange(BOX), np.arange(BOX // 2 + 1))

    def measure(*, pose=lambda matrix: matrix, shift=1.0, contrast=1.0):
        found = []
        for position, row in enumerate(rows.to_dict("records")):
            matrix = matrix_from_euler(row["rlnAngleRot"], row["rlnAngleTilt"], row["rlnAnglePsi"])
            group = groups[row["rlnOpticsGroup"] - 1]
            values = ctf_values(group, ctf.take([position]), sx.ravel(), sy.ravel())
            phase = sx * row["rlnOriginXAngst"] + sy * row["rlnOriginYAngst"]
            transform = projector.project(pose(np.asarray(matrix))) * values.reshape(sx.shape)
            transform = transform * np.exp(2j * np.pi * shift * phase) * to_centre * contrast
            image = np.fft.irfft2(transform, s=(BOX, BOX))
            given = stack[int(row["rlnImageName"].split("@")[0]) - 1]
            found.append(np.corrcoef(image.ravel(), given.ravel())[0, 1])
        return float(np.mean(found))

    return measure


def test_predictions_correlate_as_the_noise_allows(mean_correlation):
    # SNR 0.06: the correlation with a perfect prediction is sqrt(0.06 / 1.06) = 0.24
    assert mean_correlation() > 0.21


@pytest.mark.parametrize(
    "wrong",
    [
        {"pose": lambda matrix: matrix.T},
        {"pose": lambda matrix: np.diag([1, 1, -1]) @ matrix @ np.diag([1, 1, -1])},  # other hand
        {"shift": -1.0},
        {"contrast": -1.0},
    ],
    ids=["inverse rotation", "mirror", "shift", "contrast"],
)
def test_flipped_conventions_correlate_less(mean_correlation, wrong):
    assert mean_correlation(**wrong) < 0.6 * mean_correlation()


def test_map_of_atoms_resembles_the_given_true_map(shared_data, atoms):
    given, _ = read_map(shared_data / "d2-small" / "true_map.mrc")
    # weights of elements and solvent differ between the programs
    density = map_from_atoms(atoms, BOX, PIXEL_SIZE, bfactor=170.0)
    shifted = np.roll(density, 1, axis=0)
    correlation = np.corrcoef(density.ravel(), given.ravel())[0, 1]
    assert correlation > 0.9
    assert correlation > np.corrcoef(shifted.ravel(), given.ravel())[0, 1]
