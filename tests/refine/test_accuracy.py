from dataclasses import replace

import numpy as np
import pytest

from aurefine.parallel.pool import WorkerPool
from aurefine.refine.accuracy import estimate_accuracy
from aurefine.refine.projector import build_projector

BOX = 32


def estimate(case, plan, model, pool, *, rows=None, seed=3):
    return estimate_accuracy(
        np.arange(case.particles.n_particles) if rows is None else rows,
        case.particles,
        case.poses,
        model,
        build_projector(model.map, plan.current_size // 2, 2.0, pool),
        plan,
        seed,
        pool,
    )


@pytest.fixture
def setting(simulate, options, plan_for, half_model):
    """Function (sigma2, n, ...) -> case, plan, model."""

    def make(sigma2=1e-4, n=12, current_size=20, **optics):
        case = simulate(n, **optics)
        plan = plan_for(case, options(ctf=optics.get("ctf", False)), current_size=current_size)
        return case, plan, half_model(case, sigma2=sigma2)

    return make


def test_noise_makes_errors_larger(setting, pool):
    found = [estimate(*setting(sigma2), pool) for sigma2 in (1e-5, 1e-4, 1e-3, 1e-2)]
    angles, offsets = [f.angles for f in found], [f.offsets for f in found]
    assert angles == sorted(angles)
    assert offsets == sorted(offsets)
    # as long as they are small they grow with the standard deviation, in steps of some 10 %
    assert angles[2] / angles[1] == pytest.approx(np.sqrt(10), rel=0.3)
    assert offsets[2] / offsets[1] == pytest.approx(np.sqrt(10), rel=0.3)


def test_hopeless_noise_gives_the_largest_errors(setting, pool):
    found = estimate(*setting(sigma2=1e6), pool)
    assert 30 < found.angles <= 35
    assert 10 < found.offsets / 4.0 <= 12


def test_contributions_of_the_shells_sum_to_one(setting, pool):
    found = estimate(*setting(ctf=True), pool)
    assert found.orientability.shape == (BOX // 2 + 1,)
    assert found.orientability.sum() == pytest.approx(1)
    assert found.orientability[0] == 0
    assert not found.orientability[11:].any()


def test_estimate_depends_on_particles_not_on_threads_or_order(setting, pool):
    case, plan, model = setting()
    first = estimate(case, plan, model, pool)
    with WorkerPool(3) as three:
        assert estimate(case, plan, model, three).angles == first.angles
    reverse = estimate(case, plan, model, pool, rows=np.arange(12)[::-1])
    assert (reverse.angles, reverse.offsets) == pytest.approx((first.angles, first.offsets))


def test_at_most_100_particles_are_used(setting, pool):
    case, plan, model = setting(n=103)
    assert estimate(case, plan, model, pool).angles == pytest.approx(
        estimate(case, plan, model, pool, rows=np.arange(100)).angles
    )


def test_intensity_scale_is_not_applied(setting, pool):
    case, plan, model = setting()
    scaled = replace(model, group_scale=np.array([5.0]))
    assert estimate(case, plan, scaled, pool).angles == estimate(case, plan, model, pool).angles


@pytest.mark.parametrize(
    "changes",
    [{"box_size": 36}, {"magnification": np.diag([1.2, 0.9])}, {"box_size": 64, "pixel_size": 2.0}],
)
def test_pixels_without_reference_do_not_count(changes, setting, optics_group, pool):
    """Other boxes and magnification reach beyond the model's sphere, where nothing is known."""
    plain = estimate(*setting(1e-3), pool)
    other = estimate(*setting(1e-3, groups=[optics_group(**changes)]), pool)
    assert other.angles == pytest.approx(plain.angles, rel=0.3)
    assert other.offsets == pytest.approx(plain.offsets, rel=0.3)
