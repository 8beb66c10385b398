"""Whole iterations on small synthetic sets."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from aurefine.errors import AurefineError, ImageError
from aurefine.fourier import fsc_of_maps
from aurefine.geometry.euler import matrix_from_euler, rotation_angle
from aurefine.geometry.symmetry import point_group
from aurefine.imaging import background_weight
from aurefine.optics.groups import OpticsGroup
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.half_sets import HalfSets
from aurefine.refine.initialise import initial_state
from aurefine.refine.iteration import RefinementInput
from aurefine.refine.loop import run_refinement
from aurefine.refine.observer import SilentObserver

PIXEL = 4.0


class Recorder(SilentObserver):
    """Keeps the names of events and the states."""

    def __init__(self):
        self.events, self.states, self.warnings = [], [], []
        self.n_done = 0

    def iteration_started(self, controller):
        self.events.append("iteration")

    def accuracy_estimated(self, controller):
        self.events.append("accuracy")

    def sampling_updated(self, sampling):
        self.events.append("sampling")

    def expectation_started(self, controller, plan, n_particles):
        self.events.append("expectation")

    def particles_done(self, n):
        self.n_done += n

    def halves_joined(self, resolution):
        self.events.append("join")

    def fsc_started(self, is_solvent_corrected):
        self.events.append("masked fsc" if is_solvent_corrected else "fsc")

    def maximisation_started(self):
        self.events.append("maximisation")

    def warn(self, message):
        self.warnings.append(message)

    def checkpoint(self, state, options):
        self.events.append("checkpoint")
        self.states.append(state)
        return state

    def converged(self, state):
        self.events.append("converged")
        self.states.append(state)


@pytest.fixture(scope="module")
def refine(options, pool):
    """Function (case, ...) -> (last state, observer)."""

    def run(case, *, workers=None, mask=None, knows_poses=False, change=None, **changes):
        settings = options(
            **(
                {
                    "offset_range_px": 2.0,
                    "offset_step_px": 2.0,
                    "perturbation_factor": 0.5,
                    "initial_lowpass": 24.0,
                    "low_resol_join_halves": 40.0,
                    "auto_iter_max": 2,
                }
                | changes
            )
        )
        density = case.blobs.density()
        poses = case.poses
        if not knows_poses:
            zero = np.zeros_like(poses.rot)
            poses = replace(poses, rot=zero, tilt=zero, psi=zero, offset_x=zero, offset_y=zero)
        names = tuple(f"mic{g}" for g in range(len(case.particles.optics_groups)))
        workers = workers or pool
        state = initial_state(
            (density, density),
            PIXEL,
            case.particles,
            poses,
            names,
            len(names),
            settings,
            5,
            workers,
        )
        if change is not None:
            state = change(state)
        observer = Recorder()
        data = RefinementInput(case.particles, settings, solvent_mask=mask)
        return run_refinement(state, data, HalfSets(data, workers), observer), observer

    return run


@pytest.fixture(scope="module")
def noisy(simulate):
    """Function (seed) -> 60 particles with noise of twice the signal's standard deviation."""

    def make(**changes):
        return simulate(60, **({"noise": 1.0, "seed": 2} | changes))

    return make


def assert_same(first, second):
    for name in first.poses.__slots__:
        assert np.array_equal(getattr(first.poses, name), getattr(second.poses, name)), name
    for one, other in zip(first.models, second.models, strict=True):
        assert np.array_equal(one.map, other.map)
        assert np.array_equal(one.sigma2_noise, other.sigma2_noise)
        assert np.array_equal(one.fsc, other.fsc)


# gold-standard independence --------------------------------------------------------------------


