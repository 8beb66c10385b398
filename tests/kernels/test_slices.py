import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels import reference
from aurefine.kernels.slices import extract_slices

# interpolation in float32 against float64: a few units in the last place of the coordinates
TOLERANCE = 3e-5


def extract(kernel, volume, rotations, x, y):
    out = np.full((len(rotations), 2 * len(x)), np.nan, np.float32)
    kernel(volume, rotations, x, y, out)
    return out


@pytest.mark.parametrize("n_pixels", [0, 1, 7, 512, 513, 1100])
@pytest.mark.parametrize("n_slices", [0, 1, 5])
def test_extraction_equals_the_reference(
    n_pixels, n_slices, random_volume, random_rotations, random_pixels
):
    volume = random_volume(9)
    arguments = volume, random_rotations(n_slices), *random_pixels(n_pixels, 9)
    fast = extract(extract_slices, *arguments)
    assert np.abs(fast - extract(reference.extract_slices, *arguments)).max(initial=0) < TOLERANCE


def test_the_identity_slice_is_the_central_plane(random_volume):
    flat, edge = random_volume(6)
    plane = flat.reshape(edge, edge, -1, 2)[edge // 2]
    y, x = np.mgrid[-4:5, 0:5].astype(np.float32)
    out = extract(
        extract_slices, (flat, edge), np.eye(3, dtype=np.float32)[None], x.ravel(), y.ravel()
    )
    expected = plane[edge // 2 - 4 : edge // 2 + 5, :5].reshape(-1, 2)
    assert np.array_equal(out[0], np.concatenate([expected[:, 0], expected[:, 1]]))


def test_the_opposite_pixel_is_the_complex_conjugate(
    random_volume, random_rotations, random_pixels
):
    x, y = random_pixels(40, 9)
    rotations = random_rotations(3)
    out = extract(extract_slices, random_volume(9), rotations, x, y)
    mirrored = extract(extract_slices, random_volume(9), rotations, -x, -y)
    assert np.array_equal(out[:, 1:40], mirrored[:, 1:40])
    assert np.array_equal(out[:, 41:], -mirrored[:, 41:])


@settings(deadline=None, max_examples=20)
@given(
    angles=st.tuples(st.floats(-180, 180), st.floats(0, 180), st.floats(-180, 180)),
    shift=st.tuples(*[st.floats(-1.5, 1.5)] * 3),
    width=st.floats(1.5, 3.0),
)
def test_slice_of_a_gaussian_blob_is_its_transform(angles, shift, width):
    """The transform of a displaced Gaussian is known at every frequency and orientation."""
    box, radius = 48, 10
    edge = 2 * (radius + 1) + 1
    k = np.moveaxis(np.indices((edge, edge, radius + 2)), 0, -1).astype(float)
    k[..., :2] -= edge // 2

    def transform(frequency, centre):
        decay = np.exp(-2 * (np.pi * width / box) ** 2 * (frequency**2).sum(axis=-1))
        return decay * np.exp(-2j * np.pi / box * (frequency @ centre))

    values = transform(k, np.array(shift)[::-1])
    flat = np.stack([values.real, values.imag], axis=-1).astype(np.float32).reshape(-1)
    y, x = np.mgrid[-9:10, 0:10].astype(np.float32)
    inside = x**2 + y**2 <= 81
    x, y = x[inside], y[inside]
    matrix = matrix_from_euler(*angles)
    out = extract(extract_slices, (flat, edge), matrix[None].astype(np.float32), x, y)[0]
    frequency = np.stack([x, y], axis=1).astype(float)
    expected = transform(frequency, (matrix @ shift)[:2])
    found = out[: len(x)] + 1j * out[len(x) :]
    # error of linear interpolation: second derivative / 8 per axis, here up to
    # (2 pi 3 / 48)^2 / 8 for the decay and (2 pi 1.5 / 48)^2 / 8 for the phase
    assert np.abs(found - expected).max() < 0.06
