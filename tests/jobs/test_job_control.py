"""Marker files of a job directory."""

import pytest

from aurefine.errors import OutputError, StarError
from aurefine.jobs.job_control import AbortRequestedError, check_abort, run_controlled


def _markers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_success_replaces_older_markers(tmp_path):
    (tmp_path / "RELION_JOB_EXIT_ABORTED").touch()
    assert run_controlled(f"{tmp_path}/", lambda: None) == 0
    assert _markers(tmp_path) == ["RELION_JOB_EXIT_SUCCESS"]


def test_failure_is_marked_and_goes_on(tmp_path):
    def fail():
        raise StarError("wrong")

    with pytest.raises(StarError, match="wrong"):
        run_controlled(f"{tmp_path}/", fail)
    assert _markers(tmp_path) == ["RELION_JOB_EXIT_FAILURE"]


def test_abort_is_marked_and_returned(tmp_path):
    (tmp_path / "RELION_JOB_ABORT_NOW").touch()
    assert run_controlled(f"{tmp_path}/", lambda: check_abort(f"{tmp_path}/")) == 2
    assert "RELION_JOB_EXIT_ABORTED" in _markers(tmp_path)


def test_no_wish_to_abort_is_no_abort(tmp_path):
    check_abort(f"{tmp_path}/")
    check_abort("")


def test_without_job_directory_nothing_is_marked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_controlled("", lambda: None) == 0
    assert _markers(tmp_path) == []


def test_a_marker_that_can_not_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        run_controlled(f"{tmp_path}/file/", lambda: None)


def test_abort_is_an_error_of_its_own():
    assert not issubclass(AbortRequestedError, OutputError)
