"""Moving refined offsets and points of the reference into coordinates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.extract.coordinates import (
    Recentring,
    project_point,
    recentre_particles,
    round_half_away,
)


def _recentre(coordinate, offset, recentring, angles=(0.0, 0.0, 0.0), a_part=3.54, a_mic=0.885):
    coordinates, offsets = recentre_particles(
        np.array([coordinate], dtype=float),
        np.array([offset], dtype=float),
        np.array([angles]),
        particle_pixel_sizes=np.array([a_part]),
        micrograph_pixel_sizes=np.array([a_mic]),
        recentring=recentring,
    )
    return coordinates[0], offsets[0]


@pytest.mark.parametrize(
    ("value", "expected"), [(2.5, 3), (-2.5, -3), (0.4, 0), (-0.4, 0), (0.5, 1), (-7.51, -8)]
)
def test_halves_are_rounded_away_from_zero(value, expected):
    assert round_half_away(np.array([value]))[0] == expected


def test_whole_pixels_of_an_offset_move_into_the_coordinate():
    # golden case job011, row 1, as printed by RELION
    coordinate, offset = _recentre((11.0, 205.3), (-1.19671, -1.71870), Recentring(recentre=True))
    np.testing.assert_allclose(coordinate, [12.0, 207.3])
    np.testing.assert_allclose(offset, [-0.31171, 0.05130], atol=1e-9)


@given(
    x=st.floats(-100, 5000),
    ox=st.floats(-60, 60),
    a_part=st.floats(0.5, 8),
    a_mic=st.floats(0.4, 2),
)
def test_the_centre_stays_and_the_remainder_is_half_a_pixel_at_most(x, ox, a_part, a_mic):
    coordinate, offset = _recentre(
        (x, 7.0), (ox, 0.0), Recentring(recentre=True), a_part=a_part, a_mic=a_mic
    )
    assert coordinate[0] - offset[0] / a_mic == pytest.approx(x - ox / a_mic, abs=1e-6)
    assert abs(offset[0]) <= a_mic / 2 * (1 + 1e-9)


def test_reset_offsets_leaves_the_coordinates():
    coordinate, offset = _recentre((11.25, 20.0), (3.0, -4.0), Recentring(reset_offsets=True))
    np.testing.assert_array_equal(coordinate, [11.25, 20.0])
    np.testing.assert_array_equal(offset, [0.0, 0.0])


def test_without_recentring_offsets_in_angstrom_do_not_change():
    _, offset = _recentre((11.25, 20.0), (3.0, -4.0), Recentring())
    np.testing.assert_array_equal(offset, [3.0, -4.0])


def test_a_point_on_the_x_axis_moves_the_box_by_its_projection():
    recentring = Recentring(recentre=True, point=(3.0, 0.0, 5.0))
    coordinate, _ = _recentre((100.0, 100.0), (0.0, 0.0), recentring)
    np.testing.assert_allclose(coordinate, [112.0, 100.0])  # 3 px of 3.54 are 12 px of 0.885


def test_the_point_can_have_a_pixel_size_of_its_own():
    recentring = Recentring(recentre=True, point=(4.0, 0.0, 0.0), point_pixel_size=1.77)
    coordinate, _ = _recentre((100.0, 100.0), (0.0, 0.0), recentring)
    np.testing.assert_allclose(coordinate, [108.0, 100.0])


def test_in_plane_rotation_turns_the_point():
    recentring = Recentring(recentre=True, point=(1.0, 0.0, 0.0))
    point = project_point(np.array([[0.0, 0.0, 90.0]]), np.array([1.0]), recentring)
    np.testing.assert_allclose(point, [[0.0, -1.0]], atol=1e-12)
