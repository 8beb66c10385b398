"""The lock of a project: exclusive, visible to RELION, and never left behind for good."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from aurefine.errors import OutputError
from aurefine.project import init_project, open_project, read_pipeline
from aurefine.project.lock import project_lock

ADD = """
import sys
from aurefine.project import Process, open_project
project = open_project(sys.argv[1])
for index in range(int(sys.argv[3])):
    with project.edit("adding") as pipeline:
        name = f"{sys.argv[2]}/job{pipeline.counter:03d}/"
        pipeline.processes[name] = Process(name, "", "relion.extract", "Succeeded")
        for number in range(20):
            pipeline.add_output(name, f"{name}{number}.mrc", "DensityMap.mrc")
        pipeline.counter += 1
    print(name, flush=True)
"""


def adder(folder, kind, number):
    command = [sys.executable, "-c", ADD, str(folder), kind, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_add_jobs_at_once_lose_none(tmp_path):
    init_project(tmp_path)
    workers = [adder(tmp_path, kind, 15) for kind in ("Extract", "Import", "Refine3D")]
    printed = [name for worker in workers for name in worker.communicate()[0].split()]
    pipeline = read_pipeline(tmp_path / "default_pipeline.star")
    assert sorted(pipeline.processes) == sorted(printed)
    assert len(printed) == 45
    assert pipeline.counter == 46
    assert not (tmp_path / ".relion_lock").exists()


def test_kill_at_any_moment_leaves_a_whole_file_that_others_can_change(tmp_path):
    project = init_project(tmp_path)
    kept: list[str] = []
    for trial in range(12):
        worker = adder(tmp_path, "Extract", 500)
        assert worker.stdout is not None
        kept.append(worker.stdout.readline().strip())  # it is at work now
        time.sleep(0.003 * trial)
        worker.send_signal(signal.SIGKILL)
        kept += worker.communicate()[0].split()
        pipeline = read_pipeline(tmp_path / "default_pipeline.star")  # never torn
        assert set(kept) <= set(pipeline.processes)  # never lost
        assert len(pipeline.processes) == pipeline.counter - 1
        assert all(len(n.split("/")) == 3 for n in pipeline.nodes)
    with project.edit("after all that", timeout=20) as pipeline:
        pipeline.counter += 1
    assert not (tmp_path / ".relion_lock").exists()
    assert not list(tmp_path.glob("default_pipeline.star.tmp-*"))


def test_lock_of_another_program_is_waited_for_and_named(tmp_path):
    project = init_project(tmp_path)
    (tmp_path / ".relion_lock").mkdir()
    (tmp_path / ".relion_lock" / "lock_default_pipeline.star").write_text("lock: addNewJob\n")
    with (
        pytest.raises(OutputError, match=r"addNewJob.*rm -r .*\.relion_lock"),
        project.edit("x", timeout=0.2),
    ):
        pass
    assert (tmp_path / ".relion_lock").exists()  # never ignored silently


def test_lock_is_where_relion_looks_for_it(tmp_path):
    init_project(tmp_path)
    with project_lock(tmp_path, "testing"):
        text = (tmp_path / ".relion_lock" / "lock_default_pipeline.star").read_text()
        assert "testing" in text
        assert (tmp_path / ".relion_lock").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / ".relion_lock").exists()


def test_second_holder_waits_and_says_for_whom(tmp_path):
    init_project(tmp_path)
    words = rf"process {os.getpid()} on .*a long change"
    with (
        project_lock(tmp_path, "a long change"),
        pytest.raises(OutputError, match=words),
        project_lock(tmp_path, "another", timeout=0.2),
    ):
        pass


@pytest.mark.parametrize("rest", ["empty", "blank file", "signed"])
def test_what_a_killed_process_left_is_removed(tmp_path, rest):
    project = init_project(tmp_path)
    signature = json.dumps(
        {"program": "aurefine", "host": socket.gethostname(), "pid": 1, "why": "x"}
    )
    (tmp_path / ".aurefine_lock").write_text(signature)
    lock = tmp_path / ".relion_lock"
    lock.mkdir()
    if rest != "empty":
        (lock / "lock_default_pipeline.star").write_text(signature if rest == "signed" else "")
    os.utime(lock, (0, 0))
    with project.edit("x", timeout=1) as pipeline:
        pipeline.counter = 7
    assert open_project(tmp_path).pipeline().counter == 7


def test_nothing_is_written_if_the_change_fails(tmp_path):
    project = init_project(tmp_path)

    def change():
        with project.edit("x") as pipeline:
            pipeline.counter = 99
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert open_project(tmp_path).pipeline().counter == 1
    assert not (tmp_path / ".relion_lock").exists()
