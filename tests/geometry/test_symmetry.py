import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.errors import OptionError
from aurefine.geometry.euler import matrix_from_euler, rotation_angle
from aurefine.geometry.symmetry import (
    angular_change,
    in_asymmetric_unit,
    point_group,
    to_asymmetric_unit,
)

GROUPS = ["C1", "C2", "C3", "C7", "D1", "D2", "D3", "D7", "T", "O", "I", "I1", "I2", "I3", "I4"]
N_OPERATORS = {"T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60, "I3": 60, "I4": 60}
groups = st.sampled_from(GROUPS) | st.builds(
    "{}{}".format, st.sampled_from("CD"), st.integers(1, 30)
)


def random_directions(n, seed=0):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def random_poses(n, seed=0):
    rng = np.random.default_rng(seed)
    return matrix_from_euler(
        rng.uniform(-180, 180, n),
        np.rad2deg(np.arccos(rng.uniform(-1, 1, n))),
        rng.uniform(-180, 180, n),
    )


def expected_size(name):
    return N_OPERATORS.get(name) or int(name[1:]) * (2 if name[0] == "D" else 1)


@settings(deadline=None)
@given(groups)
def test_operators_form_a_group_of_rotations(name):
    matrices = point_group(name).matrices
    assert len(matrices) == expected_size(name)
    np.testing.assert_array_equal(matrices[0], np.eye(3))
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1),
        np.broadcast_to(np.eye(3), matrices.shape),
        atol=1e-12,
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    products = (matrices[:, None] @ matrices[None]).reshape(-1, 9)
    distance = np.abs(products[:, None] - matrices.reshape(1, -1, 9)).max(axis=-1)
    assert np.all(np.sort(distance, axis=1)[:, 0] < 1e-12)  # closed
    if len(matrices) > 1:
        assert np.all(np.sort(distance, axis=1)[:, 1] > 1e-3)  # all different


@pytest.mark.parametrize("name", GROUPS)
def test_each_axis_of_the_convention_is_a_symmetry_axis(name):
    axes = {
        "T": [(3, (0, 0, 1)), (2, (0, 0.816496, 0.577350))],
        "O": [(4, (0, 0, 1)), (3, (1, 1, 1))],
        "I": [(2, (0, 0, 1)), (5, (0.525731, 0, 0.850651)), (3, (0, 0.356822, 0.934172))],
        "I1": [(2, (1, 0, 0)), (5, (0.850651, 0, -0.525731)), (3, (0.934172, 0.356822, 0))],
        "I3": [(2, (-0.525731, 0, 0.850651)), (5, (0, 0, 1)), (3, (-0.491123, 0.356822, 0.794654))],
        "I4": [
            (2, (0.525731, 0, 0.850651)),
            (5, (0.894427, 0, 0.447214)),
            (3, (0.491123, 0.356822, 0.794654)),
        ],
    }
    axes["I2"] = axes["I"]
    for n in (1, 2, 3, 7):
        axes[f"C{n}"] = [(n, (0, 0, 1))]
        axes[f"D{n}"] = [(n, (0, 0, 1)), (2, (1, 0, 0))]
    matrices = point_group(name).matrices
    for fold, axis in axes[name]:
        axis = np.array(axis) / np.linalg.norm(axis)
        n_fixing = np.count_nonzero(np.abs(matrices @ axis - axis).max(axis=1) < 1e-5)
        assert n_fixing == fold


@pytest.mark.parametrize("name", GROUPS)
def test_mates_of_the_asymmetric_unit_cover_the_sphere_once(name):
    group = point_group(name)
    v = random_directions(20_000)
    count = sum(in_asymmetric_unit(v @ matrix, group).astype(int) for matrix in group.matrices)
    assert np.all(count == 1)  # random directions miss the boundaries


