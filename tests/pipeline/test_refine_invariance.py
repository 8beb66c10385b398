"""What must not matter: the order of the particles, where they lie, how the reference is turned,
and the hand of everything together."""

import numpy as np
import pytest

from aurefine.io import ParticleTable, StackWriter, read_map, read_particles, write_map
from aurefine.io import write_particles as write_table

SHORT = ["--auto_iter_max", "2", "--skip_checks"]


@pytest.fixture(scope="module")
def data(project):
    """Table with half sets, images and reference of the tiny project."""
    table = read_particles(project / "particles.star")
    frame = table.particles.assign(rlnRandomSubset=1 + np.arange(80) % 2)
    images = np.fromfile(project / "particles.mrcs", np.float32, offset=1024).reshape(-1, 32, 32)
    reference, pixel_size = read_map(project / "reference.mrc")
    return ParticleTable(table.optics, frame, table.path), images, reference, pixel_size


@pytest.fixture
def refined(refine, tmp_path):
    """Run two iterations with other data; return the map of half 1 and the particle table."""

    def run(name, table, images, reference, pixel_size):
        folder = tmp_path / name
        folder.mkdir()
        with StackWriter(folder / "p.mrcs", len(images), 32, pixel_size) as writer:
            for image in images:
                writer.append(image)
        number = table.particles["rlnImageName"].str.partition("@")[0]
        frame = table.particles.assign(rlnImageName=number + f"@{folder}/p.mrcs")
        star, ref = folder / "p.star", folder / "ref.mrc"
        write_table(star, ParticleTable(table.optics, frame, str(star)))
        write_map(ref, reference, pixel_size)
        assert refine(f"{folder}/run", "--i", str(star), "--ref", str(ref), *SHORT) == 0
        values, _ = read_map(folder / "run_it002_half1_class001.mrc")
        return values, read_particles(folder / "run_it002_data.star").particles

    return run


def correlation(first, second):
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def mirrored(values):
    """Mirror x about the origin, which is pixel n / 2."""
    return np.roll(values[..., ::-1], 1, axis=-1)


def test_the_order_of_the_particles_does_not_matter(data, refined):
    table, images, reference, pixel_size = data
    first, _ = refined("a", table, images, reference, pixel_size)
    order = np.random.default_rng(0).permutation(80)
    other = ParticleTable(
        table.optics, table.particles.iloc[order].reset_index(drop=True), table.path
    )
    second, _ = refined("b", other, images, reference, pixel_size)
    assert np.abs(first - second).max() < 1e-5 * np.abs(first).max()


def test_particles_may_lie_elsewhere_if_their_offsets_say_so(data, refined):
    table, images, reference, pixel_size = data
    first, poses = refined("a", table, images, reference, pixel_size)
    moved = np.roll(images, 2, axis=2)
    frame = table.particles.assign(rlnOriginXAngst=-2 * pixel_size, rlnOriginYAngst=0.0)
    other = ParticleTable(table.optics, frame, table.path)
    second, others = refined("b", other, moved, reference, pixel_size)
    # the prior on offsets knows of the move, so some weights change
    assert correlation(first, second) > 0.97
    change = others["rlnOriginXAngst"] - poses["rlnOriginXAngst"]
    assert np.median(change) == pytest.approx(-2 * pixel_size, abs=0.1 * pixel_size)


def test_a_turned_reference_gives_a_turned_map(data, refined):
    table, images, reference, pixel_size = data
    first, _ = refined("a", table, images, reference, pixel_size)
    # by 90 degrees about z, which exchanges the other 2-fold axes; the origin stays
    turned = np.roll(np.rot90(reference, axes=(1, 2)), 1, axis=1)
    second, _ = refined("b", table, images, turned, pixel_size)
    expected = np.roll(np.rot90(first, axes=(1, 2)), 1, axis=1)
    assert correlation(expected, second) > 0.97  # orientations are sampled in other places


def test_mirrored_images_and_reference_give_the_mirrored_map(data, refined):
    table, images, reference, pixel_size = data
    first, _ = refined("a", table, images, reference, pixel_size)
    frame = table.particles
    frame = frame.assign(rlnDefocusAngle=180 - frame["rlnDefocusAngle"])
    other = ParticleTable(table.optics, frame, table.path)
    second, _ = refined("b", other, mirrored(images), mirrored(reference), pixel_size)
    assert correlation(mirrored(first), second) > 0.97
    # the other hand does not fit as well
    assert correlation(mirrored(first), second) > correlation(first, second) + 0.02
