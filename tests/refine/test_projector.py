import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler
from aurefine.imaging import radius_squared_map
from aurefine.kernels.slices import extract_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.projector import build_projector, interpolation_profile, padded_size

BOX = 32


def slices(projector, matrices, pixels, padding):
    out = np.empty((len(matrices), 2 * pixels.n_pixels), np.float32)
    x, y = (np.float32(padding) * axis.astype(np.float32) for axis in (pixels.x, pixels.y))
    extract_slices(projector.volume, np.asarray(matrices, np.float32), x, y, out)
    return out[:, : pixels.n_pixels] + 1j * out[:, pixels.n_pixels :]


# relative rms; interpolation between padded voxels is the limit
@pytest.mark.parametrize("padding, tolerance", [(1.0, 0.1), (2.0, 0.025), (3.0, 0.011)])
def test_slices_equal_the_exact_transform(padding, tolerance, blobs, pool):
    rng = np.random.default_rng(0)
    matrices = matrix_from_euler(*rng.uniform(-180, 180, (3, 12)))
    source, pixels = blobs(), fourier_pixels(BOX, 24)
    projector = build_projector(source.density(), 12, padding, pool)
    plane = np.stack([pixels.x, pixels.y], axis=1) / (BOX * 4.0)
    expected = source.transform(plane @ matrices[:, :2])
    found = slices(projector, matrices, pixels, padding)
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


@pytest.mark.parametrize("angles, axis", [((0, 0, 0), 0), ((0, 90, 0), 2), ((90, 90, 90), 1)])
def test_a_slice_is_the_transform_of_the_projection(angles, axis, blobs, pool):
    """Views along the axes of the map need no interpolation; the sum of voxels is exact."""
    volume, pixels = blobs().density(), fourier_pixels(BOX, 24)
    matrix = np.rint(matrix_from_euler(*angles))
    corrected = volume / interpolation_profile(BOX, 2 * BOX)[radius_squared_map(BOX, 3)]
    projection = corrected.sum(axis=axis, dtype=float)  # over the viewing direction
    transform = np.fft.fft2(np.fft.ifftshift(projection)) / BOX**2
    frequency = np.stack([pixels.x, pixels.y], axis=1) @ matrix[:2].astype(int)  # x, y, z
    remaining = np.delete(frequency[:, ::-1], axis, axis=1).astype(int)
    expected = transform[tuple(remaining.T)]
    found = slices(build_projector(volume, 12, 2.0, pool), matrix[None], pixels, 2)[0]
    assert np.abs(matrix[2]).argmax() == 2 - axis
    assert found == pytest.approx(expected, abs=1e-6)


def test_nothing_is_kept_beyond_the_largest_shell(blobs, pool):
    projector = build_projector(blobs().density(), 6, 2.0, pool)
    assert (projector.radius, projector.edge) == (12, 27)
    values = projector.flat.reshape(27, 27, 14, 2)
    axis = np.arange(27) - 13
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.arange(14) ** 2
    assert not values[r2 > 144].any()
    assert values[r2 <= 144].any(axis=-1).all()


def test_low_shells_can_be_left_out(blobs, pool):
    source = blobs().density()
    projector = build_projector(source, 8, 2.0, pool, lowest_shell=3)
    values = projector.flat.reshape(projector.edge, projector.edge, -1, 2)
    full = build_projector(source, 8, 2.0, pool).flat.reshape(values.shape)
    axis = np.arange(projector.edge) - projector.edge // 2
    r2 = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + np.arange(values.shape[2]) ** 2
    assert not values[r2 <= 36].any()
    assert np.array_equal(values[r2 > 36], full[r2 > 36])


def test_projector_does_not_depend_on_the_threads(blobs, pool):
    source = blobs().density()
    with WorkerPool(3) as three:
        assert np.array_equal(
            build_projector(source, 10, 2.0, three).flat,
            build_projector(source, 10, 2.0, pool).flat,
        )


@pytest.mark.parametrize(
    "box, padding, expected", [(32, 1, 32), (32, 2, 64), (32, 1.5, 48), (30, 1.1, 34), (30, 2, 60)]
)
def test_padded_boxes_are_even(box, padding, expected):
    assert padded_size(box, padding) == expected


def test_interpolation_correction_is_sinc_squared():
    found = interpolation_profile(8, 16)[radius_squared_map(8, 3)]
    assert found.shape == (8, 8, 8)
    assert found[4, 4, 4] == 1
    assert found[4, 4, 0] == pytest.approx(np.sinc(0.25) ** 2)
    assert found[1, 4, 0] == pytest.approx(np.sinc(5 / 16) ** 2)
