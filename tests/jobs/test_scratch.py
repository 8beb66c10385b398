import errno
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from aurefine.errors import OptionError
from aurefine.io import ParticleImages
from aurefine.io._mrc_write import StackWriter
from aurefine.jobs.scratch import ScratchSettings, images_on_scratch

HOLD = """
import sys
from aurefine.io import ParticleImages
from aurefine.jobs.scratch import ScratchSettings, images_on_scratch
images = ParticleImages.open(["1@a.mrcs", "2@b.mrcs"], root=sys.argv[1])
with images_on_scratch(images, ScratchSettings(sys.argv[2], 0.0), print) as copies:
    print("READY", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("a.mrcs", "b.mrcs"):
        with StackWriter(tmp_path / name, 4, 8, 1.5) as writer:
            writer.append(rng.normal(size=(4, 8, 8)).astype(np.float32))
    return ParticleImages.open(["1@a.mrcs", "2@b.mrcs"], root=tmp_path)


@pytest.fixture
def settings(tmp_path):
    return ScratchSettings(str(tmp_path / "scratch"), 0.0)


def hold(folder, scratch):
    """Start a process that uses the copies until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), scratch],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines = []
    while "READY" not in lines:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line.strip())
    return process, lines


def copies_of(settings):
    return sorted(path.name for path in os.scandir(settings.directory) if path.is_dir())


def test_images_are_read_from_copies_that_vanish_at_the_end(images, settings, tmp_path):
    lines = []
    with images_on_scratch(images, settings, lines.append) as copied:
        assert len(copies_of(settings)) == 1
        (tmp_path / "a.mrcs").rename(tmp_path / "elsewhere.mrcs")
        assert copied.read([0, 1]).shape == (2, 8, 8)
        assert copied.names == images.names
    assert os.listdir(settings.directory) == []
    assert "Copied 2 of 2 particle images" in lines[0]


def test_they_vanish_after_a_failure_too(images, settings):
    with pytest.raises(KeyboardInterrupt), images_on_scratch(images, settings, print):
        raise KeyboardInterrupt
    assert os.listdir(settings.directory) == []


def test_stacks_that_do_not_fit_stay_where_they_are(images, settings, monkeypatch):
    usage = type("Usage", (), {"free": 2 * 10**9 + 1500})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    lines = []
    limited = ScratchSettings(settings.directory, 2.0)
    with images_on_scratch(images, limited, lines.append) as copied:
        assert np.array_equal(copied.read([0, 1]), images.read([0, 1]))
    assert "Copied 1 of 2" in lines[0]
    assert "--keep_free_scratch" in lines[1]


def test_two_processes_share_the_copies(images, settings, tmp_path):
    other, _ = hold(tmp_path, settings.directory)
    lines = []
    with images_on_scratch(images, settings, lines.append):
        assert len(copies_of(settings)) == 1
    assert lines == []  # nothing was copied again
    assert len(copies_of(settings)) == 1  # still in use
    other.communicate("")
    assert os.listdir(settings.directory) == []


def test_what_a_killed_process_left_is_removed(images, settings, tmp_path):
    other, _ = hold(tmp_path, settings.directory)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    left = copies_of(settings)
    assert len(left) == 1
    (tmp_path / "a.mrcs").touch()  # another state of the data: other copies
    with images_on_scratch(images, settings, print):
        assert copies_of(settings) != left
        assert len(copies_of(settings)) == 1
    assert os.listdir(settings.directory) == []


def test_copies_can_be_kept_for_the_next_run(images, settings):
    kept = ScratchSettings(settings.directory, 0.0, keeps_copies=True)
    with images_on_scratch(images, kept, print):
        pass
    lines = []
    with images_on_scratch(images, settings, lines.append):
        assert "Using the copies" in lines[0]
    assert os.listdir(settings.directory) == []


def test_a_file_in_its_place_is_an_error(images, tmp_path):
    (tmp_path / "file").touch()
    settings = ScratchSettings(str(tmp_path / "file"))
    with (
        pytest.raises(OptionError, match="--scratch_dir"),
        images_on_scratch(images, settings, print),
    ):
        pass


def test_a_folder_that_takes_no_files_is_an_error(images, settings, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write everywhere
    with (
        pytest.raises(OptionError, match=r"--scratch_dir.*Permission denied"),
        images_on_scratch(images, settings, print),
    ):
        pass
