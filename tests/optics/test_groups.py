import numpy as np
import pandas as pd
import pytest

from aurefine.errors import StarError
from aurefine.optics.groups import optics_groups_from_table

ROW = {
    "rlnOpticsGroupName": "og",
    "rlnOpticsGroup": 1,
    "rlnVoltage": 300.0,
    "rlnSphericalAberration": 2.7,
    "rlnAmplitudeContrast": 0.1,
    "rlnImagePixelSize": 1.5,
    "rlnImageSize": 64,
    "rlnImageDimensionality": 2,
}


def read(**changes):
    row = {key: value for key, value in (ROW | changes).items() if value is not None}
    return optics_groups_from_table(pd.DataFrame([row]), "p.star")[0]


def test_a_plain_group_has_no_aberrations():
    group = read()
    assert (group.number, group.name, group.voltage, group.pixel_size) == (1, "og", 300, 1.5)
    assert group.box_size == 64
    assert group.odd_zernike == group.even_zernike == ()
    assert not group.is_premultiplied
    assert group.mtf_file == ""
    np.testing.assert_array_equal(group.magnification, np.eye(2))


def test_every_optional_column_is_read():
    group = read(
        rlnBeamTiltX=0.1,
        rlnBeamTiltY=-0.2,
        rlnOddZernike="[0.1,-2e-3]",
        rlnEvenZernike=[1.0, 2.0],
        rlnMagMat00=1.01,
        rlnMagMat01=0.02,
        rlnMagMat10=-0.03,
        rlnMagMat11=0.99,
        rlnCtfDataAreCtfPremultiplied=1,
        rlnCtfDataAreCtfCorrected="false",
        rlnMtfFileName="mtf.star",
        rlnMicrographOriginalPixelSize=0.75,
    )
    assert (group.beam_tilt_x, group.beam_tilt_y) == (0.1, -0.2)
    assert group.odd_zernike == (0.1, -0.002)
    assert group.even_zernike == (1.0, 2.0)
    np.testing.assert_array_equal(group.magnification, [[1.01, 0.02], [-0.03, 0.99]])
    assert group.is_premultiplied
    assert not group.is_ctf_corrected
    assert (group.mtf_file, group.original_pixel_size) == ("mtf.star", 0.75)


def test_absent_amplitude_contrast_is_zero():
    assert read(rlnAmplitudeContrast=None).amplitude_contrast == 0


def test_an_absent_box_size_can_be_supplied():
    table = pd.DataFrame([{key: ROW[key] for key in ROW if key != "rlnImageSize"}])
    assert optics_groups_from_table(table, "p.star", box_size=128)[0].box_size == 128


@pytest.mark.parametrize(
    "column, value, expected",
    [
        ("rlnVoltage", 0.0, "positive"),
        ("rlnVoltage", None, "missing.*kV"),
        ("rlnVoltage", "abc", "expected a number"),
        ("rlnVoltage", np.inf, "finite"),
        ("rlnSphericalAberration", None, "missing.*mm"),
        ("rlnAmplitudeContrast", 1.2, "fraction from 0 to 1"),
        ("rlnAmplitudeContrast", -0.1, "fraction from 0 to 1"),
        ("rlnImagePixelSize", None, "missing.*Re-extract"),
        ("rlnImagePixelSize", -1.0, "positive"),
        ("rlnImageSize", None, "missing.*box size"),
        ("rlnImageSize", 63, "even"),
        ("rlnImageSize", 63.5, "whole"),
        ("rlnImageDimensionality", 3, "sub-tomograms"),
        ("rlnOddZernike", "[a,b]", "expected numbers"),
        ("rlnMagMat00", 0.0, "can not be inverted"),
        ("rlnCtfDataAreCtfPremultiplied", "maybe", "0 or 1"),
    ],
)
def test_bad_values_are_errors_naming_file_group_and_column(column, value, expected):
    with pytest.raises(
        StarError, match=rf"p\.star: data_optics, group 1, column {column}.*{expected}"
    ):
        read(**{column: value})


def test_groups_keep_their_order_and_numbers():
    table = pd.DataFrame([ROW | {"rlnOpticsGroup": 3}, ROW | {"rlnVoltage": 200.0}])
    groups = optics_groups_from_table(table, "p.star")
    assert [group.number for group in groups] == [3, 1]
    assert [group.voltage for group in groups] == [300, 200]


def test_two_groups_with_one_number_are_refused():
    with pytest.raises(StarError, match="number 1 occurs 2 times"):
        optics_groups_from_table(pd.DataFrame([ROW, ROW]), "p.star")


def test_an_empty_table_is_refused():
    with pytest.raises(StarError, match="data_optics is empty"):
        optics_groups_from_table(pd.DataFrame(columns=list(ROW)), "p.star")


def test_the_shared_data_set_has_two_voltages(shared_data):
    from aurefine.io.star import read_star

    path = shared_data / "d2-small" / "particles.star"
    groups = optics_groups_from_table(read_star(path).table("optics"), str(path))
    assert [group.voltage for group in groups] == [300, 200]
    assert {group.pixel_size for group in groups} == {3.54}
