"""What is found in a particle table and its images."""

import numpy as np
import pandas as pd
import pytest

from aurefine.io import ParticleImages, StackWriter
from aurefine.jobs.check_particles import check_copies, check_ctf, check_pixels, find_bad_images
from aurefine.parallel.pool import WorkerPool


def optics(**changes):
    values = {
        "rlnOpticsGroup": 1, "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7,
        "rlnAmplitudeContrast": 0.1,
    }  # fmt: skip
    return pd.DataFrame([values | changes])


def particles(n=4, **columns):
    values = {"rlnDefocusU": 12000.0, "rlnDefocusV": 11000.0, "rlnPhaseShift": 0.0}
    return pd.DataFrame({key: np.broadcast_to(v, n) for key, v in (values | columns).items()})


def test_usual_values_are_no_finding():
    assert check_ctf(particles(), optics(), "p.star") == []


def test_defocus_in_micrometres_is_an_error():
    found = check_ctf(particles(rlnDefocusU=1.2, rlnDefocusV=1.1), optics(), "p.star")
    assert [(f.topic, f.level) for f in found] == [("defocus_unit", "error")]
    assert "10000" in found[0].remedy


@pytest.mark.parametrize(
    ("topic", "column", "values"),
    [
        ("defocus", "rlnDefocusU", [12000.0, -500.0, 12000.0, 12000.0]),
        ("defocus", "rlnDefocusU", [12000.0, 250000.0, 12000.0, 12000.0]),
        ("astigmatism", "rlnDefocusU", [12000.0, 30000.0, 12000.0, 12000.0]),
        ("phase_shift", "rlnPhaseShift", [0.0, 300.0, 0.0, 0.0]),
        ("ctf_scale", "rlnCtfScalefactor", [1.0, 0.0, 1.0, 1.0]),
        ("ctf_bfactor", "rlnCtfBfactor", [0.0, 5000.0, 0.0, 0.0]),
    ],
)
def test_a_value_out_of_range_is_named_by_its_row(topic, column, values):
    found = check_ctf(particles(**{column: values}), optics(), "p.star")
    assert [(f.topic, f.level) for f in found] == [(topic, "warning")]
    assert found[0].rows.tolist() == [1]
    assert "row 2" in found[0].found


def test_phase_shifts_in_radians_are_noticed():
    found = check_ctf(particles(rlnPhaseShift=[1.4, 1.5, 1.6, 1.5]), optics(), "p.star")
    assert [f.topic for f in found] == ["phase_shift_unit"]


@pytest.mark.parametrize(
    ("column", "value", "level"),
    [
        ("rlnVoltage", 300000.0, "error"),
        ("rlnVoltage", 30.0, "warning"),
        ("rlnSphericalAberration", 2700.0, "error"),
        ("rlnSphericalAberration", 27.0, "warning"),
        ("rlnAmplitudeContrast", 7.0, "error"),
        ("rlnAmplitudeContrast", 0.7, "warning"),
    ],
)
def test_a_microscope_constant_out_of_range_is_found(column, value, level):
    found = check_ctf(particles(), optics(**{column: value}), "p.star")
    assert [f.level for f in found] == [level]
    assert column in found[0].found


def test_copies_in_both_halves_are_reported_with_their_rows():
    frame = pd.DataFrame({"rlnRandomSubset": [1, 2, 1, 2, 2]})
    found = check_copies(frame, np.array([0, 1, 2, 0, 1]), "p.star", 30.0)
    assert [f.topic for f in found] == ["both_halves"]
    assert found[0].rows.tolist() == [0, 3]  # rows 2 and 5 are in one half
    assert found[0].numbers["n_particles"] == 1


def test_copies_without_half_sets_are_reported_too():
    found = check_copies(pd.DataFrame(index=range(3)), np.array([0, 1, 0]), "p.star", 30.0)
    assert [f.topic for f in found] == ["duplicates"]
    assert check_copies(pd.DataFrame(index=range(3)), np.arange(3), "p.star", 30.0) == []


def test_images_that_can_not_be_used_are_found(tmp_path):
    images = np.random.default_rng(0).normal(size=(70, 8, 8)).astype(np.float32)
    images[3, 2, 2] = np.nan
    images[66, 0, 0] = np.inf
    images[68] = 5.0
    path = tmp_path / "p.mrcs"
    with StackWriter(path, 70, 8, 1.0) as writer:
        for image in images:
            writer.append(image)
    stack = ParticleImages.open([f"{i + 1:06d}@p.mrcs" for i in range(70)], root=tmp_path)
    for n_threads in (1, 2):
        with WorkerPool(n_threads) as pool:
            not_finite, constant = find_bad_images(stack, pool)
        assert not_finite.tolist() == [3, 66]
        assert constant.tolist() == [68]
    found = check_pixels(not_finite, constant, "p.star")
    assert [(f.topic, f.level) for f in found] == [("not_finite", "error"), ("constant", "warning")]