def test_half_1_does_not_know_the_images_of_half_2(refine, noisy):
    """The unfiltered maps are made from the sums before anything is joined."""
    case, other = noisy(), noisy()
    rng = np.random.default_rng(9)
    for i in np.flatnonzero(case.particles.half == 2):
        image = other.particles.images.images[i]
        image[:] = rng.normal(size=image.shape)
    # a converged iteration keeps the unfiltered half maps
    settings = {"force_converge": True, "auto_iter_max": 1}
    before, _ = refine(case, **settings)
    after, _ = refine(other, **settings)
    assert before.is_joined
    assert np.array_equal(before.unfiltered_maps[0], after.unfiltered_maps[0])
    assert not np.array_equal(before.unfiltered_maps[1], after.unfiltered_maps[1])
    one = case.particles.half == 1
    for name in ("rot", "tilt", "psi", "offset_x", "pmax", "log_likelihood", "norm_correction"):
        assert np.array_equal(getattr(before.poses, name)[one], getattr(after.poses, name)[one])


def test_halves_share_only_what_they_may(refine, noisy):
    state, _ = refine(noisy(), low_resol_join_halves=-1.0)
    first, second = state.models
    assert np.array_equal(first.fsc, second.fsc)
    assert np.array_equal(first.data_vs_prior, second.data_vs_prior)
    assert first.average_pmax == second.average_pmax
    for name in ("map", "sigma2_noise", "tau2", "sigma2_map", "direction_prior"):
        assert not np.array_equal(getattr(first, name), getattr(second, name)), name
    for name in ("norm_average", "sigma_offset", "log_likelihood"):
        assert getattr(first, name) != getattr(second, name), name


def test_a_particle_in_the_wrong_half_stops_the_run(refine, noisy):
    def swap(state):
        half = state.poses.half.copy()
        half[[3, 4]] = half[[4, 3]]
        return replace(state, poses=replace(state.poses, half=half))

    with pytest.raises(AurefineError, match="belongs to half"):
        refine(noisy(), change=swap)


def test_low_resolution_is_joined(refine, noisy):
    """At 40 Å the halves are averaged, so that the FSC is one up to shell 4."""
    state, observer = refine(noisy(), auto_iter_max=1)
    assert "join" in observer.events
    assert state.models[0].fsc[:4] == pytest.approx(1, abs=1e-4)
    assert state.models[0].fsc[5] < 0.9999


# reproducibility -------------------------------------------------------------------------------


@pytest.mark.parametrize("zero_mask", [True, False])
def test_results_are_bitwise_the_same_with_two_threads(zero_mask, refine, noisy):
    case = noisy(ctf=True)
    first, _ = refine(case, zero_mask=zero_mask, ctf=True)
    with WorkerPool(2) as workers:
        second, _ = refine(case, workers=workers, zero_mask=zero_mask, ctf=True)
    assert_same(first, second)


def test_local_searches_do_not_depend_on_the_threads(refine, noisy):
    settings = {"knows_poses": True, "healpix_order": 4, "auto_iter_max": 1}
    first, _ = refine(noisy(), **settings)
    with WorkerPool(3) as workers:
        second, _ = refine(noisy(), workers=workers, **settings)
    assert first.sampling.is_local
    assert_same(first, second)


def test_a_run_can_be_taken_up_again(refine, noisy):
    """The same iterations whether or not the loop was left in between."""
    case = noisy()
    whole, observer = refine(case, auto_iter_max=3)
    again, _ = refine(case, auto_iter_max=3, change=lambda _: observer.states[0])
    assert_same(whole, again)
    assert again.controller == whole.controller


def test_maps_of_past_iterations_are_forgotten(refine, noisy, monkeypatch):
    """Without waiting for the garbage collector: a map may have a gigabyte."""
    maps, alive = [], []

    def checkpoint(self, state, options):
        maps.append([weakref.ref(model.map) for model in state.models])
        alive.append([sum(ref() is not None for ref in refs) for refs in maps])
        return state

    monkeypatch.setattr(Recorder, "checkpoint", checkpoint)
    gc.disable()
    try:
        refine(noisy(), auto_iter_max=4)
    finally:
        gc.enable()
    assert alive[-1] == [0, 0, 0, 2]


