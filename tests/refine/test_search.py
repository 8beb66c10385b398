"""The two-pass search against the sums of the specification, written out for every sample."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from aurefine.errors import AurefineError, ImageError
from aurefine.geometry.euler import matrix_from_euler, rotation_angle
from aurefine.geometry.symmetry import angular_change, point_group
from aurefine.kernels import reference
from aurefine.kernels.byte_products import WIDTH
from aurefine.kernels.ctf import ctf_values
from aurefine.kernels.reference_search import score_list
from aurefine.kernels.scoring import shifted_rows
from aurefine.refine import coarse, exhaustive
from aurefine.refine.batch import begin_batch, mean_squared_ctf
from aurefine.refine.coarse import first_look_pixels, make_coarse_table, score_weights
from aurefine.refine.expectation import HalfExpectation
from aurefine.refine.pixels import half_plane_rings
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import build_projector
from aurefine.refine.search import _distinct, child_rotations, fill_child_rotations
from aurefine.refine.state import Poses
from aurefine.refine.sums import HalfSums
from aurefine.refine.work import WorkList, cut_batches

BOX, PIXEL = 32, 4.0
FRACTION = 1.3  # Å
LOCAL = {"order": 4, "psi_step": 3.75, "is_local": True, "sigma_angle": 3.75}


def align(case, plan, model, pool, *, half=1, rows=None, poses=None):
    rows = np.flatnonzero(case.particles.half == half) if rows is None else np.asarray(rows)
    poses = case.poses if poses is None else poses
    projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
    work = WorkList({half: cut_batches(half, rows, case.particles, poses, plan)}, lambda n: None)
    step = HalfExpectation(
        half, case.particles, poses, model, projector, plan, 7, pool, Stopwatch()
    )
    step.run(work)
    assert work.is_complete
    return Aligned(step.total(), np.sort(rows), work.new_poses(poses))


@dataclass(frozen=True)
class Aligned:
    """Sums and new poses of some particles."""

    sums: HalfSums
    rows: np.ndarray
    poses: Poses

    def __getattr__(self, name):
        """Return a column of the poses, row by row."""
        return getattr(self.poses, name)[self.rows]


def without_poses(case):
    """Poses that know nothing but the offset in whole pixels."""
    zero = np.zeros_like(case.poses.rot)
    return replace(case.poses, rot=zero, tilt=zero, psi=zero)


def pose_errors(case, result, symmetry="C1"):
    found = matrix_from_euler(result.rot, result.tilt, result.psi)
    return rotation_angle(case.matrices[result.rows], found)


@pytest.mark.parametrize(
    "changes, ctf",
    [
        ({}, False),
        ({}, True),
        ({"box_size": 64, "pixel_size": 2.0}, True),
        ({"box_size": 40, "pixel_size": 3.5}, True),
        ({"magnification": np.array([[1.04, 0.02], [0.02, 0.95]])}, True),
        ({"beam_tilt_x": 30.0, "beam_tilt_y": 20.0}, True),
        ({"is_premultiplied": True}, True),
    ],
)
def test_the_true_pose_scores_best(
    changes, ctf, simulate, options, plan_for, half_model, optics_group, pool
):
    case = simulate(3, groups=[optics_group(**changes)], ctf=ctf, fraction=FRACTION)
    settings = options(oversampling=0, offset_range_px=2.0, ctf=ctf)
    plan = plan_for(case, settings, current_size=24, perturbation=FRACTION / PIXEL)
    model, (geometry,) = half_model(case), plan.geometries
    n_pixels = geometry.pixels.n_pixels
    projector = build_projector(model.map, 12, 2.0, pool)
    rows = np.arange(3)
    offsets = np.stack([case.poses.offset_x, case.poses.offset_y], axis=1)
    origin = np.rint((offsets - FRACTION) / geometry.pixel_size).astype(np.int64)
    raw = case.particles.images.read(rows)
    batch = begin_batch(
        case.particles, rows, raw, origin, None, np.ones(3), model, plan, geometry, pool, 1
    )()
    cross_weights, norm_weights = score_weights(batch, rows * 0, plan, geometry)
    rng = np.random.default_rng(1)
    error = rng.uniform(3, 25, (60, 1)) * rng.choice([-1, 1], (60, 3))
    n_offsets = len(plan.fine_offsets)
    (true_offset,) = np.flatnonzero(~plan.coarse_offsets.any(axis=1))
    for p in rows:
        angles = np.array([case.poses.rot[p], case.poses.tilt[p], case.poses.psi[p]])
        near = matrix_from_euler(*(angles + error).T)
        rotations = np.concatenate([case.matrices[p : p + 1], near]).astype(np.float32)
        shifted = np.empty((n_offsets, 2 * n_pixels), np.float32)
        shifted_rows(
            batch.masked, cross_weights, *geometry.fine_ramps,
            np.full(n_offsets, p, np.int32), np.arange(n_offsets, dtype=np.int32), shifted,
        )  # fmt: skip
        cross, norms = score_list(
            projector.volume, rotations, geometry.slice_x, geometry.slice_y, shifted,
            norm_weights[p],
        )  # fmt: skip
        scores = cross - norms[:, None] / 2
        assert np.unravel_index(scores.argmax(), scores.shape) == (0, true_offset)


def test_premultiplied_images_say_what_plain_ones_say(
    simulate, options, plan_for, half_model, optics_group, pool
):
    """Multiplying images with their CTF takes no knowledge away but at its zeros."""
    case = simulate(30, ctf=True, noise=1.0)
    zero = np.zeros_like(case.poses.rot)
    case = replace(case, poses=replace(case.poses, offset_x=zero, offset_y=zero))
    particles = case.particles
    x, y = np.meshgrid(np.arange(BOX // 2 + 1), np.fft.fftfreq(BOX, 1 / BOX))
    ctf = ctf_values(particles.optics_groups[0], particles.ctf, *(
        axis.ravel() / (BOX * PIXEL) for axis in (x, y)
    ))  # fmt: skip
    images = [
        np.fft.irfft2(np.fft.rfft2(image) * own.reshape(x.shape), s=image.shape).astype(np.float32)
        for image, own in zip(particles.images.images, ctf, strict=True)
    ]
    multiplied = replace(
        particles,
        images=replace(particles.images, images=images),
        optics_groups=(optics_group(is_premultiplied=True),),
    )
    settings = options(ctf=True, offset_range_px=2.0, particle_diameter=9 * BOX * PIXEL)
    plan = plan_for(case, settings, current_size=24)
    model = half_model(case, len(plan.grid.rot), sigma2=1 / (2 * BOX**2))
    plain = align(case, plan, model, pool)
    (geometry,) = plan.geometries
    mean = mean_squared_ctf(multiplied, plan, geometry)[0]
    sigma2 = model.sigma2_noise.copy()
    sigma2[:, geometry.pixels.shell] *= mean
    result = align(
        replace(case, particles=multiplied), plan, replace(model, sigma2_noise=sigma2), pool
    )
    assert plain.pmax.mean() < 0.9
    assert np.array_equal(result.rot, plain.rot)
    assert result.pmax == pytest.approx(plain.pmax, rel=1e-3)
    assert np.allclose(result.sums.volume, plain.sums.volume, rtol=1e-3, atol=1e-2)
    assert result.sums.scale_cross == pytest.approx(plain.sums.scale_cross, rel=0.02)
    assert result.sums.scale_power == pytest.approx(plain.sums.scale_power, rel=0.02)


@pytest.mark.parametrize("current_size", [14, 24])
def test_global_search_finds_the_poses(current_size, simulate, options, plan_for, half_model, pool):
    case = simulate(20, ctf=True, fraction=FRACTION)
    plan = plan_for(
        case,
        options(ctf=True, offset_range_px=1.0),
        current_size=current_size,
        order=2,
        psi_step=15.0,
    )
    result = align(case, plan, half_model(case, 192), pool, poses=without_poses(case))
    # fine step 7.5 degrees: in three angles at most about 3.75 * sqrt(3) + a little
    assert pose_errors(case, result).max() < 8
    assert np.abs(result.offset_x - case.poses.offset_x[result.rows]).max() <= 1.5
    assert np.array_equal(result.rows, np.flatnonzero(case.particles.half == 1))


def test_local_search_finds_the_poses(simulate, options, plan_for, half_model, pool):
    case = simulate(20, ctf=True)
    plan = plan_for(case, options(ctf=True, offset_range_px=1.0), current_size=24, **LOCAL)
    rng = np.random.default_rng(3)
    moved = replace(
        case.poses,
        rot=case.poses.rot + rng.uniform(-4, 4, 20),
        psi=case.poses.psi + rng.uniform(-4, 4, 20),
    )
    result = align(case, plan, half_model(case, len(plan.grid.rot)), pool, poses=moved)
    # fine steps of 1.9 degrees and 2 Å, which is 4 degrees at the edge of the blobs
    assert pose_errors(case, result).max() < 4


@pytest.mark.parametrize("in_whole_pixels", [False, True])
def test_local_search_reaches_offsets_between_whole_pixels(
    in_whole_pixels, simulate, options, plan_for, half_model, pool
):
    """They are 1.8 Å from the nearest whole pixel, and the search reaches 1 Å."""
    case = simulate(20, fraction=0.45 * PIXEL)
    sampling = {**LOCAL, "offset_range": 1.0, "offset_step": 0.8}
    changed = options(quirk_whole_pixels=in_whole_pixels)
    plan = plan_for(case, changed, current_size=24, **sampling)
    rng = np.random.default_rng(4)
    moved = replace(
        case.poses,
        offset_x=case.poses.offset_x + rng.uniform(-0.5, 0.1, 20),
        offset_y=case.poses.offset_y + rng.uniform(-0.5, 0.1, 20),
    )
    result = align(case, plan, half_model(case, len(plan.grid.rot)), pool, poses=moved)
    errors = np.stack([
        result.offset_x - case.poses.offset_x[result.rows],
        result.offset_y - case.poses.offset_y[result.rows],
    ])  # fmt: skip
    if in_whole_pixels:
        assert errors.max() < -0.7
    else:
        assert np.abs(errors).max() < 0.45  # fine steps of 0.4 Å, and of 1.9 degrees


def test_local_search_crosses_the_border_of_the_asymmetric_unit(
    simulate, options, plan_for, half_model, pool
):
    """Poses outside the unit stay where they are; their statistics go into the unit."""
    case = simulate(24, symmetry="D2")
    plan = plan_for(case, options(), current_size=24, symmetry="D2", **LOCAL)
    result = align(case, plan, half_model(case, len(plan.grid.rot)), pool)
    found = matrix_from_euler(result.rot, result.tilt, result.psi)
    change = angular_change(case.matrices[result.rows], found, point_group("D2"))
    assert change.max() < 4
    assert pose_errors(case, result).max() < 5
    assert result.sums.direction.sum() == pytest.approx(result.sums.weight)


@pytest.mark.parametrize("is_local", [False, True])
def test_correlation_search_finds_the_poses(
    is_local, simulate, options, plan_for, half_model, pool
):
    """Whatever the greyscale of the reference."""
    case = simulate(10)
    sampling = {"order": 3, "psi_step": 7.5, "is_local": is_local, "sigma_angle": 7.5}
    plan = replace(plan_for(case, options(), current_size=24, **sampling), use_correlation=True)
    model = half_model(case, len(plan.grid.rot))
    model = replace(model, map=7 * model.map)
    result = align(case, plan, model, pool)
    assert pose_errors(case, result).max() < 4
    assert (result.pmax == 1).all()
    assert result.sums.weight == len(result.rows)
    # images outside the mask and interpolation leave a correlation close to one
    assert result.log_likelihood.min() > 0.97


@pytest.fixture
def broad(simulate, options, plan_for, half_model, pool):
    """Two noisy particles with broad posteriors, all of whose samples count."""
    groups_scale = np.array([1.2])
    case = simulate(2, ctf=True, noise=0.3, symmetry="D2", fraction=1.0)
    case = replace(case, particles=replace(case.particles, half=np.ones(2, np.int64)))
    settings = options(
        symmetry="D2", ctf=True, offset_range_px=1.0, adaptive_fraction=1.0, particle_diameter=90.0
    )
    plan = plan_for(case, settings, current_size=14, symmetry="D2", perturbation=0.2)
    n = len(plan.grid.rot)
    rng = np.random.default_rng(0)
    prior = rng.uniform(0.5, 2, n)
    model = half_model(case, n, sigma2=3e-2)
    slope = np.linspace(1, 0.6, BOX // 2 + 1)
    model = replace(
        model,
        sigma2_noise=model.sigma2_noise * slope,
        direction_prior=prior / prior.sum(),
        group_scale=groups_scale,
        norm_average=0.9,
        sigma_offset=3.0,
        data_vs_prior=np.linspace(9, 0, BOX // 2 + 1),
    )
    poses = replace(case.poses, norm_correction=np.array([1.1, 0.8]))
    return replace(case, poses=poses), plan, model


def brute_force(case, plan, model, pool, row):
    """Weights of every fine sample (orientation, child, offset) and what follows (spec 3-4)."""
    (geometry,) = plan.geometries
    pixels = geometry.pixels
    offsets = np.stack([case.poses.offset_x, case.poses.offset_y], axis=1)[row]
    origin = np.sign(offsets) * np.floor(np.abs(offsets / PIXEL) + 0.5)
    intensity = model.norm_average / case.poses.norm_correction[row]
    raw = case.particles.images.read(np.array([row]))
    batch = begin_batch(
        case.particles, np.array([row]), raw, origin[None].astype(np.int64),
        None, np.array([intensity]), model, plan, geometry, pool, 7,
    )()  # fmt: skip
    image = batch.masked[0, 0] + 1j * batch.masked[0, 1]
    n_orientations = len(plan.grid.rot) * len(plan.psi)
    rotations = child_rotations(np.arange(n_orientations), plan).reshape(-1, 3, 3)
    planar = np.empty((len(rotations), 2 * pixels.n_pixels))
    projector = build_projector(model.map, plan.current_size // 2, 2.0, pool)
    reference.extract_slices(
        projector.volume, rotations, geometry.slice_x, geometry.slice_y, planar
    )
    slices = planar[:, : pixels.n_pixels] + 1j * planar[:, pixels.n_pixels :]
    predicted = batch.transfer[0] * slices
    sigma2 = model.sigma2_noise[0][pixels.shell]
    cosines, sines = geometry.fine_ramps
    shifted = image * (cosines + 1j * sines)  # (n_fine_offsets, n_pixels)
    residual = np.abs(shifted[None] - predicted[:, None]) ** 2  # (n_rotations, n_offsets, n_pixels)
    _ring, per_ring = half_plane_rings(BOX)
    high = batch.ring_power[0, plan.current_size // 2 + 1 :].sum()
    # pixels of the outermost shells beyond the radius hold no reference
    shell_power = batch.ring_power[0]
    listed = np.bincount(pixels.shell, weights=np.abs(image) ** 2, minlength=BOX // 2 + 1)
    extra = np.where(np.arange(BOX // 2 + 1) <= plan.current_size // 2, shell_power - listed, 0)
    counted = pixels.shell > 0
    d = (residual[..., counted] / (2 * sigma2[counted])).sum(axis=-1) + high / 2
    d += (extra[1:] / (2 * model.sigma2_noise[0][1:])).sum()
    log_direction = np.log(model.direction_prior / model.direction_prior.mean())
    log_orientation = np.repeat(log_direction, len(plan.psi) * plan.n_children)
    total = origin * PIXEL + plan.coarse_offsets
    shift_prior = np.exp(-(total**2).sum(axis=1) / (2 * model.sigma_offset**2))
    log_shift = np.repeat(np.log(shift_prior / shift_prior.mean()), plan.n_child_offsets)
    log_weight = log_orientation[:, None] + log_shift - d
    log_sum = np.logaddexp.reduce(log_weight.ravel())
    weight = np.exp(log_weight - log_sum)
    shells = np.arange(1, plan.current_size // 2 + 1)
    constant = (per_ring[shells] * np.log(2 * np.pi * model.sigma2_noise[0][shells])).sum()
    by_shell = np.zeros(BOX // 2 + 1)
    expected = (weight[..., None] * residual).sum(axis=(0, 1))
    np.add.at(by_shell, pixels.shell, expected)
    by_shell += extra
    by_shell[plan.current_size // 2 + 1 :] = shell_power[plan.current_size // 2 + 1 :]
    fine = origin * PIXEL + plan.fine_offsets
    strong = model.data_vs_prior[pixels.shell] > 3
    scale = model.group_scale[0]
    pairs = (predicted[:, None].conj() * shifted[None]).real
    return {
        "best": np.unravel_index(weight.argmax(), weight.shape),
        "rotations": rotations,
        "fine": fine,
        "pmax": weight.max(),
        "log_likelihood": log_sum - constant,
        "norm": np.sqrt(2 * by_shell.sum()) / intensity,
        "noise": by_shell,
        "offset2": (weight.sum(axis=0) * (fine**2).sum(axis=1)).sum(),
        "direction": weight.reshape(len(plan.grid.rot), -1).sum(axis=1),
        "scale_cross": (weight[..., None] * pairs[..., strong]).sum() / scale,
        "scale_power": (
            weight.sum(axis=1)[:, None] * np.abs(predicted[:, strong]) ** 2
        ).sum() / scale**2,
    }  # fmt: skip


def test_search_equals_the_written_out_sums(broad, pool):
    case, plan, model = broad
    result = align(case, plan, model, pool)
    expected = [brute_force(case, plan, model, pool, row) for row in (0, 1)]
    sums = result.sums
    for p, truth in enumerate(expected):
        rotation, offset = truth["best"]
        found = matrix_from_euler(result.rot[p], result.tilt[p], result.psi[p])
        assert np.abs(found - truth["rotations"][rotation]).max() < 1e-5
        assert (result.offset_x[p], result.offset_y[p]) == pytest.approx(
            tuple(truth["fine"][offset])
        )
    assert result.pmax == pytest.approx([t["pmax"] for t in expected], rel=2e-3)
    assert 0.0001 < result.pmax.min() < result.pmax.max() < 0.5  # the posteriors are broad
    likelihood = [t["log_likelihood"] for t in expected]
    assert result.log_likelihood == pytest.approx(likelihood, rel=1e-5)
    assert result.norm_correction == pytest.approx([t["norm"] for t in expected], rel=1e-4)

    def total(name):
        return sum(t[name] for t in expected)

    assert sums.noise[0] == pytest.approx(total("noise"), rel=1e-3)
    assert sums.direction == pytest.approx(total("direction"), rel=1e-2, abs=1e-4)
    assert sums.offset2 == pytest.approx(total("offset2"), rel=1e-3)
    assert sums.scale_cross[0] == pytest.approx(total("scale_cross"), rel=2e-3)
    assert sums.scale_power[0] == pytest.approx(total("scale_power"), rel=2e-3)
    assert sums.weight == pytest.approx(2, abs=1e-5)
    assert sums.norm == pytest.approx(total("norm"), rel=1e-4)
    assert sums.pmax == pytest.approx(total("pmax"), rel=2e-3)
    assert sums.log_likelihood == pytest.approx(total("log_likelihood"), rel=1e-5)


def test_significant_weights_are_what_the_sums_divide_by(broad, pool):
    case, plan, model = broad
    options = replace(plan.options, adaptive_fraction=0.9)
    result = align(case, replace(plan, options=options), model, pool)
    assert 1.8 < result.sums.weight < 1.85
    assert result.sums.direction.sum() == pytest.approx(result.sums.weight, rel=1e-5)
    every = len(plan.grid.rot) * len(plan.psi) * len(plan.coarse_offsets)
    assert (result.n_significant < every / 2).all()


def test_number_of_significant_samples_can_be_limited(broad, pool):
    case, plan, model = broad
    result = align(
        case, replace(plan, options=replace(plan.options, max_significant=9)), model, pool
    )
    assert result.n_significant.tolist() == [9, 9]


def test_directions_without_prior_count_little(broad, pool):
    case, plan, model = broad
    allowed = np.arange(len(plan.grid.rot)) % 3 == 0
    model = replace(model, direction_prior=allowed / allowed.sum())
    result = align(case, plan, model, pool)
    assert result.sums.direction[~allowed].sum() < 0.01
    assert result.sums.direction.sum() == pytest.approx(2, abs=2e-3)


def test_an_empty_view_is_found_by_particles_that_fit_it(
    simulate, options, plan_for, half_model, pool
):
    """A prior of zero, as after an iteration without particles there, does not lock them out."""
    case = simulate(20, ctf=True, fraction=FRACTION)
    plan = plan_for(case, options(ctf=True, offset_range_px=1.0), order=2, psi_step=15.0)
    model = half_model(case, 192)
    prior = np.zeros(192)
    prior[0] = 1.0
    result = align(
        case, plan, replace(model, direction_prior=prior), pool, poses=without_poses(case)
    )
    assert pose_errors(case, result).max() < 8


def test_small_budgets_give_the_same_poses(broad, pool):
    """Slices that do not fit the memory are made again for every block."""
    case, plan, model = broad
    frugal = replace(plan, options=replace(plan.options, memory_budget=1e-5))
    result, other = align(case, plan, model, pool), align(case, frugal, model, pool)
    assert np.allclose(result.pmax, other.pmax, rtol=1e-3)
    assert np.array_equal(result.rot, other.rot)
    assert np.allclose(result.sums.volume, other.sums.volume, rtol=1e-3, atol=1e-2)


def test_a_particle_of_the_other_half_is_refused(simulate, options, plan_for, half_model, pool):
    case = simulate(4)
    plan = plan_for(case, options())
    with pytest.raises(AurefineError, match="row 2 belongs to half 2, but half 1 is being"):
        align(case, plan, half_model(case), pool, rows=[0, 1, 2])


def test_an_image_that_is_not_finite_is_named(simulate, options, plan_for, half_model, pool):
    case = simulate(4)
    case.particles.images.images[2][0, 0] = np.nan
    with pytest.raises(ImageError, match="row 3"):
        align(case, plan_for(case, options()), half_model(case), pool)


@pytest.mark.parametrize("is_local, memory_budget", [(False, 0.4), (False, 1e-5), (True, 0.4)])
@pytest.mark.parametrize("noise", [0.03, 0.3, 1.0, 2.0])
def test_two_steps_find_what_one_step_finds(
    is_local, memory_budget, noise, simulate, options, plan_for, half_model, pool
):
    """The inner rings leave out orientations without weight only, however peaked it is."""
    case = simulate(40, ctf=True, noise=noise, fraction=FRACTION)
    sampling = {"order": 3, "psi_step": 7.5, "is_local": is_local, "sigma_angle": 7.5}
    settings = options(ctf=True, offset_range_px=1.0, memory_budget=memory_budget)
    plan = plan_for(case, settings, current_size=28, **sampling)
    assert plan.geometries[0].n_coarse >= 256  # enough for two steps
    one_step = replace(plan, options=replace(settings, two_step_scoring=False))
    model = half_model(case, len(plan.grid.rot), sigma2=noise**2 / (2 * BOX**2))
    two, one = (align(case, p, model, pool) for p in (plan, one_step))
    assert np.array_equal(two.rot, one.rot)
    assert np.array_equal(two.offset_x, one.offset_x)
    assert two.pmax == pytest.approx(one.pmax, rel=1e-3)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-2)


@pytest.mark.parametrize("looks_at_bytes", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_ctf_that_is_not_a_number_is_named(
    value, looks_at_bytes, simulate, options, plan_for, half_model, pool, monkeypatch
):
    if not looks_at_bytes:
        monkeypatch.setattr(exhaustive, "bytes_pay", lambda length: False)
    case = simulate(40, ctf=True, noise=1.0, fraction=FRACTION)
    row = np.flatnonzero(case.particles.half == 1)[2]
    defocus = case.particles.ctf.defocus_u.copy()
    defocus[row] = value
    ctf = replace(case.particles.ctf, defocus_u=defocus)
    case = replace(case, particles=replace(case.particles, ctf=ctf))
    settings = options(ctf=True, offset_range_px=1.0)
    plan = plan_for(case, settings, current_size=28, order=3, psi_step=7.5)
    model = half_model(case, len(plan.grid.rot), sigma2=1 / (2 * BOX**2))
    with pytest.raises(ImageError, match=f"row {row + 1}: its score is not a number"):
        align(case, plan, model, pool)


def test_a_first_look_at_bytes_changes_nothing(
    simulate, options, plan_for, half_model, pool, monkeypatch
):
    case = simulate(40, ctf=True, noise=1.0, fraction=FRACTION)
    settings = options(ctf=True, offset_range_px=1.0)
    plan = plan_for(case, settings, current_size=28, order=3, psi_step=7.5)
    model = half_model(case, len(plan.grid.rot), sigma2=1 / (2 * BOX**2))
    at_bytes = align(case, plan, model, pool)  # if the processor can do that
    monkeypatch.setattr(exhaustive, "bytes_pay", lambda length: False)
    at_floats = align(case, plan, model, pool)
    assert np.array_equal(at_bytes.n_significant, at_floats.n_significant)
    assert np.array_equal(at_bytes.log_likelihood, at_floats.log_likelihood)
    assert np.array_equal(at_bytes.sums.volume, at_floats.sums.volume)


@pytest.mark.parametrize(
    "current_size, order, psi_step, n_last", [(12, 1, 72.0, WIDTH // 2), (28, 3, 7.5, WIDTH)]
)
def test_a_table_has_its_slices_in_bytes(
    current_size,
    order,
    psi_step,
    n_last,
    simulate,
    options,
    plan_for,
    half_model,
    pool,
    monkeypatch,
):
    """To half a step, and with as many zeros as the last block has room for."""
    monkeypatch.setattr(coarse, "bytes_pay", lambda length: True)
    case = simulate(2)
    plan = plan_for(case, options(), current_size=current_size, order=order, psi_step=psi_step)
    (geometry,), model = plan.geometries, half_model(case, len(plan.grid.rot))
    projector = build_projector(model.map, current_size // 2, 2.0, pool)
    table = make_coarse_table(plan, geometry, projector, model, pool, 10**9)
    packed, n, n_look = table.packed, len(table.orientation), first_look_pixels(plan, geometry)
    n_blocks, n_quads = packed.blocks.shape[:2]
    assert n == (n_blocks - 1) * WIDTH + n_last
    assert (n_look < geometry.n_coarse) == (order == 3)
    found = np.swapaxes(packed.blocks, 1, 2).reshape(n_blocks * WIDTH, 4 * n_quads) - 128.0
    parts = np.split(table.slices, 2, axis=1)
    expected = np.concatenate([part[:, :n_look] for part in parts], axis=1) / packed.factor
    step = packed.scale[:, None]
    assert np.abs(found[:n, : 2 * n_look] * step[:n] - expected).max() <= 0.5001 * step.max()
    assert not found[n:].any()
    assert not step[n:].any()
    assert packed.power == pytest.approx((expected**2).sum(axis=1).max(), rel=1e-5)


@pytest.mark.parametrize("use_correlation", [False, True])
def test_a_table_that_is_scored_in_one_step_has_no_bytes(
    use_correlation, simulate, options, plan_for, half_model, pool, monkeypatch
):
    monkeypatch.setattr(coarse, "bytes_pay", lambda length: True)
    case = simulate(2)
    settings = options(two_step_scoring=use_correlation)
    plan = plan_for(case, settings, current_size=12, order=1, psi_step=72.0)
    plan = replace(plan, use_correlation=use_correlation)
    model = half_model(case, 48)
    projector = build_projector(model.map, 6, 2.0, pool)
    table = make_coarse_table(plan, plan.geometries[0], projector, model, pool, 10**9)
    assert table.slices is not None
    assert table.packed is None


@pytest.mark.parametrize("largest", [3, 40, 10**6])
@pytest.mark.parametrize("n", [0, 1, 30])
def test_distinct_orientations_are_those_of_sorting(n, largest, pool):
    values = np.random.default_rng(n).integers(0, largest, n)
    distinct, inverse = _distinct(values, pool)
    expected, expected_inverse = np.unique(values, return_inverse=True)
    assert np.array_equal(distinct, expected)
    assert np.array_equal(inverse, expected_inverse)
    assert inverse.dtype == np.int64


@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_rotations_of_children_are_the_same_for_lists_and_single_ones(
    is_local, is_sorted, simulate, options, plan_for
):
    case = simulate(2)
    plan = plan_for(case, options(), current_size=14, is_local=is_local, perturbation=0.2)
    n_pixels = 12 * 4**plan.sampling.order if is_local else len(plan.grid.pixel)
    rng = np.random.default_rng(1)
    orientations = rng.integers(0, n_pixels * len(plan.psi), 300)
    if is_sorted:
        orientations.sort()
    found = np.empty((300, plan.n_children, 3, 3), np.float32)
    fill_child_rotations(orientations, plan, found)
    assert np.array_equal(found, child_rotations(orientations, plan).astype(np.float32))
