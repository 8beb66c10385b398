import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.geometry.directions import pixel_angles
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.local import neighbourhoods
from aurefine.geometry.sampling import coarse_rotations, perturbation_rotation
from aurefine.kernels import reference
from aurefine.kernels.local import fill_local_orientations

ORDER = 3
N_PSI = 48
STEP = 360 / N_PSI


def search(kernel, angles, *, sigma, sigma_psi=None, perturbation=0.0, n_psi=N_PSI, order=ORDER):
    """Orientations of each particle, sorted: (orientation, log prior, rotations)."""
    sigma_psi = sigma if sigma_psi is None else sigma_psi
    poses = matrix_from_euler(*np.transpose(angles))
    first, pixel, angle = neighbourhoods(poses[:, 2], order, 3 * sigma)
    rot, tilt = pixel_angles(pixel, order)
    start = first * n_psi
    n_found = np.zeros(len(poses), np.int64)
    orientation = np.zeros(start[-1], np.int64)
    log_prior = np.zeros(start[-1], np.float32)
    rotations = np.zeros((start[-1], 3, 3), np.float32)
    kernel(
        poses,
        first,
        np.deg2rad(rot),
        np.deg2rad(tilt),
        pixel,
        np.deg2rad(angle),
        n_psi,
        np.deg2rad(sigma),
        np.deg2rad(sigma_psi),
        perturbation_rotation(perturbation, STEP),
        start,
        n_found,
        orientation,
        log_prior,
        rotations,
    )
    found = []
    for begin, n in zip(start, n_found, strict=False):
        order_ = begin + np.argsort(orientation[begin : begin + n])
        found.append((orientation[order_], log_prior[order_], rotations[order_]))
    return found


def rotation_angle(a, b):
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


POSES = [
    [(0.0, 0.0, 0.0)],
    [(10.0, 180.0, 77.0)],
    [(123.4, 0.3, -57.0), (-179.9, 90.0, 180.0), (12.0, 101.0, -3.0)],
]


@pytest.mark.parametrize("angles", POSES)
@pytest.mark.parametrize("sigma", [0.35 * STEP, 0.97 * STEP, 1.7 * STEP])
@pytest.mark.parametrize("perturbation", [0.0, 0.37])
def test_local_orientations_equal_the_reference(angles, sigma, perturbation):
    fast = search(fill_local_orientations, angles, sigma=sigma, perturbation=perturbation)
    slow = search(reference.fill_local_orientations, angles, sigma=sigma, perturbation=perturbation)
    for found, expected in zip(fast, slow, strict=True):
        assert np.array_equal(found[0], expected[0])
        assert np.allclose(found[1], expected[1], atol=1e-5)
        assert np.allclose(found[2], expected[2], atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    angles=st.tuples(st.floats(-180, 180), st.floats(0, 180), st.floats(-180, 180)),
    perturbation=st.floats(-0.5, 0.5),
)
def test_local_orientations_equal_a_search_of_all_rotations(angles, perturbation):
    """Brute force: at each near direction, psi counts from the nearest full rotation."""
    sigma = 0.97 * STEP
    ((found, _, _),) = search(
        fill_local_orientations, [angles], sigma=sigma, perturbation=perturbation
    )
    pose = matrix_from_euler(*angles)
    pixels = np.arange(12 * 4**ORDER)
    directions = matrix_from_euler(*pixel_angles(pixels, ORDER), 0.0)[:, 2]
    near = pixels[np.rad2deg(np.arccos(np.clip(directions @ pose[2], -1, 1))) < 3 * sigma]
    fine = np.arange(0, 360, 0.05)
    expected, undecided = [], []
    for pixel in near:
        candidates = coarse_rotations(np.full(len(fine), pixel), fine, ORDER, np.eye(3))
        centre = fine[rotation_angle(candidates, pose).argmin()]
        difference = np.abs((np.arange(N_PSI) * STEP - centre + 180) % 360 - 180)
        expected.extend(pixel * N_PSI + np.flatnonzero(difference < 3 * sigma))
        undecided.extend(pixel * N_PSI + np.flatnonzero(np.abs(difference - 3 * sigma) < 0.06))
    # the brute-force centre is known to 0.05 degrees
    assert set(found) ^ set(expected) <= set(undecided)


@pytest.mark.parametrize("angles", POSES)
def test_priors_have_mean_one(angles):
    for _, log_prior, _ in search(fill_local_orientations, angles, sigma=STEP):
        assert np.exp(log_prior.astype(float)).mean() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("angles", [(40.0, 0.02, -31.0), (-110.0, 179.99, 5.0)])
def test_all_orientations_near_a_pole_are_near_the_pose(angles):
    """Rot and psi turn against each other there; only the full rotation counts."""
    ((_, _, rotations),) = search(fill_local_orientations, [angles], sigma=STEP)
    assert rotation_angle(rotations, matrix_from_euler(*angles)).max() < 3 * np.sqrt(2) * STEP + 1


def test_the_nearest_orientation_is_the_most_probable():
    angles = (33.0, 66.0, 99.0)
    ((_, log_prior, rotations),) = search(fill_local_orientations, [angles], sigma=STEP)
    distance = rotation_angle(rotations, matrix_from_euler(*angles))
    assert distance[log_prior.argmax()] < distance.min() + 0.5


@pytest.mark.parametrize("sigma", [0.01, 0.3])
def test_a_narrow_prior_takes_the_nearest_orientation(sigma):
    angles = [(12.0, 34.0, 1.0), (100.0, 55.0, 33.3)]
    fast = search(fill_local_orientations, angles, sigma=sigma)
    slow = search(reference.fill_local_orientations, angles, sigma=sigma)
    for found, expected in zip(fast, slow, strict=True):
        assert found[0].tolist() == expected[0].tolist()
        assert found[1].tolist() == [0]
