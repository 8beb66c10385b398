"""`run.out` and `run.err`: appended, written once, readable."""

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest

from aurefine.errors import MrcError, OutputError
from aurefine.jobs.run_log import RunLog


@pytest.fixture
def streams():
    return {"stdout": io.StringIO(), "stderr": io.StringIO()}


def test_lines_go_to_the_file_and_the_terminal(tmp_path, streams):
    with RunLog(tmp_path, **streams) as log:
        log.write(" one")
        log.write([" two", " three"])
        log.write([])
    assert (tmp_path / "run.out").read_text() == " one\n two\n three\n"
    assert streams["stdout"].getvalue() == " one\n two\n three\n"


def test_a_second_run_appends(tmp_path, streams):
    for text in ("first", "second"):
        with RunLog(tmp_path, **streams) as log:
            log.write(text)
    assert (tmp_path / "run.out").read_text() == "first\nsecond\n"


def test_lines_are_on_disk_at_once(tmp_path, streams):
    log = RunLog(tmp_path, **streams)
    log.write("now")
    assert (tmp_path / "run.out").read_text() == "now\n"
    log.close()


def test_warnings_go_to_run_err(tmp_path, streams):
    with RunLog(tmp_path, **streams) as log:
        log.warn("the mask is empty")
    assert (tmp_path / "run.err").read_text() == "WARNING: the mask is empty\n"
    assert streams["stderr"].getvalue() == "WARNING: the mask is empty\n"
    assert (tmp_path / "run.out").read_text() == ""


def test_verbosity_zero_keeps_the_terminal_silent(tmp_path, streams):
    with RunLog(tmp_path, verbosity=0, **streams) as log:
        log.write("text")
        log.warn("careful")
        with log.progress("work", 2) as advance:
            advance(2)
    assert streams["stdout"].getvalue() == ""
    assert streams["stderr"].getvalue() == ""
    assert "text" in (tmp_path / "run.out").read_text()


def test_progress_is_a_line_of_dots_without_a_terminal(tmp_path, streams):
    with RunLog(tmp_path, **streams) as log:
        with log.progress("Expectation", 7) as advance:
            for _ in range(7):
                advance(1)
        log.write(" next")
    expected = "." * 60 + " 0 sec\n next\n"
    assert (tmp_path / "run.out").read_text() == expected
    assert streams["stdout"].getvalue() == expected


def test_a_line_in_the_middle_of_the_dots_starts_anew(tmp_path, streams):
    with RunLog(tmp_path, **streams) as log, log.progress("work", 2) as advance:
        advance(1)
        log.write(" note")
        advance(1)
    text = (tmp_path / "run.out").read_text()
    assert text == "." * 30 + "\n note\n" + "." * 30 + " 0 sec\n"


def test_a_failure_is_recorded_in_both_files(tmp_path, streams):
    with pytest.raises(MrcError), RunLog(tmp_path, **streams):
        raise MrcError("map.mrc: not a cube")
    assert (tmp_path / "run.err").read_text() == "aurefine: error: map.mrc: not a cube\n"
    assert (tmp_path / "run.out").read_text().endswith(" exiting with an error ...\n")


def test_a_missing_directory_is_one_clear_message(tmp_path, streams):
    with pytest.raises(OutputError, match=r"run\.out"):
        RunLog(tmp_path / "nowhere", **streams)


PROGRAM = """
import sys
from aurefine.jobs.run_log import RunLog
with RunLog(sys.argv[1]) as log:
    log.write("once")
    log.warn("careful")
    with log.progress("work", 2) as advance:
        advance(2)
"""


@pytest.mark.parametrize("mode", ["w", "a"])
def test_redirected_output_is_not_written_twice(tmp_path, mode):
    with open(tmp_path / "run.out", mode) as out, open(tmp_path / "run.err", mode) as err:
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=out, stderr=err, check=True
        )
    assert (tmp_path / "run.out").read_text() == "once\n" + "." * 60 + " 0 sec\n"
    assert (tmp_path / "run.err").read_text() == "WARNING: careful\n"


def read_to_the_end(leader):
    """Bytes that arrived at a terminal whose other side is closed."""
    with os.fdopen(leader, "rb", buffering=0) as stream, contextlib.suppress(OSError):
        while part := stream.read(100_000):
            yield part


def test_a_terminal_gets_a_bar_and_the_file_dots(tmp_path):
    leader, follower = pty.openpty()
    with open(follower, "w") as terminal:
        log = RunLog(tmp_path, stdout=terminal, stderr=io.StringIO())
        with log, log.progress("Expectation", 2) as advance:
            advance(1)
            log.write(" note")
            advance(1)
    shown = b"".join(read_to_the_end(leader)).decode()
    assert "Expectation" in shown
    assert "left" in shown
    assert "...." not in shown
    text = (tmp_path / "run.out").read_text()
    assert text == "." * 30 + "\n note\n" + "." * 30 + " 0 sec\n"
