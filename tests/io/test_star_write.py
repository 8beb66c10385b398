import math
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurefine.errors import OutputError, StarError
from aurefine.io.numbers import round_like_star
from aurefine.io.star import read_star, write_star

GOLDEN_INPUTS = {  # written by other programs than RELION, in another layout
    "micrographs_ctf_3.0.star",
    "particles_3.0.star",
    "in.star",
    "out.star",
    "particles.star",
    "particles_og1.star",
}


def test_table_has_the_layout_of_relion(tmp_path):
    optics = pd.DataFrame({"rlnOpticsGroup": [1, 2], "rlnVoltage": [300, 200], "labX": ["a", ""]})
    write_star(tmp_path / "x.star", {"optics": optics, "empty": optics[:0]})
    assert (tmp_path / "x.star").read_text() == (
        "\n# version 50001\n\ndata_optics\n\nloop_ \n"
        "_rlnOpticsGroup #1 \n_rlnVoltage #2 \n_labX #3 \n"
        '           1   300.000000          a \n           2   200.000000         "" \n \n'
    )


def test_list_has_the_layout_of_relion(tmp_path):
    values = {"rlnVoltage": 300, "rlnDoZeroMask": True, "rlnMaskName": "a b", "rlnImageSize": 64}
    write_star(tmp_path / "x.star", {"general": values}, version=30001, header=["# one", "# two"])
    assert (tmp_path / "x.star").read_text() == (
        "# one\n# two\n\n# version 30001\n\ndata_general\n\n"
        "_rlnVoltage                 300.000000\n"
        "_rlnDoZeroMask                       1\n"
        '_rlnMaskName              "a b"\n'
        "_rlnImageSize                       64\n \n"
    )


def test_files_written_by_relion_come_back_byte_for_byte(shared_data, tmp_path):
    n_files = 0
    for path in sorted((shared_data / "golden").rglob("*.star")):
        if path.name in GOLDEN_INPUTS and "Extract" not in path.parts:
            continue
        text = path.read_text()
        header = text.split("\n")[:2] if text.startswith("# RELION") else []
        star = read_star(path)
        write_star(tmp_path / "x.star", star.blocks, version=star.version, header=header)
        assert (tmp_path / "x.star").read_text() == text, path
        n_files += 1
    assert n_files > 60


def test_syntax_corner_cases_are_written_as_relion_does(shared_data, tmp_path):
    text = (shared_data / "golden/star/in.star").read_text()
    (tmp_path / "in.star").write_text(text.replace(" nan ", " 0 "))  # RELION reads NaN as 0
    star = read_star(tmp_path / "in.star")
    write_star(tmp_path / "out.star", star.blocks, version=30001)
    expected = (shared_data / "golden/star/out.star").read_text()
    # RELION marks a quote that ends nothing, and writes a hash that it can not read back
    expected = expected.replace("quoted\x07", "quoted").replace("     #hash", '   "#hash"')
    assert (tmp_path / "out.star").read_text() == expected


