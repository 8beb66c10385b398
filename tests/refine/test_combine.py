"""Exact images at their true poses: what is inserted and what the map becomes."""

from dataclasses import replace

import numpy as np
import pytest

from aurefine.fourier import fsc_of_maps
from aurefine.geometry.symmetry import point_group
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import begin_batch, mean_squared_ctf
from aurefine.refine.coarse import Pairs
from aurefine.refine.combine import accumulate, backprojection_weights
from aurefine.refine.exact_volume import volume_scales
from aurefine.refine.insertion import Insertion
from aurefine.refine.maximisation import reconstruct, symmetrise
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import build_projector
from aurefine.refine.search import Posterior
from aurefine.refine.sums import complete_sums, empty_sums

BOX, PIXEL = 32, 4.0
FRACTION = 1.3  # Å, what the whole-pixel shift leaves of every offset


def certain_posterior(matrices):
    """One sample of weight one for each particle."""
    n = len(matrices)
    index = np.arange(n)
    zeros = np.zeros(n, np.int64)
    return Posterior(
        pairs=Pairs(np.arange(n + 1), index, zeros, np.zeros(n, np.float32)),
        weights=np.ones((n, 1, 1), np.float32),
        best=index,
        probability=np.ones(n),
        log_total=np.zeros(n),
        orientations=index,
        rotations=matrices[:, None].astype(np.float32),
        group_first=np.arange(n + 1),
        sorted_particle=index,
        sorted_pair=index,
    )


def back_project(case, plan, model, pool):
    """Sums of all particles at their true poses, and their statistics."""
    projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
    sums = empty_sums(
        radius=projector.radius,
        scales=volume_scales(1, case.particles, model, projector, plan),
        padding=2.0,
        box=BOX,
        n_noise_groups=len(model.sigma2_noise),
        n_groups=len(model.group_scale),
        n_directions=1,
    )
    insertion = Insertion(sums.exact, pool, Stopwatch())
    found = []
    offsets = np.stack([case.poses.offset_x, case.poses.offset_y], axis=1)
    particles = case.particles
    for geometry in plan.geometries:
        rows = np.flatnonzero(np.isin(particles.optics, geometry.group_rows))
        origin = np.rint((offsets[rows] - FRACTION) / geometry.pixel_size).astype(np.int64)
        raw = particles.images.read(rows)
        batch = begin_batch(
            particles, rows, raw, origin, None, np.ones(len(rows)), model, plan, geometry, pool, 1,
            mean_squared_ctf(particles, plan, geometry),
        )()  # fmt: skip
        noise_group = particles.noise_group[rows]
        weights = backprojection_weights(batch, noise_group, plan, geometry)
        statistics = accumulate(
            batch,
            (0, len(rows)),
            certain_posterior(case.matrices[rows]),
            batch.transfer,
            *weights,
            noise_group,
            np.ones((1, geometry.pixels.n_pixels), np.float32),
            plan,
            geometry,
            projector,
            insertion,
            pool,
        )
        found.append((geometry, batch, statistics))
    insertion.finish()
    return complete_sums(sums, pool), found


def single_pass(options, **changes):
    """Options of a search without children, at the one offset `FRACTION`."""
    return options(oversampling=0, **changes)


