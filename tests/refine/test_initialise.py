from dataclasses import replace

import numpy as np
import pytest

from aurefine.errors import AurefineError
from aurefine.refine.initialise import (
    assign_halves,
    initial_noise,
    initial_sampling,
    initial_state,
    map_power,
    resolve_diameter,
)
from aurefine.refine.options import RefineOptions

BOX, PIXEL = 32, 4.0


@pytest.mark.parametrize("subset", [None, np.zeros(400, int)])
def test_halves_are_random_but_reproducible(subset):
    half = assign_halves(subset, 400, seed=3)
    assert set(half) == {1, 2}
    assert np.array_equal(half, assign_halves(subset, 400, seed=3))
    assert not np.array_equal(half, assign_halves(subset, 400, seed=4))
    # binomial with standard deviation 10, not balanced
    assert 150 < (half == 1).sum() < 250


def test_given_halves_are_kept():
    subset = np.array([2, 1, 1, 2, 1])
    assert np.array_equal(assign_halves(subset, 5, seed=1), subset)


@pytest.mark.parametrize("subset, row, value", [([1, 2, 0], 3, 0), ([1, 3, 2], 2, 3)])
def test_incomplete_halves_are_refused(subset, row, value):
    with pytest.raises(AurefineError, match=f"row {row}: rlnRandomSubset is {value}"):
        assign_halves(np.array(subset), 3, seed=1)


def test_an_empty_half_is_refused():
    with pytest.raises(AurefineError, match="2 and 0 particles"):
        assign_halves(np.array([1, 1]), 2, seed=1)


@pytest.mark.parametrize("diameter, expected", [(150.0, 150.0), (-1.0, (BOX - 5) * PIXEL)])
def test_particle_diameter(diameter, expected):
    assert resolve_diameter(RefineOptions(particle_diameter=diameter), BOX, PIXEL) == expected


def noise_of(case, options, n_groups, rows=None, diameter=1e4):
    rows = np.flatnonzero(case.particles.half == 1) if rows is None else rows
    return initial_noise(case.particles, rows, n_groups, BOX, PIXEL, diameter, options)


@pytest.fixture
def white(simulate, optics_group):
    """Function (groups, std) -> particles of pure noise."""

    def make(n=400, groups=None, std=2.0):
        case = simulate(n, groups=groups)
        rng = np.random.default_rng(5)
        for i, image in enumerate(case.particles.images.images):
            case.particles.images.images[i] = rng.normal(0, std, image.shape).astype(np.float32)
        return case

    return make


