from dataclasses import replace

import numpy as np
import pytest

from aurefine.errors import ImageError
from aurefine.imaging import power_by_ring
from aurefine.optics.mtf import MtfCurve
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.batch import begin_batch, noise_image, transfer_function
from aurefine.refine.pixels import half_plane_rings

BOX, PIXEL = 32, 4.0


def prepare(case, plan, model, pool, rows=None, *, intensity=1.0, seed=5):
    (geometry,) = plan.geometries
    rows = np.arange(case.particles.n_particles) if rows is None else np.asarray(rows)
    offsets = np.stack([case.poses.offset_x, case.poses.offset_y], axis=1)[rows]
    return begin_batch(
        case.particles,
        rows,
        case.particles.images.read(rows),
        np.rint(offsets / geometry.pixel_size).astype(np.int64),
        None,
        np.full(len(rows), intensity),
        model,
        plan,
        geometry,
        pool,
        seed,
    )()


def exact_transforms(case, geometry):
    """Transforms of the projections without any shift, in the order of the pixels."""
    plane = np.stack([geometry.pixels.x, geometry.pixels.y], axis=1)
    frequency = plane / (geometry.box * geometry.pixel_size)
    return case.blobs.transform(frequency @ case.matrices[:, :2])


def as_complex(planar):
    return planar[:, 0] + 1j * planar[:, 1]


def test_prepared_images_are_centred_transforms(simulate, options, plan_for, half_model, pool):
    """Whole-pixel offsets are undone; nothing but the mask differs from the projection."""
    case = simulate(3)
    plan = plan_for(case, options(), current_size=28)
    batch = prepare(case, plan, half_model(case), pool)
    expected = exact_transforms(case, plan.geometries[0])
    peak = np.abs(expected).max()
    # density that was shifted over the border and back is lost: a few 1e-4 of the peak
    assert np.abs(as_complex(batch.unmasked) - expected).max() < 1e-3 * peak
    assert np.abs(as_complex(batch.masked) - expected).max() < 5e-3 * peak


def test_intensity_multiplies_the_images(simulate, options, plan_for, half_model, pool):
    case = simulate(2)
    plan, model = plan_for(case, options()), half_model(case)
    once = prepare(case, plan, model, pool)
    twice = prepare(case, plan, model, pool, intensity=2.0)
    assert np.allclose(twice.masked, 2 * once.masked, rtol=1e-5, atol=1e-9)
    assert np.allclose(twice.unmasked, 2 * once.unmasked, rtol=1e-5, atol=1e-9)


