import logging

import numpy as np
import pandas as pd
import pytest

from aurefine.errors import StarError
from aurefine.io.mrc import write_map
from aurefine.io.particles import (
    ParticleTable,
    read_micrographs,
    read_particles,
    write_micrographs,
    write_particles,
)
from aurefine.io.star import write_star


def optics(**changes):
    columns = {
        "rlnOpticsGroup": [1, 2],
        "rlnOpticsGroupName": ["one", "two"],
        "rlnVoltage": [300.0, 200.0],
        "rlnSphericalAberration": [2.7, 2.7],
        "rlnImagePixelSize": [1.5, 1.5],
        "rlnImageSize": [64, 64],
        "rlnImageDimensionality": [2, 2],
    } | changes
    return pd.DataFrame({label: value for label, value in columns.items() if value is not None})


def particles(**changes):
    columns = {
        "rlnImageName": ["1@a.mrcs", "2@a.mrcs", "3@a.mrcs"],
        "rlnOpticsGroup": [1, 2, 1],
        "labNote": ["x", "y", "z"],
    } | changes
    return pd.DataFrame({label: value for label, value in columns.items() if value is not None})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "particles.star"


def test_reference_particles_come_back(shared_data, path):
    table = read_particles(shared_data / "d2-small/particles.star")
    assert len(table.particles) == 600
    assert table.optics["rlnVoltage"].tolist() == [300.0, 200.0]
    write_particles(path, table)
    again = read_particles(path)
    pd.testing.assert_frame_equal(again.optics, table.optics)
    pd.testing.assert_frame_equal(again.particles, table.particles)


def test_legacy_particles_are_converted_as_by_relion(shared_data, path):
    folder = shared_data / "golden/legacy"
    write_particles(path, read_particles(folder / "particles_3.0.star", root=folder), version=30001)
    assert path.read_text() == (folder / "particles_converted.star").read_text()


def test_legacy_particles_without_images_have_no_box_size(shared_data, path, tmp_path, caplog):
    folder = shared_data / "golden/legacy"
    with caplog.at_level(logging.WARNING):
        table = read_particles(folder / "particles_3.0.star", root=tmp_path)
    write_particles(path, table, version=30001)
    assert path.read_text() == (folder / "particles_converted_nostack.star").read_text()
    assert "mic001.mrcs is missing; the optics table has no box size" in caplog.text


def test_legacy_micrographs_are_converted_as_by_relion(shared_data, path):
    folder = shared_data / "golden/legacy"
    table = read_micrographs(folder / "micrographs_ctf_3.0.star")
    write_micrographs(path, table, version=30001)
    assert path.read_text() == (folder / "micrographs_ctf_converted.star").read_text()


def test_each_combination_of_legacy_settings_becomes_a_group(tmp_path, path):
    write_map(tmp_path / "a.mrcs", np.zeros((4, 16, 16)), 1.0)
    rows = pd.DataFrame(
        {
            "rlnImageName": [f"{i}@a.mrcs" for i in (1, 2, 3, 4)],
            "rlnVoltage": [300, 200, 300, 300],
            "rlnSphericalAberration": [2.7] * 4,
            "rlnDetectorPixelSize": [14.0, 14.0, 14.0, 7.0],
            "rlnMagnification": [50000.0] * 4,
            "rlnOriginX": [1.0, 2.0, 3.0, 4.0],
            "rlnOriginYPrior": [1.0, 1.0, 1.0, 1.0],
            "rlnHelicalTrackLength": [1.0, 1.0, 1.0, 2.0],
        }
    )
    write_star(path, {"": rows}, version=30001)
    table = read_particles(path, root=tmp_path)
    assert table.particles["rlnOpticsGroup"].tolist() == [1, 2, 1, 3]
    assert table.optics["rlnVoltage"].tolist() == [300.0, 200.0, 300.0]
    assert table.optics["rlnImagePixelSize"].tolist() == pytest.approx([2.8, 2.8, 1.4])
    assert table.optics["rlnImageSize"].tolist() == [16, 16, 16]
    assert table.particles["rlnOriginXAngst"].tolist() == pytest.approx([2.8, 5.6, 8.4, 5.6])
    assert table.particles.columns.tolist() == [
        "rlnImageName",
        "rlnOpticsGroup",
        "rlnOriginXAngst",
        "rlnOriginYPriorAngst",
        "rlnHelicalTrackLengthAngst",
    ]


def test_optics_groups_are_renumbered_in_file_order(path, caplog):
    rows = particles(rlnOpticsGroup=[7, 3, 7])
    write_star(path, {"optics": optics(rlnOpticsGroup=[7, 3]), "particles": rows})
    with caplog.at_level(logging.WARNING):
        table = read_particles(path)
    assert table.optics["rlnOpticsGroup"].tolist() == [1, 2]
    assert table.optics["rlnOpticsGroupName"].tolist() == ["one", "two"]
    assert table.particles["rlnOpticsGroup"].tolist() == [1, 2, 1]
    assert "optics groups are renumbered" in caplog.text


def test_unknown_columns_stay(path):
    write_star(path, {"optics": optics(labLens=["a", "b"]), "particles": particles()})
    table = read_particles(path)
    assert table.optics["labLens"].tolist() == ["a", "b"]
    assert table.particles["labNote"].tolist() == ["x", "y", "z"]