def test_white_noise_has_a_flat_spectrum(white, options):
    """Standard deviation s gives s^2 / (2 box^2), less what the average image holds."""
    sigma2 = noise_of(white(), options(), 1)
    assert sigma2.shape == (1, BOX // 2 + 1)
    # 200 images; the lowest shells have few coefficients
    assert sigma2[0, 3:] == pytest.approx(4 / (2 * BOX**2), rel=0.1)


def test_noise_groups_are_independent(white, options, optics_group):
    case = white(groups=[optics_group(), optics_group(number=2)])
    for i in range(1, 400, 2):
        case.particles.images.images[i] *= 3
    sigma2 = noise_of(case, options(), 2)
    assert sigma2[1, 3:].mean() / sigma2[0, 3:].mean() == pytest.approx(9, rel=0.05)


def test_the_power_of_the_average_is_not_noise(white, options):
    case = white(std=1.0)
    pattern = 3 * np.cos(2 * np.pi * 6 * np.arange(BOX) / BOX).astype(np.float32)
    for image in case.particles.images.images:
        image += pattern
    sigma2 = noise_of(case, options(), 1)
    assert sigma2[0, 6] == pytest.approx(1 / (2 * BOX**2), rel=0.2)


def test_only_the_first_particles_of_each_group_are_used(white, options, optics_group):
    case = white(groups=[optics_group(), optics_group(number=2)])
    settings = options(n_particles_for_noise=3)
    rows = np.flatnonzero(case.particles.half == 1)
    for i in np.setdiff1d(np.arange(400), [*rows[rows % 2 == 0][:3], *rows[rows % 2 == 1][:3]]):
        case.particles.images.images[i] *= 100
    sigma2 = noise_of(case, settings, 2)
    assert sigma2[:, 4:].max() < 3 * 4 / (2 * BOX**2)


def test_shells_of_other_boxes_are_mapped(white, options, optics_group):
    case = white(groups=[optics_group(box_size=64, pixel_size=2.0)])
    sigma2 = noise_of(case, options(), 1)
    # the same frequencies on finer pixels: variance over twice the number of pixels squared
    assert sigma2[0, 3:-1] == pytest.approx(4 / (2 * 64**2), rel=0.1)


def test_empty_shells_take_their_neighbours_noise(simulate, options):
    """Identical images: all their power is that of the average."""
    case = simulate(6)
    for i in range(6):
        case.particles.images.images[i] = np.zeros((BOX, BOX), np.float32)
        case.particles.images.images[i][:, ::2] = 1 + i
    sigma2 = noise_of(case, options(zero_mask=False), 1)
    assert (sigma2 > 0).all()


def test_power_of_a_map_is_that_of_its_slices(blobs, pool):
    source = blobs()
    power = map_power(source.density(), 1)
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for shell in (3, 6, 9):
        expected = np.abs(source.transform(directions * shell / (BOX * PIXEL))) ** 2 / 2
        assert power[shell] == pytest.approx(expected.mean(), rel=0.15)


@pytest.fixture
def state_of(options, pool):
    """Function (case, options) -> state of iteration 0."""

    def make(case, references=None, **changes):
        settings = options(**changes)
        density = case.blobs.density()
        names = tuple(f"mic{g}" for g in range(len(case.particles.optics_groups)))
        return initial_state(
            references or (density, density),
            PIXEL,
            case.particles,
            case.poses,
            names,
            len(names),
            settings,
            11,
            pool,
        )

    return make


def test_state_of_iteration_0(simulate, state_of):
    case = simulate(30, noise=0.3)
    state = state_of(case, initial_lowpass=25.0)
    first, second = state.models
    assert state.controller.iteration == 0
    assert state.controller.n_iter_without_resolution_gain == 0
    # 128 Å / 25 Å = 5.12
    assert state.controller.current_frequency == pytest.approx(5 / 128)
    assert np.array_equal(first.map, second.map)
    assert np.array_equal(first.sigma2_noise, second.sigma2_noise)
    assert (first.direction_prior == 1 / 48).all()
    assert (first.norm_average, first.sigma_offset) == (1.0, 10.0)
    assert first.group_n_particles.tolist() == [15]
    shells = np.arange(1, BOX // 2 + 1)
    expected = 15 / first.sigma2_noise[0, 1:] * first.tau2[1:] / (2 * shells)
    assert first.data_vs_prior[1:] == pytest.approx(expected)


def test_noise_does_not_come_from_half_2(simulate, state_of):
    """So that the first iteration of half 1 knows nothing of half 2."""
    case = simulate(30, noise=0.3)
    before = state_of(case).models[0].sigma2_noise
    for i in np.flatnonzero(case.particles.half == 2):
        case.particles.images.images[i] *= 5
    assert np.array_equal(state_of(case).models[0].sigma2_noise, before)


def test_reference_is_filtered(simulate, state_of):
    case = simulate(10, noise=0.3)
    density = case.blobs.density()
    found = np.fft.rfftn(state_of(case, initial_lowpass=20.0).models[0].map)
    original = np.fft.rfftn(density)
    # r0 = 6.4 shells, edges at 5.4 and 7.4
    assert found[0, 0, 5] == pytest.approx(original[0, 0, 5], rel=1e-3)
    assert abs(found[0, 0, 8]) < 1e-3 * abs(original[0, 0, 0])
    unfiltered = state_of(case).models[0].map
    assert np.array_equal(unfiltered, density)


def test_halves_may_start_from_their_own_maps(simulate, state_of):
    case = simulate(10, noise=0.3)
    density = case.blobs.density()
    state = state_of(case, references=(density, 2 * density))
    assert np.array_equal(state.models[1].map, 2 * state.models[0].map)


@pytest.mark.parametrize(
    "order, local_order, is_local, sigma",
    [(2, 4, False, 0), (4, 4, True, 2 * 1.875), (3, 3, True, 7.5)],
)
def test_sampling_of_the_command_line(order, local_order, is_local, sigma):
    options = RefineOptions(
        healpix_order=order,
        auto_local_healpix_order=local_order,
        offset_range_px=5.0,
        offset_step_px=2.0,
    )
    found = initial_sampling(options, 1.5)
    assert (found.offset_range, found.offset_step) == (7.5, 3.0)
    assert found.psi_step == 360 / (6 * 2**order)
    assert (found.is_local, found.sigma_angle) == (is_local, sigma)
    assert replace(found, original_order=order) == found