def test_noise_fill_depends_on_the_seed_only(refine, noisy):
    first, _ = refine(noisy(), zero_mask=False, auto_iter_max=1)
    second, _ = refine(noisy(), zero_mask=False, auto_iter_max=1)
    other, _ = refine(
        noisy(), zero_mask=False, auto_iter_max=1, change=lambda s: replace(s, random_seed=6)
    )
    assert_same(first, second)
    assert not np.array_equal(first.models[0].map, other.models[0].map)


# course of a run -------------------------------------------------------------------------------


def test_events_of_two_iterations(refine, noisy):
    state, observer = refine(noisy())
    one = ["iteration", "accuracy", "expectation", "join", "fsc", "maximisation", "checkpoint"]
    two = [*one[:2], "sampling", *one[2:]]
    assert observer.events == [*one, *two]
    assert observer.n_done == 120
    assert state.controller.iteration == 2
    assert not state.is_joined
    assert state.times.peak_memory > 0
    assert {"coarse scoring", "fine scoring", "reconstruction"} <= set(state.times.seconds)


def test_a_correlation_iteration_keeps_noise_and_resolution(refine, noisy):
    state, observer = refine(noisy(), firstiter_cc=True, auto_iter_max=1)
    assert "accuracy" not in observer.events
    assert (state.poses.pmax == 1).all()
    model = state.models[0]
    assert np.array_equal(model.sigma2_noise[0], state.models[1].sigma2_noise[0])
    # 128 Å / 24 Å = 5.3
    assert state.controller.current_frequency == pytest.approx(5 / 128)
    transform = np.fft.rfftn(np.fft.ifftshift(model.map))
    assert np.abs(transform[0, 0, 9:]).max() < 0.01 * np.abs(transform[0, 0, :4]).max()
    assert 0 < model.log_likelihood < 1


def test_the_last_iteration_joins_the_halves(refine, noisy):
    state, observer = refine(noisy(), force_converge=True, auto_iter_max=9)
    assert observer.events[-1] == "converged"
    assert state.controller.has_converged
    assert state.controller.iteration == 1
    assert state.controller.current_size == 32
    assert len(state.models) == 1
    assert len(state.unfiltered_maps) == 2
    model = state.models[0]
    f = np.clip(model.fsc, 0.001, None)
    f = np.minimum(np.sqrt(2 * f / (1 + f)), 0.999)
    assert model.data_vs_prior == pytest.approx(f / (1 - f))
    # no solvent mask: density outside the particle is not flat
    assert np.ptp(model.map[:3]) > 0


def test_the_joined_model_keeps_the_particle_counts_of_half_1(refine, noisy):
    """As the final model file does (spec 7.3)."""
    case = noisy()
    case.particles.half[:10] = 1
    state, _ = refine(case, force_converge=True)
    assert state.models[0].group_n_particles.tolist() == [np.sum(case.particles.half == 1)]


def test_maps_are_masked_between_iterations(refine, noisy):
    state, _ = refine(noisy(), auto_iter_max=1)
    z, y, x = np.indices((32,) * 3) - 16
    outside = np.sqrt(x**2 + y**2 + z**2) > 110 / 8 + 2
    assert not state.models[0].map[outside].any()
    plain, _ = refine(noisy(), auto_iter_max=1, flatten_solvent=False)
    assert plain.models[0].map[outside].any()


def test_solvent_corrected_fsc_keeps_unfiltered_maps(refine, noisy, blobs):
    density = blobs().density()
    mask = (density > 0.1 * density.max()).astype(np.float32)
    state, observer = refine(noisy(), mask=mask, solvent_correct_fsc=True, auto_iter_max=1)
    assert "masked fsc" in observer.events
    assert len(state.unfiltered_maps) == 2
    assert not state.models[0].map[mask == 0].any()


