import errno
import os

import pytest

from aurefine.errors import OutputError
from aurefine.io.atomic import atomic_path, write_text_atomic


def _write_and_fail(path, error):
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        raise error


def test_file_appears_complete_and_nothing_else_stays(tmp_path):
    write_text_atomic(tmp_path / "a.txt", "Å\n")
    assert (tmp_path / "a.txt").read_bytes() == "Å\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_temporary_name_is_in_the_same_folder_and_carries_the_process_id(tmp_path):
    with atomic_path(tmp_path / "a.mrc") as temporary:
        assert temporary == tmp_path / f"a.mrc.tmp-{os.getpid()}"
        temporary.touch()


def test_old_file_survives_a_failure(tmp_path):
    write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(tmp_path / "a.txt", ZeroDivisionError())
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"missing/a.txt: .* folder does not exist"):
        write_text_atomic(tmp_path / "missing" / "a.txt", "")


def test_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        write_text_atomic(tmp_path / "file" / "a.txt", "")


def test_folder_of_the_same_name_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="folder of that name exists"):
        write_text_atomic(tmp_path / "a", "")
    assert os.listdir(tmp_path) == ["a"]


def test_full_disk_is_named(tmp_path):
    with pytest.raises(OutputError, match="disk is full"):
        _write_and_fail(tmp_path / "a", OSError(errno.ENOSPC, "No space left on device"))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_missing_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        write_text_atomic(tmp_path / "a", "")


def test_failure_to_read_another_file_is_not_taken_for_an_output_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "input").read_text()
