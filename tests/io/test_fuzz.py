"""Damaged files give an error for the user, or are read, and never anything else."""

import random
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.errors import AurefineError
from aurefine.io.mrc import read_image, read_map
from aurefine.io.particles import read_particles
from aurefine.io.stacks import ParticleImages
from aurefine.io.star import read_star, write_star

SNIPPETS = [b"\n", b" ", b'"', b"'", b"#", b"\x07", b"data_", b"loop_\n", b"_rlnVoltage", b"nan"]
SNIPPETS += [b"\r", b"\t", b"-", b"1e999", b"\xff", b"\0", b"\n\n", b"_", b"# version 3", b"True"]


def damage(data: bytes, seed: int) -> bytes:
    """Change, remove, insert, or repeat a few pieces."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(data))
        stop = min(len(data), start + rng.choice([0, 1, 1, 4, 60, 2000]))
        piece = rng.choice([*SNIPPETS, rng.randbytes(rng.randint(0, 4)), data[start:stop] * 2])
        data = data[:start] + piece + data[stop:]
    return data


@contextmanager
def only_errors_that_name(file_name):
    """Accept success, and errors for the user with the name of the file."""
    try:
        yield
    except AurefineError as error:
        if file_name not in str(error):
            raise AssertionError(f"the message does not name the file: {error}") from error


STAR_FILES = [
    "golden/star/in.star",
    "golden/star/out.star",
    "golden/legacy/particles_3.0.star",
    "golden/refine/R5/run_it003_optimiser.star",
    "golden/refine/R5/run_it003_half1_model.star",
    "golden/refine/R5/run_data.star",
    "golden/pipeline/relion5/default_pipeline.star",
]


@pytest.mark.parametrize("name", STAR_FILES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_star_file(shared_data, tmp_path_factory, name, seed):
    path = tmp_path_factory.getbasetemp() / "damaged.star"
    path.write_bytes(damage((shared_data / name).read_bytes()[:20_000], seed))
    with only_errors_that_name("damaged.star"):
        star = read_star(path)
        write_star(path, star.blocks)
        again = read_star(path)
        assert [len(block) for block in again.blocks.values()] == [
            len(block) for block in star.blocks.values() if len(block)
        ]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_particle_file(shared_data, tmp_path_factory, seed):
    path = tmp_path_factory.getbasetemp() / "damaged.star"
    data = (shared_data / "golden/extract/Select/job010/particles.star").read_bytes()
    path.write_bytes(damage(data, seed))
    with only_errors_that_name("damaged.star"):
        assert len(read_particles(path).particles) > 0


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), in_header=st.booleans())
def test_damaged_image_file(shared_data, tmp_path_factory, seed, in_header):
    folder = tmp_path_factory.getbasetemp()
    data = (shared_data / "golden/image_handler/stack24.mrcs").read_bytes()
    if in_header:
        rng = random.Random(seed)
        raw = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            raw[4 * rng.randrange(26) + rng.randrange(4)] = rng.choice([0, 1, 2, 6, 12, 101, 255])
        data = bytes(raw)
    else:
        data = damage(data, seed)
    (folder / "damaged.mrcs").write_bytes(data)
    for read in (
        lambda: read_map(folder / "damaged.mrcs"),
        lambda: read_image(f"2@{folder / 'damaged.mrcs'}"),
        lambda: ParticleImages.open(["2@damaged.mrcs"], root=folder).read([0]),
    ):
        with only_errors_that_name("damaged.mrcs"):
            read()
