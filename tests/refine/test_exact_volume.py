from dataclasses import replace

import numpy as np
import pytest

from aurefine.parallel.pool import WorkerPool
from aurefine.refine.exact_volume import (
    VolumeScales,
    add_carries,
    as_floats,
    empty_volume,
    exact_values,
    store_values,
    volume_scales,
)
from aurefine.refine.projector import build_projector

SCALES = VolumeScales(
    np.array([9.5], np.float32), np.array([2, 8], np.float32), np.array([4, 16], np.float32)
)


def integers(*values):
    return np.array(values, np.int64)


@pytest.fixture
def volume():
    """Random words, and carries at some of them."""
    made = empty_volume(3, SCALES)
    rng = np.random.default_rng(0)
    made.words[:] = rng.integers(-(2**31), 2**31, made.words.shape)
    add_carries(made, integers(7, 300, 7, 41, 41), integers(1, -3, 1, 1, -1))
    return made


def test_carries_of_one_word_are_joined_and_dropped_when_zero(volume):
    assert volume.carry_index.tolist() == [7, 300]
    assert volume.carry.tolist() == [2, -3]


def test_exact_values_include_carries(volume):
    values = exact_values(volume, 0, volume.words.size)
    expected = volume.words.ravel().astype(np.int64)
    expected[7] += 2 << 32
    expected[300] -= 3 << 32
    assert np.array_equal(values, expected)
    assert np.array_equal(exact_values(volume, 250, 310), expected[250:310])


def test_stored_values_come_back(volume):
    values = exact_values(volume, 0, volume.words.size)
    values[[5, 300, 301]] = [2**40, 12, -(2**33) + 5]
    store_values(volume, 3, 305, values[3:305])
    assert np.array_equal(exact_values(volume, 0, volume.words.size), values)
    assert volume.carry_index.tolist() == [5, 7, 301]


def test_floats_are_exact_values_over_scales(volume):
    exact = exact_values(volume, 0, volume.words.size).reshape(volume.words.shape)
    with WorkerPool(2) as pool:
        floats = as_floats(volume, pool)
    assert np.shares_memory(floats, volume.words)
    edge = len(floats)
    z, y, x = (
        np.indices(floats.shape[:3]) - np.array([edge // 2, edge // 2, 0])[:, None, None, None]
    )
    outer = (x**2 + y**2 + z**2 >= 9.5).astype(int)
    scale = np.stack([SCALES.data[outer], SCALES.data[outer], SCALES.weight[outer]], axis=-1)
    assert floats == pytest.approx((exact / scale).astype(np.float32), rel=1e-6)


def test_sums_come_near_their_expected_size(simulate, options, plan_for, half_model, pool):
    """Sixteen times the particles make the scales of weights smaller by 16."""
    found = []
    for n in (8, 128):
        case = simulate(n, ctf=True)
        plan = plan_for(case, options())  # without CTF correction: every weight is 1 / sigma2
        case = replace(case, particles=replace(case.particles, half=np.ones(n, np.int64)))
        model = half_model(case, sigma2=0.25)
        projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
        found.append(volume_scales(1, case.particles, model, projector, plan))
    few, many = found
    assert np.array_equal(few.weight[[0, -1]], 16 * many.weight[[0, -1]])
    for values in (few.data, few.weight):
        assert np.array_equal(np.log2(values) % 1, np.zeros(len(values)))
    # all slices meet in the origin
    assert 2**27 <= 8 / 0.25 * few.weight[0] <= 2**28


def test_shells_without_noise_spectrum_do_no_harm(simulate, options, plan_for, half_model, pool):
    case = simulate(2)
    plan = plan_for(case, options())
    model = half_model(case)
    sigma2 = model.sigma2_noise.copy()
    sigma2[:, 5:8] = 0
    model = replace(model, sigma2_noise=sigma2)
    projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
    found = volume_scales(1, case.particles, model, projector, plan)
    for values in found.arrays:
        assert np.isfinite(values).all()
    assert np.all(np.diff(found.limits) > 0)