def test_ring_power_is_that_of_the_masked_image(simulate, options, plan_for, half_model, pool):
    case = simulate(2)
    plan = plan_for(case, options(), current_size=20)
    batch = prepare(case, plan, half_model(case), pool)
    power = np.abs(as_complex(batch.masked)) ** 2
    # the outermost shell has pixels beyond half of the size, too
    expected = plan.geometries[0].pixels.shell_sums(power)[:, :10]
    assert batch.ring_power[:, :10] == pytest.approx(expected, rel=1e-4, abs=1e-12)
    assert batch.ring_power.shape == (2, BOX // 2 + 1)


def test_transfer_is_scale_times_ctf(simulate, options, plan_for, half_model, pool):
    case = simulate(2, ctf=True)
    plan = plan_for(case, options(ctf=True))
    model = replace(half_model(case), group_scale=np.array([1.5]))
    batch = prepare(case, plan, model, pool)
    ctf = transfer_function(case.particles, np.arange(2), plan, plan.geometries[0])
    assert batch.transfer == pytest.approx(1.5 * ctf)
    assert np.ptp(ctf) > 1


def test_a_tiny_scale_is_replaced(simulate, options, plan_for, half_model, pool):
    case = simulate(1)
    model = replace(half_model(case), group_scale=np.array([-3.0]))
    batch = prepare(case, plan_for(case, options()), model, pool)
    assert batch.transfer == pytest.approx(0.001)


@pytest.mark.parametrize(
    "changes, power", [({}, 1), ({"is_premultiplied": True}, 2), ({"is_ctf_corrected": True}, 0)]
)
def test_transfer_of_treated_images(changes, power, simulate, options, plan_for, optics_group):
    case = simulate(2, groups=[optics_group(**changes)])
    plan = plan_for(case, options(ctf=True))
    plain = replace(case.particles, optics_groups=(optics_group(),))
    rows, geometry = np.arange(2), plan.geometries[0]
    ctf = transfer_function(plain, rows, plan, geometry)
    assert transfer_function(case.particles, rows, plan, geometry) == pytest.approx(ctf**power)


def test_empty_noise_shells_get_no_weight(simulate, options, plan_for, half_model, pool):
    case = simulate(1)
    model = half_model(case)
    model.sigma2_noise[0, 3] = 0
    batch = prepare(case, plan_for(case, options()), model, pool)
    shell = plan_for(case, options()).geometries[0].pixels.shell
    assert np.array_equal(batch.inverse_sigma2[0] > 0, shell != 3)


@pytest.mark.parametrize("zero_mask", [True, False])
def test_batches_and_threads_do_not_matter(
    zero_mask, simulate, options, plan_for, half_model, optics_group, pool
):
    """Noise fills are drawn per particle; groups of one geometry may be mixed."""
    groups = [optics_group(number=1), optics_group(number=2, beam_tilt_x=9.0)]
    case = simulate(40, groups=groups, noise=0.1)
    plan, model = plan_for(case, options(zero_mask=zero_mask)), half_model(case, sigma2=1e-3)
    whole = prepare(case, plan, model, pool)
    rows = [33, 2, 21]
    part = prepare(case, plan, model, pool, rows)
    with WorkerPool(3) as three:
        threaded = prepare(case, plan, model, three)
    for name in ("masked", "unmasked", "transfer", "ring_power"):
        assert np.array_equal(getattr(whole, name), getattr(threaded, name))
        assert np.array_equal(getattr(whole, name)[rows], getattr(part, name))


def test_noise_fill_depends_on_the_seed_and_the_particle(
    simulate, options, plan_for, half_model, pool
):
    case = simulate(2)
    case.particles.images.images[1] = case.particles.images.images[0]
    case.poses.offset_x[:] = case.poses.offset_y[:] = 0
    plan, model = plan_for(case, options(zero_mask=False)), half_model(case, sigma2=1e-3)
    batch = prepare(case, plan, model, pool)
    other = prepare(case, plan, model, pool, seed=6)
    assert np.array_equal(batch.unmasked[0], batch.unmasked[1])
    assert np.abs(batch.masked[0] - batch.masked[1]).max() > 1e-3
    assert np.abs(batch.masked[0] - other.masked[0]).max() > 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(
    value, simulate, options, plan_for, half_model, pool
):
    case = simulate(3)
    case.particles.images.images[1][10, 12] = value
    with pytest.raises(
        ImageError, match="particle row 2: the image has pixels that are not finite"
    ):
        prepare(case, plan_for(case, options()), half_model(case), pool)


def test_noise_image_has_its_spectrum():
    sigma2 = np.linspace(2e-4, 1e-5, BOX // 2 + 1)
    rng = np.random.default_rng(0)
    images = np.stack([noise_image(sigma2, BOX, rng) for _ in range(400)])
    power = power_by_ring(np.fft.rfft2(images) / BOX**2).mean(axis=0)
    # 400 images of a few to a hundred coefficients: within 10 %
    assert power[1:] == pytest.approx(2 * sigma2[1:], rel=0.12)


def test_white_noise_image_has_unit_variance():
    """White noise of standard deviation one has sigma2 = 1 / (2 box^2)."""
    flat = np.full(BOX // 2 + 1, 1 / (2 * BOX**2))
    images = [noise_image(flat, BOX, np.random.default_rng(i)) for i in range(50)]
    assert np.std(images) == pytest.approx(1, rel=0.02)
    ring, _ = half_plane_rings(BOX)
    assert ring.max() == BOX // 2


@pytest.mark.parametrize("correlation", [False, True])
def test_images_are_brought_to_the_mean_mtf(
    simulate, options, optics_group, plan_for, half_model, pool, correlation
):
    """Two groups, one with a detector curve: T = (1 + curve) / 2 for both (spec 1.6)."""
    groups = (
        optics_group(mtf_file="detector.star", original_pixel_size=2.0),
        optics_group(number=2),
    )
    case = simulate(4, groups=groups, noise=0.01)
    curve = MtfCurve(np.array([0.0, 0.5]), np.array([1.0, 0.2]))
    corrected = replace(
        case, particles=replace(case.particles, mtf_curves={"detector.star": curve})
    )
    found = {}
    for name, data in (("plain", case), ("corrected", corrected)):
        plan = replace(plan_for(data, options(), current_size=28), use_correlation=correlation)
        found[name] = prepare(data, plan, half_model(data), pool)
    pixels = plan.geometries[0].pixels
    rings = np.arange(BOX // 2 + 1)
    mtf = 1 - 1.6 * 2.0 * rings / (BOX * PIXEL)
    for particle, own in ((0, mtf), (1, np.ones_like(mtf))):
        gain = (1 + mtf) / 2 / own
        for name in ("masked", "unmasked"):
            plain, changed = (getattr(found[key], name)[particle] for key in found)
            assert np.allclose(changed, plain * gain[pixels.shell], rtol=1e-5, atol=1e-9)
        power, changed = (found[key].ring_power[particle] for key in found)
        assert np.allclose(changed, power * gain**2, rtol=1e-6)
        if correlation:
            low = found["plain"].window_power[particle] * gain.min() ** 2
            high = found["plain"].window_power[particle] * gain.max() ** 2
            assert low < found["corrected"].window_power[particle] < high
