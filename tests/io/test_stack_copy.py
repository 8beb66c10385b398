import numpy as np
import pytest

from aurefine.errors import ImageError
from aurefine.io import ParticleImages
from aurefine.io._mrc_write import StackWriter
from aurefine.io.stack_copy import copied_bytes, copy_stack

ROWS = [4, 1, 7, 8, 1]


@pytest.fixture(params=[False, True])
def images(request, tmp_path):
    """Five images out of two stacks, in 32 or 16 bits."""
    rng = np.random.default_rng(1)
    for name in ("a.mrcs", "b.mrcs"):
        with StackWriter(tmp_path / name, 10, 8, 1.5, half_precision=request.param) as writer:
            writer.append(rng.normal(size=(10, 8, 8)).astype(np.float32))
    names = [f"{row + 1}@{'ab'[row % 2]}.mrcs" for row in ROWS]
    return ParticleImages.open(names, root=tmp_path)


def test_copies_hold_the_sections_in_use(images, tmp_path):
    copies = {}
    for number, (header, sections) in enumerate(images.stacks()):
        target = tmp_path / f"copy{number}.mrcs"
        copies[header.path] = copy_stack(header, sections, target)
        assert target.stat().st_size == copied_bytes(header, len(sections))
    assert [header.nz for header in copies.values()] == [2, 2]
    copied = images.with_copies(copies)
    assert copied.names == images.names
    assert np.array_equal(copied.read(range(5)), images.read(range(5)))
    (tmp_path / "a.mrcs").unlink()
    assert np.array_equal(copied.read([3]), copied.in_memory([3]).read([3]))


def test_stacks_without_a_copy_are_read_from_where_they_are(images, tmp_path):
    header, sections = images.stacks()[0]
    copied = images.with_copies({header.path: copy_stack(header, sections, tmp_path / "c.mrcs")})
    assert np.array_equal(copied.read(range(5)), images.read(range(5)))


def test_images_in_memory_do_not_need_their_stacks(images, tmp_path):
    expected = images.read(range(5))
    loaded = images.in_memory([0, 1, 2, 4])
    (tmp_path / "a.mrcs").unlink()
    (tmp_path / "b.mrcs").unlink()
    assert np.array_equal(loaded.read([2, 0]), expected[[2, 0]])
    with pytest.raises(ImageError):
        loaded.read([3, 0])


def test_a_stack_that_became_shorter_is_named(images, tmp_path):
    header, sections = images.stacks()[0]
    with open(header.path, "r+b") as stream:
        stream.truncate(1100)
    with pytest.raises(ImageError, match=r"a\.mrcs: the stack changed"):
        copy_stack(header, sections, tmp_path / "copy.mrcs")
    assert not list(tmp_path.glob("copy*"))