@pytest.mark.parametrize("name", GROUPS)
def test_directions_map_into_the_asymmetric_unit_by_their_operator(name):
    group = point_group(name)
    v = random_directions(2000)
    mapped, operator = to_asymmetric_unit(v, group)
    assert in_asymmetric_unit(mapped, group).all()
    np.testing.assert_allclose(np.einsum("ni,nij->nj", v, group.matrices[operator]), mapped)


def test_directions_inside_the_unit_stay_where_they_are():
    group = point_group("I")
    v = random_directions(5000)
    v = v[in_asymmetric_unit(v, group)]
    mapped, operator = to_asymmetric_unit(v, group)
    np.testing.assert_allclose(mapped, v, atol=1e-15)
    assert not operator.any()


@pytest.mark.parametrize("name", GROUPS)
def test_axes_and_poles_belong_to_the_unit_after_mapping(name):
    group = point_group(name)
    special = np.concatenate([np.eye(3), -np.eye(3), [[1, 1, 1]], group.asu_normals])
    mapped, _ = to_asymmetric_unit(special, group)
    assert in_asymmetric_unit(mapped, group).all()


def test_names_are_case_insensitive():
    assert point_group(" d2 ") is point_group("D2")


@pytest.mark.parametrize("name", ["C0", "X3", "", "D", "I5", "C-1", "C1.5"])
def test_unknown_groups_are_refused_with_the_accepted_names(name):
    with pytest.raises(OptionError, match=r"not a known point group.*Cn and Dn"):
        point_group(name)


@pytest.mark.parametrize(
    "name", ["C2v", "C3H", "S6", "D4d", "D2v", "D2H", "Td", "TH", "Oh", "IH", "CI"]
)
def test_groups_with_mirrors_are_refused_with_a_reason(name):
    with pytest.raises(OptionError, match="chiral"):
        point_group(name)


@pytest.mark.parametrize("name", GROUPS)
def test_a_symmetry_mate_is_no_angular_change(name):
    group = point_group(name)
    poses = random_poses(100)
    pick = np.random.default_rng(2).integers(group.n_operators, size=100)
    # arccos near 1 resolves 1e-6 degrees
    np.testing.assert_allclose(
        angular_change(poses, poses @ group.matrices[pick], group), 0, atol=5e-6
    )


def test_angular_change_is_the_mean_over_the_rows():
    turned = matrix_from_euler(0, 0, 12)  # two rows move by 12 degrees, one stays
    change = angular_change(np.eye(3)[None], turned[None], point_group("C1"))
    np.testing.assert_allclose(change, 8)


def test_angular_change_equals_the_direct_minimum_over_mates():
    group = point_group("D3")
    old, new = random_poses(50, 1), random_poses(50, 2)
    cosine = np.einsum("nij,kjl,nil->nki", old, group.matrices, new)
    expected = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)).mean(axis=2).min(axis=1))
    np.testing.assert_allclose(angular_change(old, new, group), expected)


def test_angular_change_bounds_the_rotation_angle():
    old, new = random_poses(200, 1), random_poses(200, 2)
    change = angular_change(old, new, point_group("C1"))
    assert np.all(change <= rotation_angle(old, new) + 1e-9)


def test_poses_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        angular_change(np.eye(3)[None], np.eye(3), point_group("C1"))


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="relion_refine not on PATH")
@pytest.mark.parametrize("name", GROUPS)
def test_operators_are_those_of_relion(name):
    text = subprocess.run(
        ["relion_refine", "--sym", name, "--print_symmetry_ops"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    blocks = re.split(r"R\(\d+\)=", text)[1:]
    theirs = np.array([[float(x) for x in block.split()[:9]] for block in blocks])
    ours = point_group(name).matrices.reshape(-1, 9)
    distance = np.abs(theirs[:, None] - ours[None]).max(axis=-1)
    assert len(theirs) == len(ours)
    assert distance.min(axis=1).max() < 1e-4  # printed with 5 digits
    assert distance.min(axis=0).max() < 1e-4
