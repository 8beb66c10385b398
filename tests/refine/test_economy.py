"""What iterations leave out, and that it makes no difference where it must make none."""

from dataclasses import replace

import numpy as np
import pytest

from aurefine.fourier import lowpass_filter
from aurefine.geometry.euler import matrix_from_euler, rotation_angle
from aurefine.refine import economy, schedule
from aurefine.refine.half_sets import HalfSets
from aurefine.refine.initialise import initial_sampling, initial_state
from aurefine.refine.iteration import RefinementInput
from aurefine.refine.loop import run_refinement
from aurefine.refine.observer import SilentObserver
from aurefine.refine.pixels import half_plane_rings
from aurefine.refine.state import ControllerState


class States(SilentObserver):
    """Keeps the number of particles and the state of every iteration."""

    def __init__(self):
        self.states, self.n_used = [], []

    def expectation_started(self, controller, plan, n_particles):
        self.n_used.append(n_particles)

    def checkpoint(self, state, options):
        self.states.append(state)
        return state


@pytest.fixture(scope="module")
def refine(simulate, options, pool):
    """Function (**options) -> (case, States) of some iterations from a good map."""

    def run(n_iterations=2, **changes):
        case = simulate(80, noise=1.0, seed=4)
        settings = options(
            **(
                {
                    "offset_range_px": 2.0,
                    "offset_step_px": 2.0,
                    "initial_lowpass": 24.0,
                    "auto_iter_max": n_iterations,
                }
                | changes
            )
        )
        zero = np.zeros(80)
        poses = replace(
            case.poses, rot=zero, tilt=zero, psi=zero, offset_x=zero, offset_y=zero, pmax=zero
        )
        density = case.blobs.density()
        state = initial_state(
            (density, density), 4.0, case.particles, poses, ("mic",), 1, settings, 5, pool
        )
        observer = States()
        data = RefinementInput(case.particles, settings)
        run_refinement(state, data, HalfSets(data, pool), observer)
        return case, observer

    return run


def angles_between(first, second):
    """Rotation between the poses of two states, per particle [degrees]."""
    matrices = [matrix_from_euler(p.rot, p.tilt, p.psi) for p in (first, second)]
    return rotation_angle(matrices[0], matrices[1])


# a subset of the particles ---------------------------------------------------------------------


def test_a_subset_ends_when_the_resolution_no_longer_grows(options):
    settings = options(early_particles=100)
    first = ControllerState(iteration=1)
    assert schedule.uses_subset(first, settings)
    assert not schedule.uses_subset(first, options())
    assert not schedule.uses_subset(replace(first, has_converged=True), settings)
    growing = replace(first, iteration=3)
    assert schedule.end_subset(growing) == growing
    settled = replace(growing, n_iter_without_resolution_gain=1, n_iter_without_assignment_change=2)
    ended = schedule.end_subset(settled)
    assert not schedule.uses_subset(ended, settings)
    assert ended.n_iter_without_resolution_gain == ended.n_iter_without_assignment_change == 0


def test_a_subset_is_the_same_in_every_iteration_and_all_follow(refine):
    _, observer = refine(5, early_particles=25)
    used = np.array(observer.n_used)
    assert used[0] == 50
    assert used[-1] == 80
    assert (np.diff(used) >= 0).all()
    untouched = observer.states[0].poses.n_significant == 0
    assert untouched.sum() == 30
    for state, n in zip(observer.states, used, strict=True):
        assert ((state.poses.n_significant == 0) == (untouched & (n == 50))).all()
    # changes of poses are those of particles that had a pose before
    first_full = int(np.flatnonzero(used == 80)[0])
    before, after = observer.states[first_full - 1], observer.states[first_full]
    assert after.controller.changes_angles < angles_between(before.poses, after.poses).mean()


def test_a_subset_empties_no_direction(refine):
    _, observer = refine(1, early_particles=25)
    assert (observer.states[0].models[0].direction_prior > 0).all()
    _, everybody = refine(1)
    assert not (everybody.states[0].models[0].direction_prior > 0).all()


# shells that tell nothing ------------------------------------------------------------------------


def test_shells_without_signal_are_not_scored(half_model, simulate, options):
    """A map of white noise, low-passed at 5.5 of 16 shells."""
    case = simulate(4)
    noise = np.random.default_rng(3).normal(size=(32,) * 3).astype(np.float32)
    model = replace(half_model(case, sigma2=1e-7), map=lowpass_filter(noise, 4.0, 32 * 4 / 5.5))
    settings = options(scoring_tolerance=1e-3)
    assert economy.scored_size(model, [4], 30, settings) == 2 * 6
    assert economy.scored_size(model, [4], 10, settings) == 10
    assert economy.scored_size(model, [4], 30, options()) == 30
    empty = replace(model, map=np.zeros_like(noise))
    assert economy.scored_size(empty, [4], 30, settings) == 2


