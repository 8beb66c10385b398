import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.geometry.euler import (
    angles_from_direction,
    direction_from_angles,
    euler_from_matrix,
    matrix_from_euler,
    rotation_angle,
)

angle = st.floats(-180, 180)
tilt_angle = st.floats(0, 180)


def test_rot_turns_the_map_about_z():
    # A takes map to image coordinates: with rot 90 the image x axis shows the map's y axis
    matrix = matrix_from_euler(90, 0, 0)
    np.testing.assert_allclose(matrix @ [0, 1, 0], [1, 0, 0], atol=1e-15)


def test_tilt_90_looks_along_map_x():
    np.testing.assert_allclose(matrix_from_euler(0, 90, 0)[2], [1, 0, 0], atol=1e-15)


def test_third_row_is_the_viewing_direction():
    rot, tilt, psi = np.random.default_rng(1).uniform(-180, 180, (3, 50))
    np.testing.assert_allclose(
        matrix_from_euler(rot, tilt, psi)[:, 2], direction_from_angles(rot, tilt), atol=1e-15
    )


def test_psi_turns_the_image_about_its_normal():
    in_plane = matrix_from_euler(0, 0, 25)
    np.testing.assert_allclose(
        matrix_from_euler(10, 70, 55), in_plane @ matrix_from_euler(10, 70, 30), atol=1e-15
    )


@settings(deadline=None)
@given(angle, tilt_angle, angle)
def test_matrices_are_rotations(rot, tilt, psi):
    matrix = matrix_from_euler(rot, tilt, psi)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(matrix) == pytest.approx(1)


@settings(deadline=None)
@given(angle, tilt_angle, angle)
def test_euler_angles_of_a_matrix_give_the_matrix_back(rot, tilt, psi):
    matrix = matrix_from_euler(rot, tilt, psi)
    found = euler_from_matrix(matrix)
    assert -180 <= found[0] <= 180
    assert 0 <= found[1] <= 180
    assert -180 <= found[2] <= 180
    # within 1e-7 of a pole rot is set to 0, which costs as much accuracy
    np.testing.assert_allclose(matrix_from_euler(*found), matrix, atol=4e-7)


@pytest.mark.parametrize("tilt", [0, 180])
def test_psi_takes_the_whole_rotation_at_the_poles(tilt):
    matrix = matrix_from_euler(20, tilt, 50)
    rot, _, psi = euler_from_matrix(matrix)
    assert rot == 0
    assert psi == pytest.approx(70 if tilt == 0 else 30)


@settings(deadline=None)
@given(angle, st.floats(0.01, 179.99))
def test_direction_angles_round_trip(rot, tilt):
    found_rot, found_tilt = angles_from_direction(3.0 * direction_from_angles(rot, tilt))
    assert found_tilt == pytest.approx(tilt, abs=1e-9)
    assert (found_rot - rot + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("turn", [1e-6, 0.5, 60, 179.9])
def test_rotation_angle_of_a_psi_turn_is_the_turn(turn):
    found = rotation_angle(matrix_from_euler(30, 40, 50), matrix_from_euler(30, 40, 50 + turn))
    assert found == pytest.approx(turn, abs=1e-9)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="3, 3"):
        euler_from_matrix(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="directions"):
        angles_from_direction([1.0, 2.0])
