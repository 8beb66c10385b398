import re
import shutil
import subprocess

import mrcfile
import numpy as np
import pytest

from aurefine.errors import OptionError
from aurefine.geometry.euler import (
    direction_from_angles,
    euler_from_matrix,
    matrix_from_euler,
    rotation_angle,
)
from aurefine.geometry.sampling import (
    angular_step,
    asymmetric_unit,
    child_pixels,
    coarse_offsets,
    coarse_rotations,
    direction_index,
    full_sphere,
    grid_from_angles,
    neighbourhoods,
    next_perturbation,
    oversampled_offsets,
    oversampled_psi,
    oversampled_rotations,
    perturbation_rotation,
    psi_angles,
    psi_windows,
)
from aurefine.geometry.symmetry import in_asymmetric_unit, point_group

GROUPS = ["C1", "C3", "D2", "D7", "T", "O", "I", "I1", "I3", "I4"]


def random_directions(n, seed=0):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def direction_table(path):
    """Rows (rot, tilt) of a sampling file."""
    text = path.read_text().split("data_sampling_directions")[1]
    return np.array([line.split() for line in re.findall(r"^ +-?\d.*$", text, re.M)], dtype=float)


def test_angular_steps_are_those_of_the_interface():
    assert angular_step(2) == 15
    assert angular_step(2, 1) == 7.5
    assert angular_step(4, 1) == 1.875


@pytest.mark.parametrize("order, n", [(0, 12), (2, 192), (4, 3072)])
def test_full_sphere_has_12_times_4_to_the_order_directions(order, n):
    grid = full_sphere(order)
    assert grid.n_directions == n
    assert np.abs(grid.rot).max() <= 180
    np.testing.assert_array_equal(grid.pixel, np.arange(n))
    np.testing.assert_allclose(grid.vectors.sum(axis=0), 0, atol=1e-9)


def test_d2_order_2_gives_the_1152_orientations_that_relion_prints():
    grid = asymmetric_unit(2, point_group("D2"))
    assert grid.n_directions * len(psi_angles(angular_step(2))) == 1152


def test_c1_directions_are_those_of_the_golden_run(shared_data):
    table = direction_table(shared_data / "golden" / "refine" / "R5" / "run_it000_sampling.star")
    order = round(np.log2(len(table) / 12) / 2)
    grid = asymmetric_unit(order, point_group("C1"))
    np.testing.assert_allclose(np.stack([grid.rot, grid.tilt], axis=1), table, atol=2e-5)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("order", [2, 3, 4])
def test_asymmetric_unit_and_its_mates_leave_no_gap(name, order):
    group = point_group(name)
    grid = asymmetric_unit(order, group)
    assert in_asymmetric_unit(grid.vectors, group).all()
    mates = np.einsum("mi,kij->kmj", grid.vectors, group.matrices).reshape(-1, 3)
    nearest = (random_directions(400) @ mates.T).max(axis=1)
    # a HEALPix pixel has a radius of at most 0.9 steps; at a seam the pixels on both sides may
    # have their centres outside, so that up to twice the radius stays empty
    assert np.rad2deg(np.arccos(nearest)).max() < 1.8 * angular_step(order)


@pytest.mark.parametrize("name", GROUPS)
def test_no_two_directions_of_a_short_list_are_mates(name):
    group = point_group(name)
    grid = asymmetric_unit(3, group)
    mates = np.einsum("mi,kij->kmj", grid.vectors, group.matrices)
    cosine = mates @ grid.vectors.T  # (n_operators, n, n)
    cosine[:, np.arange(grid.n_directions), np.arange(grid.n_directions)] = -1
    assert cosine.max() < np.cos(np.deg2rad(0.3 * angular_step(3)))


def test_tilt_limits_keep_side_or_top_views():
    group = point_group("C1")
    side, top = (asymmetric_unit(3, group, tilt_limit=limit).tilt for limit in (60, -60))
    assert np.abs(side - 90).max() <= 30
    assert np.all(np.minimum(top, 180 - top) <= 60)
    assert len(side) + len(top) >= full_sphere(3).n_directions


def test_an_empty_direction_list_is_an_error():
    with pytest.raises(OptionError, match=r"healpix order 1.*no direction"):
        asymmetric_unit(1, point_group("I"))


def test_a_bad_order_is_an_error():
    with pytest.raises(OptionError, match="healpix order -1"):
        full_sphere(-1)


def test_a_table_of_angles_gives_its_pixels_back():
    grid = asymmetric_unit(3, point_group("O"))
    again = grid_from_angles(3, np.round(grid.rot, 5), np.round(grid.tilt, 5))
    np.testing.assert_array_equal(again.pixel, grid.pixel)
    np.testing.assert_array_equal(again.rot, grid.rot)


def test_angles_off_the_grid_are_refused():
    with pytest.raises(OptionError, match="direction 2 of the sampling table"):
        grid_from_angles(2, [45.0, 10.0], [80.405932, 10.0])


