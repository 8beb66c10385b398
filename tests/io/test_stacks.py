import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.errors import ImageError
from aurefine.io import stacks
from aurefine.io.mrc import read_map, to_float16, write_map
from aurefine.io.stacks import ParticleImages, find_stack, split_image_name


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Folder with three stacks of 8-px images and the array of all images."""
    root = tmp_path_factory.mktemp("project")
    images = np.random.default_rng(5).normal(size=(12, 8, 8)).astype(np.float32)
    images[8:] = to_float16(images[8:])
    write_map(root / "a.mrcs", images[:5], 1.5)
    write_map(root / "b.mrcs", images[5:8], 1.5)
    write_map(root / "c.mrcs", images[8:], 1.5, half_precision=True)
    names = [f"{i + 1:06d}@{f}.mrcs" for f, n in (("a", 5), ("b", 3), ("c", 4)) for i in range(n)]
    return root, names, images


@pytest.mark.parametrize(
    "name, parts",
    [
        ("000012@a/b.mrcs", (12, "a/b.mrcs")),
        ("1@b@c.mrcs", (1, "b@c.mrcs")),
        ("a/b.mrc", (1, "a/b.mrc")),
    ],
)
def test_image_name_has_number_and_file(name, parts):
    assert split_image_name(name) == parts


@pytest.mark.parametrize("name", ["x@a.mrcs", "@a.mrcs", "-1@a.mrcs", "1@", "²@a.mrcs"])
def test_image_name_without_number_is_refused(name):
    with pytest.raises(ImageError, match="expected a number, @ and the name of a stack"):
        split_image_name(name)


@given(st.data())
@settings(max_examples=30)
def test_images_come_in_the_order_asked_for(project, data):
    root, names, images = project
    rows = data.draw(st.permutations(range(12)))
    access = ParticleImages.open([names[row] for row in rows], root=root, expected_box=8)
    indices = data.draw(st.lists(st.integers(0, 11), max_size=20))
    found = access.read(indices)
    assert found.dtype == np.float32
    assert found.flags.writeable
    assert (found == images[rows][indices].reshape(-1, 8, 8)).all()


def test_sizes_are_known_without_reading(project):
    root, names, _ = project
    access = ParticleImages.open(names, root=root)
    assert len(access) == 12
    assert access.box_sizes.tolist() == [8] * 12
    assert access.pixel_sizes.tolist() == [1.5] * 12


def test_number_of_open_stacks_is_bounded(project, monkeypatch):
    monkeypatch.setattr(stacks, "_MAX_OPEN", 1)
    root, names, images = project
    access = ParticleImages.open(names, root=root)
    for row in (0, 6, 9, 1):
        assert (access.read([row])[0] == images[row]).all()
        assert len(access._open) == 1


def test_threads_read_the_same_images(project):
    root, names, images = project
    access = ParticleImages.open(names, root=root)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(access.read, [np.arange(12)] * 20):
            assert (found == images).all()


def test_access_travels_to_other_processes(project):
    root, names, images = project
    access = ParticleImages.open(names, root=root)
    access.read([0])
    assert (pickle.loads(pickle.dumps(access)).read([3])[0] == images[3]).all()


def test_single_image_files_need_no_number(project):
    root, _, images = project
    write_map(root / "single.mrc", images[2], 1.5)
    assert (ParticleImages.open(["single.mrc"], root=root).read([0])[0] == images[2]).all()


def test_empty_table_gives_no_images(tmp_path):
    access = ParticleImages.open([], root=tmp_path)
    assert len(access) == 0
    assert access.read([]).shape == (0, 0, 0)


def test_reference_stack_is_read(shared_data):
    root = shared_data / "golden/extract"
    path = "Extract/job013/Movies/mic002.mrcs"
    images = read_map(root / path)[0]
    names = [f"{i + 1}@{path}" for i in range(len(images))]
    assert (ParticleImages.open(names, root=root).read(np.arange(len(names))) == images).all()


@pytest.mark.parametrize(
    "name, message",
    [
        ("6@a.mrcs", r"row 2: image 6 of a\.mrcs does not exist; the stack has 5 images"),
        ("0@a.mrcs", r"row 2: image 0 of a\.mrcs does not exist"),
        ("1@none.mrcs", r"row 2 \(1@none.mrcs\): .*none\.mrcs: the image file does not exist"),
        ("1@volume.mrc", r"row 2 .*must have the extension \.mrcs"),
        ("volume.mrc", "row 2 .* a volume of 4 sections"),
        ("image.png", r"row 2 .* expected a file with the extension \.mrcs or \.mrc"),
        ("1@odd.mrcs", "row 2 .* images of 7 x 7 px; they must be square and of even size"),
        ("1@oblong.mrcs", "row 2 .* images of 6 x 8 px"),
        ("1@short.mrcs", "row 2 .* truncated: 8 x 8 x 5 .* need 2304 bytes, found 2303"),
        ("x@a.mrcs", "row 2: image name 'x@a.mrcs': expected a number"),
        ("1@six.mrcs", "row 2: 1@six.mrcs has a box of 6 px, but 8 px are expected"),
    ],
)
def test_image_that_can_not_be_used_is_named(project, name, message):
    root = project[0]
    write_map(root / "volume.mrc", np.zeros((4, 8, 8)), 1.0)
    write_map(root / "odd.mrcs", np.zeros((1, 7, 7)), 1.0)
    write_map(root / "oblong.mrcs", np.zeros((1, 8, 6)), 1.0)
    write_map(root / "six.mrcs", np.zeros((1, 6, 6)), 1.0)
    (root / "short.mrcs").write_bytes((root / "a.mrcs").read_bytes()[:-1])
    with pytest.raises(ImageError, match=message):
        ParticleImages.open(["1@a.mrcs", name], root=root, expected_box=8)


def test_expected_box_may_differ_by_particle(project):
    root = project[0]
    write_map(root / "six.mrcs", np.zeros((1, 6, 6)), 1.0)
    access = ParticleImages.open(
        ["1@a.mrcs", "1@six.mrcs"], root=root, expected_box=np.array([8, 6])
    )
    with pytest.raises(ValueError, match=r"different boxes: \[6, 8\]"):
        access.read([0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixel_that_is_not_finite_is_named(tmp_path, value):
    images = np.zeros((3, 4, 4))
    images[1, 2, 2] = value
    write_map(tmp_path / "a.mrcs", images, 1.0)
    access = ParticleImages.open([f"{i}@a.mrcs" for i in (3, 2, 1)], root=tmp_path)
    assert (access.read([0, 2]) == 0).all()
    with pytest.raises(ImageError, match=r"row 2: 2@a\.mrcs has pixels that are not finite"):
        access.read([0, 1, 2])


def test_stack_that_changed_since_it_was_opened_is_refused(tmp_path):
    write_map(tmp_path / "a.mrcs", np.zeros((3, 4, 4)), 1.0)
    access = ParticleImages.open(["3@a.mrcs"], root=tmp_path)
    write_map(tmp_path / "a.mrcs", np.zeros((2, 4, 4)), 1.0)
    with pytest.raises(ImageError, match="changed while it was in use"):
        access.read([0])
    (tmp_path / "a.mrcs").unlink()
    with pytest.raises(ImageError, match="does not exist"):
        access.read([0])


def test_stack_that_shrinks_while_it_is_open_is_refused(tmp_path):
    write_map(tmp_path / "a.mrcs", np.zeros((3, 4, 4)), 1.0)
    access = ParticleImages.open(["1@a.mrcs", "3@a.mrcs"], root=tmp_path)
    assert (access.read([0]) == 0).all()
    with open(tmp_path / "a.mrcs", "r+b") as stream:
        stream.truncate(1024 + 2 * 64 + 10)
    with pytest.raises(ImageError, match="changed while it was in use: it ends at byte 1162"):
        access.read([1])


def test_taking_rows_keeps_names_and_images_together(project):
    root, names, images = project
    access = ParticleImages.open(names, root=root)
    rows = [11, 0, 6]
    taken = access.take(rows)
    assert taken.names == tuple(names[row] for row in rows)
    assert len(taken.box_sizes) == 3
    assert np.array_equal(taken.read(range(3)), images[rows])


@pytest.mark.parametrize(
    "name", ["J9/m_p.mrc", ">J9/m_p.mrc", ">J9/001234567890_m_p.mrc", "J9/001234567890_m_p.mrc"]
)
def test_converted_names_of_stacks_are_found(tmp_path, name):
    (tmp_path / "J9").mkdir()
    (tmp_path / "J9" / "m_p.mrc").touch()
    assert find_stack(name, tmp_path) == tmp_path / "J9" / "m_p.mrc"


def test_a_stack_is_taken_as_it_is_named_first(tmp_path):
    for name in ("123456_m.mrcs", "m.mrcs"):
        (tmp_path / name).touch()
    assert find_stack("123456_m.mrcs", tmp_path) == tmp_path / "123456_m.mrcs"
    assert find_stack("missing.mrcs", tmp_path) == tmp_path / "missing.mrcs"
