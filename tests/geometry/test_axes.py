"""Axes of point groups and the corners of their asymmetric units."""

import numpy as np
import pytest

from aurefine.geometry.axes import asymmetric_unit_corners, axis_and_angle, symmetry_axes
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import in_asymmetric_unit, point_group

# number of axes of each fold
AXES = {
    "C1": {}, "C5": {5: 1}, "D1": {2: 1}, "D2": {2: 3}, "D3": {3: 1, 2: 3}, "D4": {4: 1, 2: 4},
    "T": {3: 4, 2: 3}, "O": {4: 3, 3: 4, 2: 6}, "I1": {5: 6, 3: 10, 2: 15},
    "I2": {5: 6, 3: 10, 2: 15}, "I3": {5: 6, 3: 10, 2: 15}, "I4": {5: 6, 3: 10, 2: 15},
}  # fmt: skip


@pytest.mark.parametrize("name", AXES)
def test_axes_are_counted_by_fold(name):
    folds = [axis.fold for axis in symmetry_axes(point_group(name))]
    assert {fold: folds.count(fold) for fold in set(folds)} == AXES[name]
    assert folds == sorted(folds, reverse=True)


def test_the_axis_of_a_rotation_stays_where_it_is():
    for angles in ((10, 20, 30), (0, 90, 180), (45, 0, 0)):
        matrix = matrix_from_euler(*angles)
        axis, angle = axis_and_angle(matrix)
        assert np.allclose(matrix @ axis, axis)
        assert angle == pytest.approx(np.rad2deg(np.arccos((np.trace(matrix) - 1) / 2)))


@pytest.mark.parametrize("name", ["T", "O", "I1", "I2", "I3", "I4"])
def test_corners_of_the_asymmetric_unit_are_axes_and_belong_to_it(name):
    group = point_group(name)
    corners = asymmetric_unit_corners(group)
    axes = np.stack([axis.direction for axis in symmetry_axes(group)])
    assert np.allclose(np.abs(corners @ axes.T).max(axis=1), 1)
    assert in_asymmetric_unit(corners, group).all()
    assert in_asymmetric_unit(corners.sum(axis=0)[None], group).all()