def test_children_surround_their_parent():
    parent = full_sphere(2)
    children = child_pixels(parent.pixel, 1)
    assert children.shape == (192, 4)
    fine = full_sphere(3).vectors[children]
    assert len(np.unique(children)) == 768
    cosine = np.einsum("nj,ncj->nc", parent.vectors, fine)
    assert np.rad2deg(np.arccos(cosine.min())) < angular_step(2)


def test_psi_angles_divide_the_circle():
    np.testing.assert_allclose(psi_angles(90), [0, 90, 180, 270])
    assert len(psi_angles(7)) == 52
    np.testing.assert_allclose(oversampled_psi([30.0], 10, 1), [[27.5, 32.5]])
    np.testing.assert_allclose(oversampled_psi([30.0], 10, 0), [[30.0]])
    with pytest.raises(ValueError, match="psi_step"):
        psi_angles(0)


def test_coarse_rotations_are_the_angles_times_the_perturbation():
    grid, perturbation = full_sphere(2), perturbation_rotation(0.3, 15)
    psi = np.linspace(0, 300, 192)
    np.testing.assert_allclose(
        coarse_rotations(grid.pixel, psi, 2, perturbation),
        matrix_from_euler(grid.rot, grid.tilt, psi) @ matrix_from_euler(4.5, 4.5, 4.5),
        atol=1e-14,
    )


def test_oversampled_rotations_run_through_pixels_then_psi():
    perturbation = perturbation_rotation(-0.2, 15)
    pixel, psi = np.array([7, 100]), np.array([15.0, 200.0])
    found = oversampled_rotations(pixel, psi, 2, 15, 1, perturbation)
    assert found.shape == (2, 8, 3, 3)
    fine = full_sphere(3)
    children = child_pixels(pixel, 1).repeat(2, axis=1)
    angles = np.tile(oversampled_psi(psi, 15, 1), (1, 4))
    expected = matrix_from_euler(fine.rot[children], fine.tilt[children], angles) @ perturbation
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_no_oversampling_gives_the_coarse_rotations():
    pixel, psi = np.arange(10), np.arange(10) * 15.0
    fine = oversampled_rotations(pixel, psi, 2, 15, 0, np.eye(3))
    np.testing.assert_array_equal(fine[:, 0], coarse_rotations(pixel, psi, 2, np.eye(3)))


def test_perturbation_moves_on_and_stays_inside_its_range():
    rng, value = np.random.default_rng(0), 0.0
    for _ in range(200):
        previous, value = value, next_perturbation(value, 0.5, rng)
        assert -0.5 <= value <= 0.5
        assert 0.25 <= (value - previous) % 1.0 <= 0.5
    assert next_perturbation(0.2, 0.0, rng) == 0


