"""Refinements that start from poses: kept as they are, searched around, relaxed symmetry."""

import numpy as np
import pytest

from aurefine.geometry.euler import euler_from_matrix, matrix_from_euler
from aurefine.geometry.symmetry import angular_change, point_group
from aurefine.io import ParticleTable, read_map, read_particles, write_map, write_particles

ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst")


@pytest.fixture
def start(project, tmp_path):
    """Function (name, change): write the true poses after a change and return the file."""

    def write(change=lambda rows: rows):
        table = read_particles(project / "truth.star")
        path = tmp_path / "start.star"
        write_particles(path, ParticleTable(table.optics, change(table.particles), str(path)))
        return path

    return write


@pytest.fixture
def run(refine, tmp_path):
    def start_run(particles, *options):
        output = tmp_path / "run"
        assert refine(output, *options, "--i", str(particles)) == 0
        return output

    return start_run


def by_name(path):
    return read_particles(path).particles.set_index("rlnImageName").sort_index()


def rotations(rows):
    return matrix_from_euler(*(rows[name].to_numpy(float) for name in ANGLES))


def correlation(output, project, stem="_class001.mrc"):
    found, truth = read_map(f"{output}{stem}")[0], read_map(project / "true_map.mrc")[0]
    return np.corrcoef(found.ravel(), truth.ravel())[0, 1]


def test_kept_poses_do_not_change(start, run, project):
    particles = start()
    output = run(particles, "--skip_align")
    before, after = by_name(particles), by_name(f"{output}_data.star")
    for name in (*ANGLES, *ORIGINS):
        assert np.allclose(after[name], before[name], atol=1.1e-6 * np.abs(before[name]).max())
    assert correlation(output, project) > 0.95


def test_true_offsets_of_parts_of_a_pixel_are_applied(start, run, project):
    """Half a pixel of wrong offset costs resolution; poses are kept and not rounded."""
    exact = correlation(run(start(), "--skip_align"), project)

    def rounded(rows):
        steps = {name: np.rint(rows[name] / 7.08) * 7.08 for name in ORIGINS}
        return rows.assign(**steps)

    assert exact > correlation(run(start(rounded), "--skip_align"), project)


def test_kept_orientations_find_their_offsets(start, run, project):
    particles = start(lambda rows: rows.assign(rlnOriginXAngst=0.0, rlnOriginYAngst=0.0))
    output = run(particles, "--skip_rotate", "--offset_range", "5")
    truth, after = by_name(project / "truth.star"), by_name(f"{output}_data.star")
    for name in ANGLES:
        assert np.allclose(after[name], truth[name], atol=2e-4)
    error = np.hypot(*(after[name] - truth[name] for name in ORIGINS))
    before = np.hypot(*(truth[name] for name in ORIGINS))
    assert np.median(error) < 2.5 < np.median(before)  # Å; a pixel has 7.08


def test_a_width_searches_around_the_given_angles(start, run, project):
    sigma, group = 5.0, point_group("D2")
    output = run(start(), "--sigma_ang", str(sigma), "--auto_iter_max", "2")
    truth, after = by_name(project / "truth.star"), by_name(f"{output}_it002_data.star")
    moved = angular_change(rotations(truth), rotations(after), group)
    # three standard deviations in each of two iterations, and less than a coarse step of 30
    assert moved.max() < 6 * sigma + 30
    sampling = (output.parent / "run_it001_sampling.star").read_text()
    assert "rlnSamplingPerturbInstance" in sampling
    model = (output.parent / "run_it001_half1_model.star").read_text()
    assert "_rlnOrientationalPriorMode" in model + sampling
    assert np.median(moved) < 15


def test_relaxed_symmetry_brings_back_particles_of_another_mate(start, run, project):
    """Half of the particles start at the wrong one of two pseudo-symmetric poses."""
    mates = point_group("C2").matrices

    def exchanged(rows):
        chosen = (np.arange(len(rows)) % 2)[:, None, None]
        wrong = np.where(chosen, rotations(rows) @ mates[1], rotations(rows))
        return rows.assign(**dict(zip(ANGLES, euler_from_matrix(wrong), strict=True)))

    particles = start(exchanged)
    options = ("--sym", "C1", "--sigma_ang", "4", "--auto_iter_max", "2", "--healpix_order", "2")
    output = run(particles, *options, "--relax_sym", "C2")
    before, after = by_name(particles), by_name(f"{output}_it002_data.star")
    group = point_group("C1")
    moved = angular_change(rotations(before), rotations(after), group)
    to_mate = angular_change(rotations(before) @ mates[1], rotations(after), group)
    # D2 particles: both mates fit equally well, so many go to the other one
    assert 0.2 < (to_mate < moved).mean() < 0.8
    assert np.minimum(moved, to_mate).max() < 40


def test_prior_angles_are_the_centres_of_local_searches(start, run, project):
    """Wrong angles, but right prior angles: the first iteration is back at the truth."""

    def with_priors(rows):
        priors = {f"{name}Prior": rows[name] for name in ANGLES}
        return rows.assign(**priors, rlnAngleRot=10.0, rlnAngleTilt=20.0, rlnAnglePsi=30.0)

    output = run(start(with_priors), "--sigma_ang", "4", "--auto_iter_max", "1")
    truth, after = by_name(project / "truth.star"), by_name(f"{output}_it001_data.star")
    moved = angular_change(rotations(truth), rotations(after), point_group("D2"))
    assert np.median(moved) < 15


def test_other_images_make_the_last_map(start, run, project):
    """Aligned with the particles, reconstructed from images of half the contrast."""
    images, pixel_size = read_map(project / "particles.mrcs")
    plain = run(start(), "--skip_align", "--no_norm", "--no_scale")
    expected = read_map(f"{plain}_class001.mrc")[0]
    half = start().parent / "half.mrcs"
    write_map(half, images / 2, pixel_size)

    def with_others(rows):
        names = rows["rlnImageName"].str.partition("@")[0] + f"@{half}"
        return rows.assign(rlnReconstructImageName=names)

    output = run(start(with_others), "--skip_align", "--no_norm", "--no_scale")
    found = read_map(f"{output}_class001.mrc")[0]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999
    assert found.std() == pytest.approx(expected.std() / 2, rel=0.02)