@pytest.fixture
def recover(simulate, options, plan_for, half_model, pool):
    """Function (n, ...) -> map from exact images of given optics at their true poses."""

    def make(n, *, current_size=BOX, symmetry="C1", **optics):
        case = simulate(n, fraction=FRACTION, symmetry=symmetry, **optics)
        plan = plan_for(
            case,
            single_pass(options, ctf=optics.get("ctf", False)),
            current_size=current_size,
            perturbation=FRACTION / PIXEL,
        )
        model = half_model(case)
        for geometry in plan.geometries:
            mean = mean_squared_ctf(case.particles, plan, geometry)
            if mean is not None:  # the noise was multiplied, too
                model.sigma2_noise[:, geometry.pixels.shell] *= mean
        sums, _ = back_project(case, plan, model, pool)
        symmetrise(sums, point_group(symmetry), pool)
        prior = np.zeros(BOX // 2 + 1)
        return case, reconstruct(sums, BOX, current_size // 2, prior, plan.options, pool)

    return make


MAGNIFIED = np.array([[1.03, 0.015], [0.01, 0.96]])
OPTICS = {
    "plain": ([{}], False),
    "ctf": ([{}], True),
    "premultiplied": ([{"is_premultiplied": True}], True),
    "mixed premultiplied": ([{}, {"number": 2, "is_premultiplied": True}], True),
    "finer pixels": ([{}, {"number": 2, "box_size": 64, "pixel_size": 2.0}], True),
    "larger box": ([{}, {"number": 2, "box_size": 44}], True),
    "other box and pixels": ([{"box_size": 40, "pixel_size": 3.5}], True),
    "coarser pixels": ([{}, {"number": 2, "box_size": 30, "pixel_size": 4.5}], True),
    "magnification": ([{"magnification": MAGNIFIED}], True),
    "beam tilt": ([{"beam_tilt_x": 25.0, "beam_tilt_y": -15.0}], True),
    "two beam tilts": ([{"beam_tilt_x": 25.0}, {"number": 2, "beam_tilt_x": -25.0}], True),
    "even aberration": ([{"even_zernike": (0.0, 0.0, 0.0, 0.0, 9000.0)}], True),
}


@pytest.mark.parametrize("name", OPTICS)
def test_true_poses_give_the_map_back(name, recover, optics_group):
    groups, ctf = OPTICS[name]
    case, found = recover(700, groups=[optics_group(**g) for g in groups], ctf=ctf)
    truth = case.blobs.density()
    assert fsc_of_maps(found, truth)[:13].min() > 0.995
    slope = np.polyfit(truth.ravel(), found.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("symmetry", ["D2", "T"])
def test_symmetric_maps_come_back(symmetry, recover):
    case, found = recover(250, symmetry=symmetry)
    assert fsc_of_maps(found, case.blobs.density())[:13].min() > 0.99


@pytest.mark.parametrize("wrong", [{"beam_tilt_x": 0.0}, {"magnification": np.eye(2)}])
def test_ignoring_an_aberration_costs_resolution(
    wrong, simulate, options, plan_for, half_model, optics_group, pool
):
    """The tests above would not pass if an aberration had no effect."""
    (name,) = wrong
    right = {"beam_tilt_x": 40.0, "magnification": np.diag([1.15, 0.9])}[name]
    case = simulate(700, groups=[optics_group(**{name: right})], fraction=FRACTION)
    blind = replace(case, particles=replace(case.particles, optics_groups=(optics_group(**wrong),)))
    plan = plan_for(blind, single_pass(options), perturbation=FRACTION / PIXEL)
    sums, _ = back_project(blind, plan, half_model(blind), pool)
    symmetrise(sums, point_group("C1"), pool)
    found = reconstruct(sums, BOX, 16, np.zeros(17), plan.options, pool)
    assert fsc_of_maps(found, case.blobs.density())[10:13].max() < 0.98


def test_back_projection_weights(simulate, options, plan_for, half_model, pool, optics_group):
    """Over sigma2: s CTF and s^2 CTF^2, s being the scale; premultiplied: s m and s^2 m CTF^2.

    The noise of a premultiplied image is sigma2 CTF^2 / m, m being the mean of CTF^2 in the shell.
    """
    groups = [optics_group(), optics_group(number=2, is_premultiplied=True)]
    case = simulate(2, groups=groups, ctf=True)
    plan = plan_for(case, single_pass(options, ctf=True))
    model = replace(half_model(case, sigma2=0.25), group_scale=np.array([2.0, 3.0]))
    (geometry,) = plan.geometries
    rows = np.arange(2)
    mean_ctf2 = mean_squared_ctf(case.particles, plan, geometry)
    assert mean_ctf2[0] == pytest.approx(1)
    batch = begin_batch(
        case.particles, rows, case.particles.images.read(rows), np.zeros((2, 2), np.int64),
        None, np.ones(2), model, plan, geometry, pool, 1, mean_ctf2,
    )()  # fmt: skip
    numerator, denominator = backprojection_weights(batch, rows, plan, geometry)
    assert numerator[0] == pytest.approx(4 * batch.transfer[0])
    assert denominator[0] == pytest.approx(4 * batch.transfer[0] ** 2)
    assert numerator[1] == pytest.approx(4 * 3 * mean_ctf2[1] * geometry.valid)
    assert denominator[1] == pytest.approx(numerator[1] * batch.transfer[1])  # that is s CTF^2
    shell = geometry.pixels.shell
    mean = np.bincount(shell, batch.transfer[1] / 3) / np.bincount(shell)
    assert mean_ctf2[1] == pytest.approx(mean[shell])


@pytest.mark.parametrize("is_premultiplied", [False, True])
def test_images_of_any_intensity_give_the_map_back(
    is_premultiplied, simulate, options, plan_for, half_model, optics_group, pool
):
    groups = [optics_group(number=n, is_premultiplied=is_premultiplied) for n in (1, 2)]
    case = simulate(700, groups=groups, ctf=True, fraction=FRACTION)
    scale = np.array([0.5, 1.5])
    images = [
        scale[g] * x
        for g, x in zip(case.particles.optics, case.particles.images.images, strict=True)
    ]
    images = replace(case.particles.images, images=images)
    case = replace(case, particles=replace(case.particles, images=images))
    plan = plan_for(case, single_pass(options, ctf=True), perturbation=FRACTION / PIXEL)
    sums, _ = back_project(case, plan, replace(half_model(case), group_scale=scale), pool)
    found = reconstruct(sums, BOX, BOX // 2, np.zeros(BOX // 2 + 1), plan.options, pool)
    slope = np.polyfit(case.blobs.density().ravel(), found.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.03)


def test_statistics_of_exact_images(simulate, options, plan_for, half_model, pool):
    """At the true pose the residual is what interpolation and masking leave."""
    case = simulate(6, ctf=True, fraction=FRACTION)
    plan = plan_for(case, single_pass(options, ctf=True), perturbation=FRACTION / PIXEL)
    _, ((geometry, batch, statistics),) = back_project(case, plan, half_model(case), pool)
    pixels = geometry.pixels
    power = batch.ring_power[:, 1 : pixels.n_shells].sum()
    residual = power + statistics.residual_by_pixel[:, pixels.shell > 0].sum()
    assert statistics.sums[:, 3] == pytest.approx(1)
    assert 0 < residual < 0.01 * power


def test_sums_do_not_depend_on_the_threads(simulate, options, plan_for, half_model, pool):
    case = simulate(60, noise=0.3, fraction=FRACTION)
    plan = plan_for(case, single_pass(options), perturbation=FRACTION / PIXEL)
    sums, ((_, _, statistics),) = back_project(case, plan, half_model(case), pool)
    with WorkerPool(3) as three:
        other, ((_, _, other_statistics),) = back_project(case, plan, half_model(case), three)
    assert np.array_equal(sums.volume, other.volume)
    assert np.array_equal(statistics.residual_by_pixel, other_statistics.residual_by_pixel)
    assert np.array_equal(statistics.sums, other_statistics.sums)
