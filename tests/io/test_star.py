import logging

import numpy as np
import pandas as pd
import pytest

from aurefine.errors import StarError
from aurefine.io.star import StarFile, read_star


@pytest.fixture
def star(tmp_path):
    """Function that writes a text to a file and reads it as STAR."""

    def read(text: str, **options) -> StarFile:
        path = tmp_path / "x.star"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return read_star(path, **options)

    return read


def test_columns_have_the_type_of_their_label(star):
    table = star(
        "data_particles\n\nloop_\n_rlnVoltage #1\n_rlnOpticsGroup #2\n_rlnIsFlip #3\n"
        "_rlnImageName #4\n_labScore #5\n_rlnOddZernike #6\n"
        "300 1 0 1@a.mrcs 007 [1,2.5]\n200 2 1 2@a.mrcs NA []\n"
    ).table("particles")
    assert table["rlnVoltage"].dtype == np.float64
    assert table["rlnOpticsGroup"].dtype == table["rlnIsFlip"].dtype == np.int64
    assert table["labScore"].dtype == object
    assert table["labScore"].tolist() == ["007", "NA"]
    assert table["rlnOddZernike"].tolist() == ["[1,2.5]", "[]"]
    assert table["rlnVoltage"].tolist() == [300.0, 200.0]


def test_list_block_becomes_a_dict(star):
    values = star(
        "data_general\n\n_rlnVoltage 300 # kV\n# comment\n\n_rlnMaskName ''\n"
        '_rlnImageSize    64\n_rlnGroupName "two words"\n_labEmpty\n'
    ).values("general")
    assert values == {
        "rlnVoltage": 300.0,
        "rlnMaskName": "",
        "rlnImageSize": 64,
        "rlnGroupName": "two words",
        "labEmpty": "",
    }


def test_carriage_returns_missing_numbers_and_missing_last_line_end_are_accepted(star):
    table = star("data_a\r\n\r\nloop_\r\n_rlnVoltage\r\n_labNote #7\r\n1 x\r\n2 y").table("a")
    assert table.to_dict("list") == {"rlnVoltage": [1.0, 2.0], "labNote": ["x", "y"]}


def test_byte_order_mark_is_skipped(star):
    assert star("\ufeffdata_a\n_labNote x\n").values("a") == {"labNote": "x"}


def test_comments_are_skipped_between_labels_and_rows(star):
    table = star(
        "# before\ndata_a # not part of a name\n".replace(" # not part of a name", "")
        + "; note\nloop_ # ignored\n# x\n_rlnVoltage #1\n\n; y\n_labNote\n# z\n1 x # tail\n"
        "# between\n2 y#z\n"
    ).table("a")
    assert table.to_dict("list") == {"rlnVoltage": [1.0, 2.0], "labNote": ["x", "y#z"]}


def test_quotes_follow_relions_rules(star):
    table = star(
        "data_a\nloop_\n_labText\n_rlnVoltage\n"
        '"a b" 1\n\'my "x" y\' 1\n"it is ""quoted""" 1\n"" 1\n\'\' 1\na"b 1\n"x\x07" y" 1\n'
    ).table("a")
    assert table["labText"].tolist() == [
        "a b",
        'my "x" y',
        'it is ""quoted""',
        "",
        "",
        'a"b',
        'x" y',
    ]


def test_table_ends_at_a_blank_line_and_blocks_come_in_any_order(star):
    star_file = star(
        "data_b\nloop_\n_labX #1\n1\n2\n \n\n# version 30001\n\ndata_a\n\n_labY 3\n\ndata_\n"
    )
    assert list(star_file.blocks) == ["b", "a", ""]
    assert star_file.table("b")["labX"].tolist() == ["1", "2"]
    assert star_file.version == 30001


def test_next_block_may_follow_rows_without_an_empty_line(star):
    star_file = star("data_a\nloop_\n_labX\n_labY\n1 2\n3 4\ndata_b\n_labZ 5\n")
    assert star_file.table("a")["labY"].tolist() == ["2", "4"]
    assert star_file.values("b") == {"labZ": "5"}


def test_names_that_look_like_a_block_are_values(star):
    table = star("data_a\nloop_\n_labX\n_labY\ndata_01/m.mrc 2\n3 data_4\n").table("a")
    assert table["labX"].tolist() == ["data_01/m.mrc", "3"]


def test_first_block_of_a_name_counts(star):
    assert star("data_a\n_labX 1\n\ndata_a\n_labX 2\n").values("a") == {"labX": "1"}


def test_empty_name_asks_for_the_first_block(star):
    assert star("data_a\n_labX 1\n\ndata_b\n_labX 2\n").values("") == {"labX": "1"}


def test_table_without_rows_has_typed_columns(star):
    star_file = star("data_a\nloop_\n_rlnVoltage\n_labX\n\n# version 50001\n\ndata_b\n_labX 1\n")
    assert len(star_file.table("a")) == 0
    assert star_file.table("a")["rlnVoltage"].dtype == np.float64
    assert "b" in star_file
    assert star_file.version == 50001


def test_only_the_blocks_asked_for_are_read(star):
    text = "data_a\nloop_\n_rlnVoltage\nbad\n\ndata_b\n_labX 1\n\ndata_c\n_rlnVoltage bad\n"
    assert list(star(text, only=["b"]).blocks) == ["b"]


def test_integers_written_as_reals_are_accepted(star):
    table = star("data_a\nloop_\n_rlnOpticsGroup\n_labX\n1.0 a\n2.000000e+00 'b'\n").table("a")
    assert table["rlnOpticsGroup"].tolist() == [1, 2]


