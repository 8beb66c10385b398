"""Pages of STAR tables agree with the reader of whole files, wherever blocks of bytes are cut."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurefine.errors import StarError
from aurefine.gui import star_pages
from aurefine.gui.star_pages import StarPages
from aurefine.io import read_star


def table(name, rows, *, end="\n"):
    lines = [f"data_{name}", "", "loop_", "_rlnMicrographName #1", "_rlnOpticsGroup #2"]
    return "\n".join([*lines, *(f"{text} {number}" for text, number in rows)]) + end


def wait(pages, path):
    for _ in range(5000):
        outlines = pages.outlines(path)
        if outlines and outlines[-1].is_complete:
            return outlines
        time.sleep(0.001)
    raise AssertionError("the file is still being read")


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut after 64 bytes, read 256 at once."""
    monkeypatch.setattr(star_pages, "_BLOCK", 64)
    monkeypatch.setattr(star_pages, "_CHUNK", 256)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lengths=st.lists(st.integers(1, 90), max_size=60),
    end=st.sampled_from(["", "\n", "\n\n", " \n", "\n \n"]),
    start=st.integers(0, 70),
    has_more=st.booleans(),
)
def test_every_row_is_found(tmp_path, small_blocks, lengths, end, start, has_more):
    rows = [("x" * length, str(number)) for number, length in enumerate(lengths)]
    path = tmp_path / f"{abs(hash((tuple(lengths), end, has_more)))}.star"
    text = table("first", [("a", "1")], end="\n \n") + table("second", rows, end=end)
    if has_more:
        text += "\n\n" + table("third", [("b", "7"), ("c", "8")])
    path.write_text(text)
    pages = StarPages()
    outlines = wait(pages, path)
    whole = read_star(path)
    assert [outline.name for outline in outlines] == list(whole.blocks)
    assert [outline.n_rows for outline in outlines] == [len(t) for t in whole.blocks.values()]
    page = pages.page(path, 1, start, 20)
    assert page.rows == [list(row) for row in rows[page.start : page.start + 20]]
    assert page.start == min(start, len(rows))


@pytest.mark.parametrize("length", range(238, 256))
@pytest.mark.parametrize("end", ["\n \n", "\n\n\ndata_third\n\n_rlnBoxSize 4\n"])
def test_the_end_of_a_table_may_be_cut_anywhere(tmp_path, small_blocks, length, end):
    path = tmp_path / "cut.star"
    path.write_text(table("first", [("x" * length, "1"), ("a", "2")], end=end))
    assert wait(StarPages(), path)[0].n_rows == 2


def test_first_rows_are_there_before_the_file_is_read(tmp_path, monkeypatch, small_blocks):
    path = tmp_path / "long.star"
    path.write_text(table("particles", [(f"mic{number}", "1") for number in range(3000)]))
    counted = star_pages._rows_in

    def slowly(*values):
        time.sleep(0.002)
        return counted(*values)

    monkeypatch.setattr(star_pages, "_rows_in", slowly)
    pages = StarPages()
    page = pages.page(path, 0, 0, 5)
    assert [row[0] for row in page.rows] == ["mic0", "mic1", "mic2", "mic3", "mic4"]
    assert not page.outline.is_complete
    assert wait(pages, path)[0].n_rows == 3000


def test_a_file_is_not_complete_while_another_table_may_follow(tmp_path, monkeypatch):
    path = tmp_path / "two.star"
    path.write_text(table("first", [("a", "1")], end="\n\n") + table("second", [("b", "2")]))
    read_head = star_pages._read_head
    is_asked, may_go_on = threading.Event(), threading.Event()

    def late(head, position):
        if position:
            is_asked.set()
            assert may_go_on.wait(30)
        return read_head(head, position)

    monkeypatch.setattr(star_pages, "_read_head", late)
    file = star_pages._StarFile(path, path.stat().st_size)
    file.start()
    assert is_asked.wait(30)
    assert [(o.name, o.n_rows, o.is_complete) for o in file.outlines()] == [("first", 1, False)]
    may_go_on.set()
    file.wait_for_first_page()
    found = [(o.name, o.n_rows, o.is_complete) for o in file.outlines()]
    assert found == [("first", 1, True), ("second", 1, True)]


def test_list_of_values_is_a_table_of_labels(tmp_path):
    path = tmp_path / "list.star"
    path.write_text('# version 30001\n\ndata_general\n\n_rlnFinalResolution 3.2\n_rlnMaskName ""\n')
    pages = StarPages()
    assert pages.page(path, 0, 0, 10).rows == [["rlnFinalResolution", "3.2"], ["rlnMaskName", ""]]


def test_cells_in_quotes_keep_their_blanks(tmp_path):
    path = tmp_path / "quoted.star"
    path.write_text(table("a", [("'two words'", "1"), ("it's", "2")]))
    assert StarPages().page(path, 0, 0, 9).rows == [["two words", "1"], ["it's", "2"]]


def test_changed_file_is_read_again(tmp_path):
    path = tmp_path / "grows.star"
    path.write_text(table("a", [("x", "1")]))
    pages = StarPages()
    assert wait(pages, path)[0].n_rows == 1
    path.write_text(table("a", [("x", "1"), ("y", "2")]))
    assert wait(pages, path)[0].n_rows == 2


@pytest.mark.parametrize("content", (b"", b"hello\n", b"\0\1\2" * 1000))
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "no.star"
    path.write_bytes(content)
    with pytest.raises(StarError, match=r"no\.star: is not a STAR file"):
        StarPages().page(path, 0, 0, 10)


def test_block_that_does_not_exist_is_an_error(tmp_path):
    path = tmp_path / "one.star"
    path.write_text(table("a", [("x", "1")]))
    with pytest.raises(StarError, match="no block number 3"):
        StarPages().page(path, 3, 0, 10)
