"""Batches may be aligned in any order, and anywhere."""

import numpy as np
import pytest

from aurefine.refine.expectation import HalfExpectation
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import build_projector
from aurefine.refine.work import WorkList, _evenly, cut_batches

SMALL = {"memory_budget": 1e-3}  # GiB: batches of 8


@pytest.fixture(scope="module")
def setting(simulate, options, plan_for, half_model):
    case = simulate(80, noise=0.5)
    plan = plan_for(case, options(**SMALL), current_size=16)
    return case, plan, half_model(case, len(plan.grid.rot))


def batches_of(case, plan, half=1):
    order = np.flatnonzero(case.particles.half == half)
    return cut_batches(half, order, case.particles, case.poses, plan)


def aligned(setting, pool, batches):
    """All sums after some batches in the given order."""
    case, plan, model = setting
    projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
    step = HalfExpectation(
        1, case.particles, case.poses, model, projector, plan, 7, pool, Stopwatch()
    )
    work = WorkList({1: batches}, lambda n: None)
    step.run(work)
    return step, work


def test_batches_hold_every_particle_once(setting):
    case, plan, _ = setting
    batches = batches_of(case, plan)
    assert len(batches) > 3
    assert [batch.number for batch in batches] == list(range(len(batches)))
    rows = np.concatenate([batch.rows for batch in batches])
    assert sorted(rows) == np.flatnonzero(case.particles.half == 1).tolist()


@pytest.mark.parametrize(
    "n, size, sizes", [(0, 512, []), (63, 512, [63]), (300, 512, [75] * 4), (17, 8, [5, 6, 6])]
)
def test_parts_are_even_and_enough_for_several_processes(n, size, sizes):
    parts = _evenly(np.arange(n), size)
    assert [len(part) for part in parts] == sizes
    assert np.concatenate([*parts, []]).tolist() == list(range(n))


def test_large_sets_make_batches_of_the_allowed_size():
    sizes = {len(part) for part in _evenly(np.arange(100_000), 512)}
    assert sizes == {510, 511}


def test_small_sums_do_not_depend_on_the_order_of_batches(setting, pool):
    case, plan, _ = setting
    batches = batches_of(case, plan)
    one, first = aligned(setting, pool, batches)
    other, second = aligned(setting, pool, batches[::-1])
    assert np.array_equal(one.exact.value(), other.exact.value())
    poses, others = first.new_poses(case.poses), second.new_poses(case.poses)
    assert np.array_equal(poses.log_likelihood, others.log_likelihood)


def test_small_sums_of_two_processes_add_up(setting, pool):
    case, plan, _ = setting
    batches = batches_of(case, plan)
    everything, _ = aligned(setting, pool, batches)
    here, _ = aligned(setting, pool, batches[::2])
    there, _ = aligned(setting, pool, batches[1::2])
    here.exact.digits += there.exact.digits
    assert np.array_equal(here.exact.value(), everything.exact.value())
    assert here.total().weight == everything.total().weight


def test_a_work_list_gives_each_batch_once(setting):
    case, plan, _ = setting
    batches = {half: batches_of(case, plan, half) for half in (1, 2)}
    work = WorkList(batches, lambda n: None)
    given = [work.take(half) for half in (1, 2) for _ in batches[half]]
    assert given == [*batches[1], *batches[2]]
    assert work.take(1) is None
    assert work.take(2) is None
    assert not work.is_complete