def test_last_value_of_a_pair_may_be_missing(star):
    table = star("data_a\nloop_\n_rlnJobOptionVariable\n_rlnJobOptionValue\nx 1\ny\n").table("a")
    assert table["rlnJobOptionValue"].tolist() == ["1", ""]


def test_undefined_figures_of_merit_are_read_as_zero_with_a_warning(star, caplog):
    with caplog.at_level(logging.WARNING):
        table = star("data_a\nloop_\n_rlnCtfMaxResolution\nnan\n2\n-inf\n").table("a")
    assert table["rlnCtfMaxResolution"].tolist() == [0.0, 2.0, 0.0]
    assert "rlnCtfMaxResolution: 2 undefined values" in caplog.text


def test_unknown_resolution_stays_infinite(star):
    assert star("data_a\n_rlnCurrentResolution inf\n").values("a") == {
        "rlnCurrentResolution": np.inf
    }


def test_bytes_that_are_not_utf8_survive(star):
    assert star("data_a\nloop_\n_labX\n_labY\nm\udcff 1\n").table("a")["labX"][0] == "m\udcff"


def test_plain_and_careful_reading_agree(star):
    rng = np.random.default_rng(3)
    values = rng.normal(size=50) * 10.0 ** rng.integers(-30, 30, 50)
    rows = [f"n{i % 7} {value!r} {i}" for i, value in enumerate(values.tolist())]
    head = "data_a\nloop_\n_labX\n_rlnAngleRot\n_rlnImageSize\n"
    plain = star(head + "\n".join(rows)).table("a")
    careful = star(head + "# comment\n" + "\n".join(rows) + " # comment").table("a")
    pd.testing.assert_frame_equal(plain, careful)
    assert (plain["rlnAngleRot"] == values).all()


TABLE = "data_a\nloop_\n_labX\n_rlnVoltage\n_rlnImageSize\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (TABLE + "a 1 2\nb x 3\n", r"line 7 \(data_a, row 2\): column rlnVoltage: .* found 'x'"),
        (TABLE + "a nan 2\n", "must be a finite number, found 'nan'"),
        (TABLE + "a inf 2\n", "must be a finite number, found 'inf'"),
        (TABLE + "a 1e400 2\n", "must be a finite number, found '1e400'"),
        (TABLE + "a 1.5abc 2\n", "found '1.5abc'"),
        (TABLE + "a 1_0 2\n", "found '1_0'"),
        (TABLE + "a True 2\n", "found 'True'"),
        (TABLE + "a 1 2.5\n", "column rlnImageSize: must be an integer, found '2.5'"),
        (TABLE + "a 1 99999999999999999999\n", "must be an integer"),
        (TABLE + "a 1 1e400\n", "must be an integer, found '1e400'"),
        (TABLE + "a 1 inf\n", "must be an integer, found 'inf'"),
        (TABLE + "'a b' 1 1e400\n", "must be an integer, found '1e400'"),
        (TABLE + "a 1 2\nb 3\n", r"row 2\): 2 values for 3 columns"),
        (TABLE + "a 1\nb 3 4\n", r"row 1\): 2 values for 3 columns"),
        (TABLE + "a 1 2 3\nb 3 4\n", r"row 1\): 4 values for 3 columns"),
        (TABLE + "a 1 2\nb 3 4 5\n", r"row 2\): 4 values for 3 columns"),
        (TABLE + "'a 1 2\n", "quote that opens in column 1 is not closed"),
        (TABLE + "a 1 2\n\nb 3 4\n", "line 8: text outside of any table: 'b 3 4'"),
        ("data_a\nloop_\n_labX #1\n_labX #2\n1 2\n", r"line 4 \(data_a\): label labX stands twice"),
        ("data_a\nloop_\n1 2\n", "loop_ without labels"),
        ("data_a\n_labX 1\n_labX 1\n", r"line 3 \(data_a\): label labX stands twice"),
        ("data_a\n_labX 1 2\n", "_labX: 2 values for one label"),
        ("data_a\n_rlnVoltage x\n", r"line 2 \(data_a\): _rlnVoltage: .* found 'x'"),
        ("data_a\n_rlnVoltage\n", "_rlnVoltage: must be a finite number, found ''"),
        ("data_a\nhello\n", "expected '_label value' or 'loop_', found 'hello'"),
        ("hello\n", "not a STAR file: it has no line data_NAME"),
        ("data_a\0\n", "not a STAR file: it holds binary data"),
    ],
)
def test_malformed_text_is_refused_with_its_place(star, text, message):
    with pytest.raises(StarError, match=message):
        star(text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(StarError, match=r"no\.star: the STAR file does not exist"):
        read_star(tmp_path / "no.star")


def test_folder_is_refused(tmp_path):
    with pytest.raises(StarError, match="can not read the STAR file: Is a directory"):
        read_star(tmp_path)


def test_missing_block_lists_the_others(star):
    with pytest.raises(StarError, match="no block data_c in the file; it has: data_a, data_b"):
        star("data_a\n_labX 1\n\ndata_b\n").block("c")


def test_kind_of_a_block_is_checked(star):
    star_file = star("data_a\n_labX 1\n\ndata_b\nloop_\n_labX\n1\n")
    with pytest.raises(StarError, match="data_a is a list of values, not a table"):
        star_file.table("a")
    with pytest.raises(StarError, match="data_b is a table"):
        star_file.values("b")