def test_missing_group_names_are_filled_in(path):
    write_star(path, {"optics": optics(rlnOpticsGroupName=None), "particles": particles()})
    names = read_particles(path).optics["rlnOpticsGroupName"]
    assert names.tolist() == ["opticsGroup1", "opticsGroup2"]


def test_helical_segments_give_a_warning(path, caplog):
    write_star(path, {"optics": optics(), "particles": particles(rlnHelicalTubeID=[1, 1, 2])})
    with caplog.at_level(logging.WARNING):
        read_particles(path)
    assert "helical segments are treated as single particles" in caplog.text


def test_pixel_size_of_micrographs_may_come_from_the_images(path, caplog):
    rows = pd.DataFrame({"rlnMicrographName": ["a.mrc"], "rlnOpticsGroup": [2]})
    write_star(path, {"optics": optics(), "micrographs": rows})
    with caplog.at_level(logging.WARNING):
        table = read_micrographs(path)
    assert table.optics["rlnMicrographPixelSize"].tolist() == [1.5, 1.5]
    assert "rlnImagePixelSize is taken" in caplog.text


@pytest.mark.parametrize(
    "blocks, message",
    [
        ({"optics": optics()}, "no block data_particles in the file; it has: data_optics"),
        ({"optics": optics(), "particles": particles(rlnImageName=None)}, "no column rlnImageName"),
        (
            {"optics": optics(), "particles": particles(rlnImageName=["1@a.mrcs", "", "x"])},
            "row 2: rlnImageName is empty",
        ),
        (
            {"optics": optics(), "particles": particles(rlnOpticsGroup=None)},
            "data_particles has no column rlnOpticsGroup",
        ),
        (
            {"optics": optics(rlnOpticsGroup=None), "particles": particles()},
            "data_optics has no column rlnOpticsGroup",
        ),
        (
            {"optics": optics(rlnOpticsGroup=[1, 1]), "particles": particles()},
            "optics group 1 is defined twice",
        ),
        (
            {"optics": optics(), "particles": particles(rlnOpticsGroup=[1, 3, 1])},
            "row 2: optics group 3 is not defined in data_optics, which has 1, 2",
        ),
        (
            {"optics": optics(rlnVoltage=None), "particles": particles()},
            r"no column rlnVoltage. Add it with the acceleration voltage \[kV\]",
        ),
        (
            {"optics": optics(rlnSphericalAberration=None), "particles": particles()},
            "no column rlnSphericalAberration",
        ),
        (
            {"optics": optics(rlnImagePixelSize=None), "particles": particles()},
            "no column rlnImagePixelSize",
        ),
        (
            {"optics": optics(rlnImagePixelSize=[1.5, 0.0]), "particles": particles()},
            "row 2: rlnImagePixelSize is 0.0, but must be a positive number",
        ),
        (
            {"optics": optics(rlnVoltage=[300.0, -1.0]), "particles": particles()},
            "row 2: rlnVoltage is -1.0",
        ),
        (
            {"optics": optics(rlnImageDimensionality=[2, 3]), "particles": particles()},
            "row 2: rlnImageDimensionality is 3, .* sub-tomograms can not be refined",
        ),
        (
            {"optics": optics(rlnImageSize=[64, 63]), "particles": particles()},
            "row 2: rlnImageSize is 63, but must be even",
        ),
        ({"particles": particles()}, "no block data_optics, although the file is of version 50001"),
    ],
)
def test_incomplete_file_is_refused(path, blocks, message):
    write_star(path, blocks)
    with pytest.raises(StarError, match=message):
        read_particles(path)


HEAD = "data_optics\nloop_\n_rlnOpticsGroup #1\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (HEAD + "1\n\ndata_particles\nloop_\n_rlnImageName #1\n", "data_particles has no rows"),
        (HEAD + "\ndata_particles\nloop_\n_rlnImageName #1\nx\n", "data_optics has no rows"),
        ("data_\n_rlnImageName x\n", "the file holds no table of particles"),
        ("data_\nloop_\n_rlnImageName\nx\n", "no column rlnDetectorPixelSize or rlnMagnification"),
        (
            "data_\nloop_\n_rlnImageName\n_rlnDetectorPixelSize\n_rlnMagnification\nx 1 0\n",
            "row 1: rlnMagnification is 0.0; it must be positive",
        ),
        (
            "data_\nloop_\n_rlnImageName\n_rlnDetectorPixelSize\n_rlnMagnification\nx@a 1 1\n",
            "can not find out the box size: image name 'x@a'",
        ),
        (
            "data_\nloop_\n_rlnImageName\n_rlnDetectorPixelSize\n_rlnMagnification\n1@o.mrcs 1 1\n",
            "images of 1@o.mrcs have 6 x 7 px; they must be square",
        ),
    ],
)
def test_malformed_file_is_refused(path, tmp_path, text, message):
    write_map(tmp_path / "o.mrcs", np.zeros((1, 7, 6)), 1.0)
    path.write_text(text)
    with pytest.raises(StarError, match=message):
        read_particles(path, root=tmp_path)


def test_micrographs_file_is_not_taken_for_particles(shared_data):
    with pytest.raises(StarError, match="no block data_particles"):
        read_particles(shared_data / "golden/extract/CtfFind/job003/micrographs_ctf.star")


def test_table_is_a_record():
    table = ParticleTable(optics(), particles(), "x.star")
    with pytest.raises(AttributeError):
        table.path = "y.star"  # type: ignore[misc]
