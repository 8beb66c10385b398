"""The automation as tables from chapter 5 of the specification."""

from dataclasses import replace

import numpy as np
import pytest

from aurefine.refine import schedule
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import ControllerState, SamplingState

BOX, PIXEL = 100, 2.0  # one shell is 1 / 200 Å


def controller(**changes):
    return replace(ControllerState(iteration=3, current_frequency=10 / (BOX * PIXEL)), **changes)


def sampling(**changes):
    values = {
        "order": 2,
        "psi_step": 15.0,
        "offset_range": 10.0,
        "offset_step": 4.0,
        "oversampling": 1,
        "perturbation": 0.0,
        "perturbation_factor": 0.5,
        "is_local": False,
        "sigma_angle": 0.0,
        "original_order": 2,
        "original_psi_step": 15.0,
        "original_offset_range": 10.0,
        "original_offset_step": 4.0,
    }
    return SamplingState(**(values | changes))


def curve(*below, value=0.5, otherwise=2.0):
    """Spectrum of 51 shells: `otherwise`, but `value` in the given shells."""
    out = np.full(BOX // 2 + 1, otherwise)
    out[list(below)] = value
    return out


# image size (3.1) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frequency_shell, pmax, has_high_fsc, incr_size, expected",
    [
        (10, 0.05, False, 10, 40),
        (10, 0.5, False, 10, 40),
        (10, 0.05, True, 10, 40),
        (10, 0.1, True, 10, 40),  # Pmax must exceed 0.1
        (10, 0.11, True, 10, 2 * (10 + 13)),  # 12.5 shells round to 13
        (10, 0.5, False, 17, 54),
        (45, 0.5, False, 10, 100),  # never larger than the box
    ],
)
def test_image_size(frequency_shell, pmax, has_high_fsc, incr_size, expected):
    state = controller(
        current_frequency=frequency_shell / (BOX * PIXEL),
        has_high_fsc_at_limit=has_high_fsc,
        incr_size=incr_size,
    )
    assert schedule.update_image_size(state, BOX, PIXEL, pmax).current_size == expected


def test_the_last_iteration_uses_the_whole_box():
    state = controller(has_converged=True)
    assert schedule.update_image_size(state, BOX, PIXEL, 0.5).current_size == BOX


