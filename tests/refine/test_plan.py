import numpy as np
import pytest

from aurefine.kernels.fixed_point import APART
from aurefine.refine.insertion import insertion_ranges
from aurefine.refine.options import RefineOptions
from aurefine.refine.plan import coarse_image_size, current_image_size, model_shells

BOX, PIXEL = 32, 4.0


@pytest.mark.parametrize(
    "box, pixel, current, expected",
    [
        (32, 4.0, 20, 20),
        (32, 4.0, 32, 32),
        (64, 2.0, 20, 20),  # same extent: same shells
        (64, 4.0, 20, 40),  # twice the extent: twice as many pixels to a resolution
        (48, 4.0, 15 * 2, 46),  # 1.5 * 30 / 2 = 22.5: up to the next even size
        (48, 2.0, 30, 24),  # 0.75 * 30 / 2 = 11.25
        (16, 4.0, 20, 10),
        (24, 6.0, 32, 24),  # never larger than the image
    ],
)
def test_current_image_size(box, pixel, current, expected, optics_group):
    group = optics_group(box_size=box, pixel_size=pixel)
    assert current_image_size(group, BOX, PIXEL, current) == expected


@pytest.mark.parametrize(
    "options, step, expected",
    [
        # pi * 100 Å * 15 / 360 / 1.2 = 10.9 Å; 128 Å / 10.9 Å = 11.7: 2 * 12
        ({}, 15.0, 24),
        ({}, 30.0, 12),
        ({}, 7.5, 30),  # not beyond the current size
        ({"coarse_size_px": 16}, 15.0, 16),
        ({"oversampling": 0}, 30.0, 30),  # a single pass
        ({"strict_highres_exp": 20.0}, 15.0, 12),  # 128 / 20 = 6.4
        ({"strict_highres_exp": 5.0}, 15.0, 30),
    ],
)
def test_coarse_image_size(options, step, expected, optics_group):
    found = coarse_image_size(optics_group(), BOX, PIXEL, 30, step, 100.0, RefineOptions(**options))
    assert found == expected


@pytest.mark.parametrize("box, pixel", [(32, 4.0), (64, 2.0), (48, 3.0), (24, 4.0), (40, 5.0)])
def test_image_shells_are_mapped_to_model_shells(box, pixel, optics_group):
    found = model_shells(optics_group(box_size=box, pixel_size=pixel), BOX, PIXEL)
    ratio = BOX * PIXEL / (box * pixel)
    expected = [min(int(s * ratio + 0.5), BOX // 2) for s in range(box // 2 + 1)]
    assert found.tolist() == expected


def test_groups_with_one_geometry_share_their_tables(optics_group, simulate, options, plan_for):
    groups = [
        optics_group(number=1),
        optics_group(number=2, beam_tilt_x=1.0),
        optics_group(number=3, box_size=40),
        optics_group(number=4, magnification=np.diag([1.01, 0.99])),
    ]
    plan = plan_for(simulate(4, groups=groups), options())
    assert [g.group_rows for g in plan.geometries] == [(0, 1), (2,), (3,)]
    first = plan.geometries[0]
    assert np.abs(first.scale[0]) == pytest.approx(1 / BOX**2)
    assert not np.allclose(first.scale[0], first.scale[1])


def test_slice_coordinates_follow_the_frequency(optics_group, simulate, options, plan_for):
    """A pixel of any group lies at its spatial frequency in the padded transform."""
    m = np.array([[1.02, 0.01], [0.01, 0.97]])
    group = optics_group(box_size=40, pixel_size=3.5, magnification=m)
    plan = plan_for(simulate(1, groups=[group]), options(), current_size=20)
    (geometry,) = plan.geometries
    frequency = np.stack([geometry.pixels.x, geometry.pixels.y]) / (40 * 3.5)
    expected = 2 * BOX * PIXEL * (m @ frequency)
    inside = geometry.valid > 0
    found = np.stack([geometry.slice_x, geometry.slice_y])
    assert found[:, inside] == pytest.approx(expected[:, inside], abs=1e-4)
    assert np.hypot(*expected[:, inside]).max() <= 20 + 1e-4
    assert np.hypot(*expected[:, ~inside]).min() > 20
    assert np.hypot(*found[:, ~inside]) == pytest.approx(20, abs=1e-4)


def test_threads_that_share_sums_can_insert_stretched_slices(
    optics_group, simulate, options, plan_for
):
    """Also those with pixels beyond the reference, which have no weight."""
    group = optics_group(magnification=np.diag([1.05, 0.96]))
    plan = plan_for(simulate(1, groups=[group]), options())
    (geometry,) = plan.geometries
    assert not geometry.valid.all()
    radius = np.hypot(geometry.slice_x, geometry.slice_y)
    ranges = insertion_ranges(radius, 2)
    assert len(ranges) > 2
    for (_, end), (begin, _) in zip(ranges, ranges[2:], strict=False):
        assert radius[begin:].min() - radius[:end].max() >= APART


def test_offsets_are_perturbed_by_a_part_of_the_coarse_step(simulate, options, plan_for):
    plan = plan_for(
        simulate(1), options(offset_range_px=1.0, offset_step_px=1.0), perturbation=0.25
    )
    assert plan.coarse_offsets.tolist() == [[-4, 0], [0, -4], [0, 0], [0, 4], [4, 0]]
    children = plan.fine_offsets.reshape(5, 4, 2) - plan.coarse_offsets[:, None]
    # cells of 4 Å cut in four, moved by 1 Å
    assert children[2].tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    cosines, sines = plan.geometries[0].coarse_ramps
    pixels = plan.geometries[0].pixels
    n = plan.geometries[0].n_coarse
    phase = -2 * np.pi / BOX * (pixels.x * 0.25 + pixels.y * (-1 + 0.25))[:n]
    assert cosines[1] + 1j * sines[1] == pytest.approx(np.exp(1j * phase), abs=1e-6)