def test_undefined_number_of_the_corner_cases_is_reported(shared_data):
    with pytest.raises(StarError, match=r"row 2\): column rlnAngleRot: .* found 'nan'"):
        read_star(shared_data / "golden/star/in.star")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.text(
    "ab\"'#;_ \t", max_size=8
)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), texts)
def test_any_text_survives(tmp_path_factory, rows, value):
    path = tmp_path_factory.getbasetemp() / "round.star"
    table = pd.DataFrame(rows, columns=["labX", "labY"], dtype=object)
    write_star(path, {"a": table, "b": {"labZ": value, "labN": "x"}})
    star = read_star(path)
    assert star.table("a").to_numpy().tolist() == table.to_numpy().tolist()
    assert star.values("b") == {"labZ": value, "labN": "x"}


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**62), 2**62)),
        min_size=1,
        max_size=9,
    )
)
def test_numbers_come_back_as_round_like_star_says(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.star"
    table = pd.DataFrame(rows, columns=["rlnAngleRot", "rlnImageSize"])
    write_star(path, {"a": table})
    back = read_star(path).table("a")
    assert (back["rlnAngleRot"] == round_like_star(table["rlnAngleRot"])).all()
    assert (back["rlnImageSize"] == table["rlnImageSize"]).all()


def test_numbers_under_unknown_labels_follow_their_type(tmp_path):
    table = pd.DataFrame({"labA": [1, 2], "labB": [0.5, -1e-9], "labC": [True, False]})
    write_star(tmp_path / "x.star", {"a": table, "b": {"labD": 3, "labE": 0.25}})
    star = read_star(tmp_path / "x.star")
    assert star.table("a").to_numpy().tolist() == [
        ["1", "0.500000", "1"],
        ["2", "-1.00000e-09", "0"],
    ]
    assert star.values("b") == {"labD": "3", "labE": "0.250000"}


def test_vectors_are_written_without_blanks(tmp_path):
    table = pd.DataFrame({"rlnOddZernike": [np.array([1, 2.5, 3e-5]), []]})
    write_star(tmp_path / "x.star", {"a": table})
    assert read_star(tmp_path / "x.star").table("a")["rlnOddZernike"].tolist() == [
        "[1,2.5,3e-05]",
        "[]",
    ]


def test_columns_of_pandas_strings_are_written(tmp_path):
    table = pd.DataFrame({"rlnImageName": pd.Series(["1@a.mrcs", "2@a.mrcs"], dtype="string")})
    write_star(tmp_path / "x.star", {"a": table})
    assert read_star(tmp_path / "x.star").table("a")["rlnImageName"].tolist() == [
        "1@a.mrcs",
        "2@a.mrcs",
    ]


@pytest.mark.parametrize(
    "block, message",
    [
        (pd.DataFrame({"rlnVoltage": [1.0, math.nan]}), "row 2: rlnVoltage must be a finite"),
        (pd.DataFrame({"rlnVoltage": [1.0, math.inf]}), "row 2: rlnVoltage must be a finite"),
        (pd.DataFrame({"rlnVoltage": ["x"]}), "row 1: rlnVoltage must be a number, not 'x'"),
        (pd.DataFrame({"rlnImageSize": [1, 2.5]}), "row 2: rlnImageSize must be an integer"),
        (pd.DataFrame({"rlnImageSize": [1, math.inf]}), "row 2: rlnImageSize must be an integer"),
        (pd.DataFrame({"rlnImageSize": ["1"]}), "rlnImageSize must be an integer, not '1'"),
        (pd.DataFrame({"labX": ["a", None]}, dtype=object), "row 2: labX must be text or a number"),
        (pd.DataFrame({"labX": ["a", None]}, dtype="str"), "row 2: labX must be"),
        (pd.DataFrame({"labX": [0.5, math.nan]}), "row 2: labX must be a finite number"),
        (pd.DataFrame({"labX": ["a\nb"]}), "labX must be text on one line"),
        (pd.DataFrame([[1, 2]], columns=["labX", "labX"]), "column stands twice"),
        (pd.DataFrame({"lab X": [1]}), "'lab X' can not be the name of a column"),
        (pd.DataFrame([[1]]), "0 can not be the name of a column"),
        ({"rlnVoltage": "x"}, "data_b: rlnVoltage must be a number, not 'x'"),
        ({"rlnVoltage": math.nan}, "data_b: rlnVoltage must be a finite number"),
        ({"labX": None}, "data_b: labX must be text or a number"),
    ],
)
def test_value_that_can_not_be_written_is_named(tmp_path, block, message):
    with pytest.raises(StarError, match=message):
        write_star(tmp_path / "x.star", {"b": block})
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        write_star(tmp_path / "no" / "x.star", {"a": {"labX": "1"}})


def test_long_table_is_written_in_pieces(tmp_path):
    n_rows = 50_003
    table = pd.DataFrame({"rlnImageSize": np.arange(n_rows), "rlnVoltage": np.arange(n_rows) / 8})
    write_star(tmp_path / "x.star", {"a": table})
    pd.testing.assert_frame_equal(read_star(tmp_path / "x.star").table("a"), table)


@pytest.fixture
def folder_with_copy(tmp_path, shared_data):
    shutil.copy(shared_data / "d2-small/particles.star", tmp_path / "p.star")
    return tmp_path


def test_reading_and_writing_keeps_the_table(folder_with_copy):
    star = read_star(folder_with_copy / "p.star")
    write_star(folder_with_copy / "q.star", star.blocks)
    pd.testing.assert_frame_equal(
        read_star(folder_with_copy / "q.star").table("particles"), star.table("particles")
    )