def fsc_curve(*, half, seventh, n=BOX // 2 + 1):
    """FSC that falls below 0.5 at shell `half` and below 0.143 at shell `seventh`."""
    shell = np.arange(n)
    return np.where(shell < half, 0.9, np.where(shell < seventh, 0.3, 0.0))


@pytest.mark.parametrize(
    "half, seventh, before, expected",
    [
        (10, 12, 10, 10),  # 12 - 10 + 5 = 7: no narrower than before
        (10, 20, 10, 15),
        (10, 20, 16, 16),
        (60, 60, 10, 10),  # neither crossing: -1 - -1 + 5
        (10, 60, 10, 10),  # no second crossing: -1 - 10 + 5
    ],
)
def test_the_margin_only_grows(half, seventh, before, expected):
    state = controller(current_size=100, incr_size=before)
    assert (
        schedule.widen_from_fsc(state, fsc_curve(half=half, seventh=seventh)).incr_size == expected
    )


@pytest.mark.parametrize(
    "value, before, expected",
    [(0.19, False, False), (0.2, False, False), (0.21, False, True), (0.0, True, True)],
)
def test_a_high_fsc_at_the_limit_is_remembered(value, before, expected):
    fsc = np.zeros(BOX // 2 + 1)
    fsc[40 // 2 - 1] = value
    state = controller(current_size=40, has_high_fsc_at_limit=before)
    assert schedule.widen_from_fsc(state, fsc).has_high_fsc_at_limit is expected


# convergence (5.3) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "is_fine_enough, n_res, n_hid, ignores_angles, expected",
    [
        (True, 1, 1, False, True),
        (True, 2, 5, False, True),
        (False, 1, 1, False, False),
        (True, 0, 1, False, False),
        (True, 1, 0, False, False),
        (True, 1, 0, True, True),
        (True, 0, 1, True, False),
    ],
)
def test_convergence(is_fine_enough, n_res, n_hid, ignores_angles, expected):
    state = controller(
        is_fine_enough=is_fine_enough,
        n_iter_without_resolution_gain=n_res,
        n_iter_without_assignment_change=n_hid,
    )
    options = RefineOptions(auto_ignore_angles=ignores_angles)
    assert schedule.is_converged(state, options) is expected


# resolution (5.4) ------------------------------------------------------------------------------

FALLING = np.where(np.arange(BOX // 2 + 1) <= 20, 5.0, 0.2)


@pytest.mark.parametrize(
    "spectrum, shell, crosses_twice",
    [
        (FALLING, 20, False),  # the last shell before the first one below 1
        (np.full(51, 9.0), 49, False),  # never below 1: box / 2 - 1
        (np.full(51, 0.5), 5, False),  # no better than the fifth shell, no worse either
        (curve(30, value=0.9), 49, True),  # a dip, and above 1 again up to the end
        (np.where(np.isin(np.arange(51), [24]), 2.0, FALLING), 24, True),
        (np.where(np.isin(np.arange(51), [23]), 2.0, FALLING), 20, False),  # within 3 shells
    ],
)
def test_resolution_from_the_signal_to_noise(spectrum, shell, crosses_twice):
    found, warns = schedule.update_resolution(controller(), spectrum, BOX, PIXEL, RefineOptions())
    assert found.current_frequency == pytest.approx(shell / (BOX * PIXEL))
    assert warns is crosses_twice


@pytest.mark.parametrize(
    "iteration, firstiter_cc, shell",
    [(0, False, 4), (0, True, 4), (1, True, 4), (1, False, 20), (2, True, 20)],
)
def test_the_initial_filter_sets_the_first_resolution(iteration, firstiter_cc, shell):
    options = RefineOptions(initial_lowpass=50.0, firstiter_cc=firstiter_cc)
    found, _ = schedule.update_resolution(
        controller(iteration=iteration), FALLING, BOX, PIXEL, options
    )
    assert found.current_frequency == pytest.approx(shell / (BOX * PIXEL))


@pytest.mark.parametrize(
    "old_shell, expected", [(19, 0), (20, 3), (21, 3), (30, 3), (19.99, 3), (19.97, 0)]
)
def test_gain_is_counted_against_the_previous_iteration(old_shell, expected):
    """More than 0.0001 1/Å is a gain; shell 20 is 0.1 1/Å, so 0.02 shells are the tolerance."""
    state = controller(
        current_frequency=old_shell / (BOX * PIXEL),
        best_frequency=0.2,
        n_iter_without_resolution_gain=2,
    )
    found, _ = schedule.update_resolution(state, FALLING, BOX, PIXEL, RefineOptions())
    assert found.n_iter_without_resolution_gain == expected
    assert found.best_frequency == 0.2


# sampling (5.6) --------------------------------------------------------------------------------

READY = {"n_iter_without_resolution_gain": 1, "n_iter_without_assignment_change": 1}
ACCURATE = {"accuracy_angles": 1.0, "accuracy_offsets": 1.0, "changes_offsets": 1.0}


def update(state, steps, *, diameter=100.0, **options):
    return schedule.update_sampling(state, steps, diameter, RefineOptions(**options))


@pytest.mark.parametrize(
    "n_res, n_hid, options, diameter, refines",
    [
        (0, 0, {}, 100, False),
        (1, 0, {}, 100, False),
        (0, 1, {}, 100, False),
        (1, 1, {}, 100, True),
        (1, 0, {"auto_ignore_angles": True}, 100, True),
        # resolution 20 Å: a diameter of 400 Å needs 360 / 63 = 5.7 degrees, 100 Å needs 22.5
        (0, 1, {"auto_resol_angles": True}, 400, True),
        (0, 1, {"auto_resol_angles": True}, 100, False),
        # never for the step into local searches
        (0, 1, {"auto_resol_angles": True, "auto_local_healpix_order": 3}, 400, False),
        (1, 1, {"auto_resol_angles": True, "auto_local_healpix_order": 3}, 400, True),
    ],
)
def test_when_the_sampling_is_refined(n_res, n_hid, options, diameter, refines):
    state = controller(
        n_iter_without_resolution_gain=n_res, n_iter_without_assignment_change=n_hid, **ACCURATE
    )
    found, steps = update(state, sampling(), diameter=diameter, **options)
    assert (steps.order == 3) is refines
    if refines:
        counters = found.n_iter_without_resolution_gain, found.n_iter_without_assignment_change
        assert counters == (0, 0)
    else:
        assert found == state


def test_required_step_is_an_arc_of_the_resolution_at_the_edge():
    assert schedule.required_angular_step(controller(), 400.0) == pytest.approx(360 / 63)


@pytest.mark.parametrize(
    "accuracy, options, is_fine_enough",
    [
        # the fine step is 7.5 degrees
        (9.9, {}, False),
        (10.1, {}, True),
        (10.1, {"minimum_angular_sampling": 5.0}, False),
        (10.1, {"minimum_angular_sampling": 8.0}, True),
        (1.0, {"maximum_angular_sampling": 8.0}, True),
        (1.0, {"maximum_angular_sampling": 7.0}, False),
        (1.0, {"maximum_angular_sampling": 8.0, "minimum_angular_sampling": 5.0}, True),
    ],
)
def test_when_the_sampling_is_fine_enough(accuracy, options, is_fine_enough):
    state = controller(**(READY | ACCURATE | {"accuracy_angles": accuracy}))
    found, steps = update(state, sampling(), **options)
    assert found.is_fine_enough is is_fine_enough
    assert steps.order == (2 if is_fine_enough else 3)
    if is_fine_enough:
        assert found.n_iter_without_resolution_gain == 1


def test_fine_enough_is_withdrawn_when_the_sampling_is_refined():
    state = controller(**READY, **ACCURATE, is_fine_enough=True)
    assert not update(state, sampling())[0].is_fine_enough


@pytest.mark.parametrize(
    "accuracy, change, step, reach, new_step, new_reach",
    [
        # step = min(1.5, 0.75 acc) * 2; range = 5 changes <= 1.3 old, >= 1.5 steps
        (1.0, 1.0, 4.0, 10.0, 1.5, 5.0),
        (1.0, 0.1, 4.0, 10.0, 1.5, 2.25),
        (4.0, 1.0, 4.0, 10.0, 3.0, 5.0),  # at most 1.5 Å before oversampling
        (2.0, 9.0, 4.0, 10.0, 3.0, 6.5),  # 13 > 4 steps: halved
        (1.0, 9.0, 4.0, 20.0, 3.25, 13.0),  # halved to 13, still > 4 steps of 1.5: step = 13 / 4
        (2.0, 1.0, 2.0, 3.0, 2.0, 3.0),  # never coarser: both are kept
    ],
)
def test_new_offset_sampling(accuracy, change, step, reach, new_step, new_reach):
    state = controller(
        **(READY | ACCURATE | {"accuracy_offsets": accuracy, "changes_offsets": change})
    )
    _, steps = update(state, sampling(offset_step=step, offset_range=reach))
    assert (steps.offset_step, steps.offset_range) == pytest.approx((new_step, new_reach))


@pytest.mark.parametrize(
    "order, is_local, sigma",
    [(2, False, 0.0), (3, True, 2 * 1.875), (4, True, 2 * 0.9375), (5, True, 2 * 0.46875)],
)
def test_local_searches_start_at_their_order(order, is_local, sigma):
    state = controller(**(READY | ACCURATE | {"accuracy_angles": 0.1}))
    _, steps = update(state, sampling(order=order))
    assert steps.order == order + 1
    assert steps.psi_step == pytest.approx(360 / (6 * 2 ** (order + 1)))
    assert (steps.is_local, steps.sigma_angle) == (is_local, pytest.approx(sigma))


def test_smallest_changes_start_again_with_a_finer_sampling():
    state = controller(
        **READY, **ACCURATE, smallest_classes=0, smallest_offsets=0.3, smallest_angles=0.2
    )
    found, _ = update(state, sampling())
    smallest = found.smallest_classes, found.smallest_offsets, found.smallest_angles
    assert smallest == (9999999, 999.0, 999.0)


# changes in the assignments (5.7) --------------------------------------------------------------


@pytest.mark.parametrize(
    "angles, offsets, classes, expected",
    [
        # fine steps 7.5 degrees and 2 Å; smallest so far 4 degrees, 1.5 Å
        (3.9, 1.49, 0.0, 3),  # less than 3 % better
        (3.8, 1.49, 0.0, 0),  # angles improve by 5 %
        (3.9, 1.40, 0.0, 0),  # offsets improve
        (2.9, 0.79, 0.0, 3),  # below 40 % of the steps
        (2.9, 1.49, 0.0, 3),
        (3.9, 0.79, 0.0, 3),
        (50.0, 9.0, 0.0, 3),  # larger changes are no improvement either
    ],
)
def test_iterations_without_changes(angles, offsets, classes, expected):
    state = controller(
        smallest_angles=4.0,
        smallest_offsets=1.5,
        smallest_classes=0,
        n_iter_without_assignment_change=2,
    )
    found = schedule.update_assignments(state, sampling(), angles, offsets, classes)
    assert found.n_iter_without_assignment_change == expected
    assert found.smallest_angles == min(4.0, angles)
    assert found.smallest_offsets == min(1.5, offsets)
    assert (found.changes_angles, found.changes_offsets) == (angles, offsets)


def test_the_first_changes_are_an_improvement():
    state = ControllerState(iteration=1)
    found = schedule.update_assignments(state, sampling(), 60.0, 9.0, 1.0)
    assert found.n_iter_without_assignment_change == 0
    assert found.smallest_classes == 1


def test_changes_are_means_over_the_particles():
    found = schedule.assignment_changes(
        np.array([1.0, 3.0]),
        np.array([[0.0, 0.0], [1.0, 1.0]]),
        np.array([[3.0, 4.0], [1.0, 1.0]]),
        np.array([1, 1]),
        np.array([1, 2]),
    )
    # offsets: root of (3^2 + 4^2) / (2 * 2)
    assert found == pytest.approx((2.0, 2.5, 0.5))