def test_the_tolerance_bounds_what_the_left_out_shells_hold(half_model, simulate, options):
    """White noise of variance v has the power v / (2 n) per component, in every shell."""
    case = simulate(4)
    noise = np.random.default_rng(3).normal(size=(32,) * 3).astype(np.float32)
    model = replace(half_model(case, sigma2=1.0), map=noise)
    _, n_pixels = half_plane_rings(32)
    share = n_pixels / (2 * 32) / 2
    for first_left_out in (5, 12, 15):
        outside = share[first_left_out:16].sum()
        size = economy.scored_size(model, [4], 30, options(scoring_tolerance=outside))
        assert abs(size / 2 - (first_left_out - 1)) <= 1  # shells are noisy
        tight = options(scoring_tolerance=outside / 100)
        assert economy.scored_size(model, [4], 30, tight) == 30


def test_leaving_shells_out_keeps_poses_and_map(refine):
    _, full = refine(1, initial_lowpass=12.0, scoring_tolerance=0.0)
    _, less = refine(1, initial_lowpass=12.0, scoring_tolerance=1e-3)
    one, other = full.states[-1], less.states[-1]
    assert not np.array_equal(one.poses.pmax, other.poses.pmax)
    assert np.quantile(angles_between(one.poses, other.poses), 0.95) < 1e-3
    # a log-likelihood of 1e-3 changes differences of scores by sqrt(2e-3), and Pmax by a few 0.01
    assert np.allclose(one.poses.pmax, other.poses.pmax, atol=0.1)
    error = np.linalg.norm(one.models[0].map - other.models[0].map)
    assert error < 0.02 * np.linalg.norm(one.models[0].map)


# sampling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accuracy, expected",
    [(20.0, 3), (5.1, 3), (4.9, 4), (2.6, 4), (0.5, 4)],  # 3.75 < 0.75 * 5.1
)
def test_a_jump_goes_to_the_step_that_the_accuracy_calls_for(options, accuracy, expected):
    settings = options(healpix_order=2, jump_sampling=True)
    controller = ControllerState(
        iteration=4,
        current_frequency=0.05,
        accuracy_angles=accuracy,
        accuracy_offsets=1.0,
        n_iter_without_resolution_gain=1,
        n_iter_without_assignment_change=1,
    )
    sampling = initial_sampling(settings, 4.0)
    _, finer = schedule.update_sampling(controller, sampling, 100.0, settings)
    _, usual = schedule.update_sampling(controller, sampling, 100.0, options(healpix_order=2))
    if accuracy < 10.0:  # 7.5 degrees are not fine enough
        assert finer.order == expected
        assert usual.order == 3
    else:
        assert finer.order == usual.order == 2
    assert finer.is_local == (finer.order >= 4)


# known poses -------------------------------------------------------------------------------------


def test_poses_are_reused_after_an_iteration_with_likelihoods(options):
    settings = options(reuse_poses=0.9, firstiter_cc=True, healpix_order=2)
    sampling = initial_sampling(settings, 4.0)
    uses = [
        economy.reuses_poses(ControllerState(iteration=i), sampling, settings) for i in (1, 2, 3)
    ]
    assert uses == [False, False, True]
    late = ControllerState(iteration=5)
    assert not economy.reuses_poses(late, replace(sampling, is_local=True), settings)
    assert not economy.reuses_poses(late, sampling, options(healpix_order=2))
    assert not economy.reuses_poses(late, sampling, replace(settings, always_cc=True))


def test_a_search_around_known_poses_finds_what_a_global_one_finds(refine):
    _, everywhere = refine(3, healpix_order=2)
    _, near = refine(3, healpix_order=2, reuse_poses=0.5)
    one, other = everywhere.states[-1], near.states[-1]
    known = everywhere.states[1].poses.pmax >= 0.5
    assert known.sum() > 10
    assert np.median(angles_between(one.poses, other.poses)[known]) < 1e-3
    same = np.isclose(one.poses.pmax, other.poses.pmax, atol=0.05)
    assert same[known].mean() > 0.8
    assert (angles_between(one.poses, other.poses)[~known] < 1e-3).mean() > 0.9