def test_offsets_fill_a_circle():
    offsets = coarse_offsets(17.7, 7.08)  # 5 and 2 pixels of 3.54 Å
    assert len(offsets) == 21
    assert np.hypot(*offsets.T).max() <= 17.7 + 1e-4
    np.testing.assert_allclose(offsets.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_array_equal(coarse_offsets(0, 1), [[0, 0]])
    with pytest.raises(ValueError, match="step"):
        coarse_offsets(3, 0)


def test_oversampled_offsets_tile_the_cell():
    children = oversampled_offsets([[4.0, -4.0]], 2.0, 1)
    assert children.shape == (1, 4, 2)
    np.testing.assert_allclose(children[0], [[3.5, -4.5], [3.5, -3.5], [4.5, -4.5], [4.5, -3.5]])


def test_neighbourhoods_equal_a_search_through_all_pixels():
    centres, cutoff = random_directions(30), 11.25
    indptr, pixel, angle = neighbourhoods(centres, 4, cutoff)
    exact = np.rad2deg(np.arccos(np.clip(centres @ full_sphere(4).vectors.T, -1, 1)))
    for i in range(30):
        row = slice(indptr[i], indptr[i + 1])
        np.testing.assert_array_equal(pixel[row], np.flatnonzero(exact[i] < cutoff))
        np.testing.assert_allclose(angle[row], exact[i, pixel[row]], atol=1e-5)


def test_an_empty_neighbourhood_takes_the_nearest_pixel():
    centres = random_directions(5)
    indptr, pixel, _ = neighbourhoods(centres, 2, 1e-6)
    np.testing.assert_array_equal(indptr, np.arange(6))
    np.testing.assert_array_equal(pixel, np.argmax(centres @ full_sphere(2).vectors.T, axis=1))


def test_a_wide_neighbourhood_is_the_whole_sphere():
    indptr, pixel, _ = neighbourhoods([[0, 0, 1], [1, 0, 0]], 1, 400)
    np.testing.assert_array_equal(indptr, [0, 48, 96])
    np.testing.assert_array_equal(pixel, np.tile(np.arange(48), 2))


def test_no_centres_give_no_neighbourhoods():
    indptr, pixel, angle = neighbourhoods(np.empty((0, 3)), 2, 10)
    assert indptr.tolist() == [0]
    assert len(pixel) == len(angle) == 0


@pytest.mark.parametrize(
    "n_psi, cutoff", [(96, 11.25), (96, 1e-9), (24, 400), (7, 100), (1, 5), (2, 90)]
)
def test_psi_windows_equal_a_search_through_all_angles(n_psi, cutoff):
    psi = np.random.default_rng(0).uniform(-400, 400, 40)
    indptr, index, difference = psi_windows(psi, n_psi, cutoff)
    grid = np.arange(n_psi) * 360 / n_psi
    exact = np.abs((grid - psi[:, None] + 180) % 360 - 180)
    for i in range(40):
        row = slice(indptr[i], indptr[i + 1])
        expected = np.flatnonzero(exact[i] < cutoff)
        if not len(expected):
            expected = [np.argmin(exact[i])]
        np.testing.assert_array_equal(index[row], expected)
        np.testing.assert_allclose(difference[row], exact[i, expected])


@pytest.mark.parametrize("name", GROUPS)
def test_each_grid_direction_and_its_mates_belong_to_its_row(name):
    group = point_group(name)
    grid = asymmetric_unit(3, group)
    for matrix in group.matrices:
        rows = direction_index(grid.vectors @ matrix, grid, group)
        np.testing.assert_array_equal(rows, np.arange(grid.n_directions))


@pytest.mark.parametrize("name", GROUPS)
def test_directions_belong_to_a_near_row(name):
    group, v = point_group(name), random_directions(500)
    grid = asymmetric_unit(3, group)
    row = direction_index(v, grid, group)
    mates = np.einsum("mi,kij->mkj", v, group.matrices)
    cosine = np.einsum("mkj,mj->mk", mates, grid.vectors[row]).max(axis=1)
    assert np.rad2deg(np.arccos(cosine)).max() < 1.8 * angular_step(3)  # see the gaps above


def test_perturbed_poses_keep_their_distance_from_the_unperturbed_ones():
    grid = full_sphere(2)
    plain = coarse_rotations(grid.pixel, grid.rot, 2, np.eye(3))
    moved = coarse_rotations(grid.pixel, grid.rot, 2, perturbation_rotation(0.5, 15))
    np.testing.assert_allclose(
        rotation_angle(plain, moved), rotation_angle(np.eye(3), perturbation_rotation(0.5, 15))
    )
    assert not np.allclose(euler_from_matrix(moved)[1], grid.tilt)
    np.testing.assert_allclose(plain[:, 2], direction_from_angles(grid.rot, grid.tilt))


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="relion_refine not on PATH")
@pytest.mark.parametrize(
    "name, order",
    [
        ("C1", 2),
        ("C3", 3),
        ("C7", 2),
        ("D1", 2),
        ("D2", 3),
        ("D7", 3),
        ("I", 3),
        ("I1", 3),
        ("I3", 3),
        ("I4", 3),
    ],
)
def test_direction_tables_are_those_of_relion(tmp_path, name, order):
    _write_tiny_data_set(tmp_path)
    command = (
        f"relion_refine --i p.star --ref r.mrc --o out/run --healpix_order {order} --sym {name} "
        "--iter 1 --oversampling 0 --offset_range 0 --offset_step 1 --particle_diameter 100 "
        "--ini_high 40 --dont_check_norm --random_seed 1"
    )
    subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True)
    table = direction_table(tmp_path / "out" / "run_it001_sampling.star")
    grid = asymmetric_unit(order, point_group(name))
    np.testing.assert_allclose(np.stack([grid.rot, grid.tilt], axis=1), table, atol=2e-5)


def _write_tiny_data_set(folder):
    (folder / "out").mkdir()
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-8:8, -8:8, -8:8]
    arrays = {
        "s.mrcs": rng.normal(size=(2, 16, 16)),
        "r.mrc": np.exp(-(x**2 + y**2 + z**2) / 8),
    }
    for name, data in arrays.items():
        with mrcfile.new(folder / name) as mrc:
            mrc.set_data(data.astype(np.float32))
            mrc.voxel_size = 8.0
    (folder / "p.star").write_text(
        "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup\n_rlnVoltage\n"
        "_rlnSphericalAberration\n_rlnAmplitudeContrast\n_rlnImagePixelSize\n_rlnImageSize\n"
        "_rlnImageDimensionality\n_rlnOpticsGroupName\n1 300 2.7 0.1 8 16 2 og\n\n"
        "# version 30001\n\ndata_particles\n\nloop_\n_rlnImageName\n_rlnMicrographName\n"
        "_rlnOpticsGroup\n1@s.mrcs m.mrc 1\n2@s.mrcs m.mrc 1\n\n"
    )