def test_a_run_stops_at_the_resolution_asked_for(refine, noisy):
    state, _ = refine(noisy(), abort_at_resolution=1000.0, auto_iter_max=5)
    assert state.controller.iteration == 1


def test_a_bad_image_stops_the_run(refine, noisy):
    case = noisy()
    case.particles.images.images[17][5, 5] = np.nan
    with pytest.raises(ImageError, match="row 18"):
        refine(case)


@pytest.fixture(scope="module")
def finished(refine, simulate):
    """A whole run to convergence: 120 particles of D2, CTF, two optics groups."""
    common = {"voltage": 300.0, "spherical_aberration": 2.7, "amplitude_contrast": 0.1}
    groups = [
        OpticsGroup(number=1, name="a", pixel_size=PIXEL, box_size=32, **common),
        OpticsGroup(number=2, name="b", pixel_size=2.0, box_size=64, beam_tilt_x=15.0, **common),
    ]
    case = simulate(120, groups=groups, symmetry="D2", ctf=True, noise=0.5, seed=4)
    state, observer = refine(
        case, symmetry="D2", ctf=True, auto_iter_max=25, healpix_order=2, firstiter_cc=True
    )
    return case, state, observer


def test_a_run_converges_to_the_map(finished):
    case, state, observer = finished
    assert observer.events[-1] == "converged"
    fsc = fsc_of_maps(state.models[0].map, case.blobs.density())
    assert fsc[:9].min() > 0.95
    assert state.controller.current_frequency >= 8 / 128
    slope = np.polyfit(case.blobs.density().ravel(), state.models[0].map.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.15)


def test_a_run_finds_the_poses(finished):
    case, state, _ = finished
    found = matrix_from_euler(state.poses.rot, state.poses.tilt, state.poses.psi)
    mates = np.stack([found @ r for r in point_group("D2").matrices])
    error = np.min([rotation_angle(case.matrices, mate) for mate in mates], axis=0)
    assert np.median(error) < 4
    assert np.median(np.abs(state.poses.offset_x - case.poses.offset_x)) < 1.0


def test_a_run_measures_the_noise(finished):
    """White noise of standard deviation 0.5, of which the mask keeps the part inside."""
    _, state, _ = finished
    sigma2 = state.models[0].sigma2_noise
    for row, (box, pixel) in enumerate([(32, 4.0), (64, 2.0)]):
        kept = ((1 - background_weight(box, 2, 110 / (2 * pixel), 2)) ** 2).mean()
        # 60 images of 12 and more pixels per shell
        expected = kept * 0.5**2 / (2 * box**2)
        assert sigma2[row, 4:16] == pytest.approx(expected, rel=0.2)


def test_sampling_and_resolution_of_a_run(finished):
    _, state, observer = finished
    orders = [s.sampling.order for s in observer.states]
    assert orders == sorted(orders)
    assert orders[-1] > orders[0]
    priors = [(len(s.models[0].direction_prior), len(s.direction_rot)) for s in observer.states]
    assert all(a == b for a, b in priors)
    assert state.models[0].direction_prior.sum() == pytest.approx(1)
    perturbations = {round(s.sampling.perturbation, 6) for s in observer.states}
    assert len(perturbations) == len(observer.states)


def test_the_intensity_scale_counts_without_ctf_correction(refine, noisy):
    def double_map_at_half_scale(state):
        models = tuple(
            replace(m, map=2 * m.map, group_scale=0.5 * m.group_scale) for m in state.models
        )
        return replace(state, models=models)

    case = noisy()
    plain, _ = refine(case, auto_iter_max=1)
    scaled, _ = refine(case, auto_iter_max=1, change=double_map_at_half_scale)
    assert np.array_equal(plain.poses.n_significant, scaled.poses.n_significant)
    assert np.allclose(plain.poses.log_likelihood, scaled.poses.log_likelihood, atol=0.05)
