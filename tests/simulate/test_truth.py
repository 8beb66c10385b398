import dataclasses

import numpy as np
import pytest

from aurefine.geometry.euler import direction_from_angles
from aurefine.simulate.settings import SimulationSettings
from aurefine.simulate.truth import draw_truth, random_stream

SETTINGS = SimulationSettings(n_particles=2000, particle_diameter=100.0, n_micrographs=20)


@pytest.fixture(scope="module")
def truth():
    return draw_truth(SETTINGS, (0.0, 90.0))


def test_uniform_views_have_no_mean_and_equal_second_moments(truth):
    directions = direction_from_angles(truth.rot, truth.tilt)
    # sd of a component is 1/sqrt(3), of its square sqrt(4/45); 4 sigma for 2000 particles
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=4 * np.sqrt(1 / 3 / 2000))
    np.testing.assert_allclose((directions**2).mean(axis=0), 1 / 3, atol=4 * np.sqrt(4 / 45 / 2000))


def test_preferred_views_gather_about_their_axes():
    settings = dataclasses.replace(
        SETTINGS,
        view_axes=((0.0, 0.0, 2.0), (1.0, 0.0, 0.0)),
        view_fraction=1.0,
        view_concentration=50.0,
    )
    truth = draw_truth(settings)
    directions = direction_from_angles(truth.rot, truth.tilt)
    nearest = np.maximum(directions[:, 2], directions[:, 0])
    # the mean cosine about an axis is coth(kappa) - 1/kappa = 0.98
    assert nearest.mean() == pytest.approx(0.98, abs=0.003)
    assert np.mean(directions[:, 2] > directions[:, 0]) == pytest.approx(0.5, abs=0.05)


def test_the_first_particles_do_not_depend_on_how_many_there_are(truth):
    few = draw_truth(dataclasses.replace(SETTINGS, n_particles=20), (0.0, 90.0))
    np.testing.assert_array_equal(few.rot, truth.rot[:20])
    np.testing.assert_array_equal(few.offset_x, truth.offset_x[:20])


def test_another_seed_gives_other_poses(truth):
    other = draw_truth(dataclasses.replace(SETTINGS, seed=2), (0.0, 90.0))
    assert not np.any(other.psi == truth.psi)


def test_streams_of_one_seed_are_different():
    numbers = {
        random_stream(7, purpose, index).random()
        for purpose in ("micrograph", "pose", "noise")
        for index in range(5)
    }
    assert len(numbers) == 15


def test_offsets_follow_their_distribution(truth):
    assert truth.offset_x.std() == pytest.approx(8.0, rel=0.08)  # 4 sigma is 6 %
    uniform = draw_truth(dataclasses.replace(SETTINGS, uniform_shifts=True, shift=5.0))
    assert np.abs(uniform.offset_y).max() <= 5.0
    assert uniform.offset_y.std() == pytest.approx(5.0 / np.sqrt(3), rel=0.05)


def test_particles_of_a_micrograph_share_its_astigmatism_and_group(truth):
    first = truth.micrograph == 0
    assert first.sum() == 100
    assert len(np.unique(truth.defocus_angle[first])) == 1
    np.testing.assert_allclose(np.ptp((truth.defocus_u - truth.defocus_v)[first]), 0, atol=1e-8)
    assert np.ptp(truth.defocus_u[first]) > 0
    np.testing.assert_array_equal(truth.phase_shift, np.where(truth.optics_group == 1, 90.0, 0.0))
    np.testing.assert_array_equal(truth.optics_group, truth.micrograph % 2)


@pytest.mark.parametrize(
    "change, part",
    [
        ({"n_particles": 0}, "at least one particle"),
        ({"particle_diameter": 0.0}, "diameter must be positive"),
        ({"defocus_min": 2e4, "defocus_max": 1e4}, "before it begins"),
        ({"structural_noise": 1.5}, "structural_noise must be between"),
        ({"view_axes": ((0.0, 0.0, 0.0),)}, "no direction"),
    ],
)
def test_impossible_settings_are_refused(change, part):
    with pytest.raises(ValueError, match=part):
        dataclasses.replace(SETTINGS, **change)
