import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.geometry.euler import matrix_from_euler
from aurefine.kernels import reference
from aurefine.kernels.slices import extract_slices, insert_slices

# interpolation in float32 against float64: a few units in the last place of the coordinates
TOLERANCE = 3e-5


def extract(kernel, volume, rotations, x, y):
    out = np.full((len(rotations), 2 * len(x)), np.nan, np.float32)
    kernel(volume, rotations, x, y, out)
    return out


def insert(kernel, edge, rotations, x, y, slices, planes):
    flat = np.zeros(edge * edge * ((edge + 1) // 2) * 3, np.float32)
    for first, last in planes:
        kernel((flat, edge), rotations, x, y, slices, first, last)
    return flat


@pytest.mark.parametrize("n_pixels", [0, 1, 7, 512, 513, 1100])
@pytest.mark.parametrize("n_slices", [0, 1, 5])
def test_extraction_equals_the_reference(
    n_pixels, n_slices, random_volume, random_rotations, random_pixels
):
    volume = random_volume(9)
    arguments = volume, random_rotations(n_slices), *random_pixels(n_pixels, 9)
    fast = extract(extract_slices, *arguments)
    assert np.abs(fast - extract(reference.extract_slices, *arguments)).max(initial=0) < TOLERANCE


@pytest.mark.parametrize("n_pixels", [0, 1, 7, 512, 513])
@pytest.mark.parametrize("n_slices", [0, 1, 5])
def test_insertion_equals_the_reference(n_pixels, n_slices, random_rotations, random_pixels):
    rng = np.random.default_rng(3)
    slices = rng.normal(size=(n_slices, 3, n_pixels)).astype(np.float32)
    arguments = 21, random_rotations(n_slices), *random_pixels(n_pixels, 9), slices, [(0, 21)]
    fast = insert(insert_slices, *arguments)
    # the origin sums up to 5 values, each with an error in the last place
    assert np.abs(fast - insert(reference.insert_slices, *arguments)).max() < 1e-4


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


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n_pixels=st.integers(1, 700), n_slices=st.integers(1, 4))
def test_insertion_is_the_transpose_of_extraction(seed, n_pixels, n_slices):
    rng = np.random.default_rng(seed)
    radius = 8
    edge = 2 * (radius + 1) + 1
    volume = rng.normal(size=(edge, edge, radius + 2, 2)).astype(np.float32)
    angle = rng.uniform(-180, 180, (3, n_slices))
    rotations = matrix_from_euler(*angle).astype(np.float32)
    r, a = radius * np.sqrt(rng.random(n_pixels)), rng.uniform(-np.pi, np.pi, n_pixels)
    x, y = (r * np.cos(a)).astype(np.float32), (r * np.sin(a)).astype(np.float32)
    slices = rng.normal(size=(n_slices, 3, n_pixels)).astype(np.float32)
    sums = insert(insert_slices, edge, rotations, x, y, slices, [(0, edge)])
    inserted = sums.reshape(*volume.shape[:3], 3)[..., :2].astype(float)
    extracted = extract(extract_slices, (volume.reshape(-1), edge), rotations, x, y)
    by_volume = (inserted * volume).sum()
    by_slices = (extracted.reshape(n_slices, 2, n_pixels).astype(float) * slices[:, :2]).sum()
    # float32 products: relative to the norm of the terms, not of their sum
    assert by_volume == pytest.approx(by_slices, abs=1e-5 * n_slices * n_pixels)


def test_the_weight_is_inserted_with_total_one(random_rotations, random_pixels):
    x, y = random_pixels(300, 9)
    slices = np.zeros((2, 3, 300), np.float32)
    slices[:, 2] = 1
    sums = insert(insert_slices, 21, random_rotations(2), x, y, slices, [(0, 21)])
    assert sums.reshape(-1, 3).sum(axis=0) == pytest.approx([0, 0, 600], rel=1e-5)


@pytest.mark.parametrize(
    "planes", [[(0, 10), (10, 21)], [(0, 1), (1, 11), (11, 12), (12, 21)], [(11, 21), (0, 11)]]
)
def test_insertion_by_slabs_is_bitwise_the_same(planes, random_rotations, random_pixels):
    rng = np.random.default_rng(5)
    slices = rng.normal(size=(17, 3, 700)).astype(np.float32)
    arguments = 21, random_rotations(17), *random_pixels(700, 9), slices
    whole = insert(insert_slices, *arguments, [(0, 21)])
    assert np.array_equal(whole, insert(insert_slices, *arguments, planes))


def test_insertion_touches_only_its_planes(random_rotations, random_pixels):
    slices = np.ones((3, 3, 200), np.float32)
    arguments = 21, random_rotations(3), *random_pixels(200, 9), slices
    sums = insert(insert_slices, *arguments, [(8, 13)]).reshape(21, -1)
    assert np.flatnonzero(sums.any(axis=1)).tolist() == [8, 9, 10, 11, 12]
