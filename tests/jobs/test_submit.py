"""Submission scripts: RELION's own example, the template that comes along, and bad ones."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from aurefine.errors import OptionError, OutputError
from aurefine.jobs.submit import (
    QueueCommand,
    QueueValues,
    default_template,
    fill_submit_script,
    read_template,
    submit_script,
)


def values(*commands, **changes):
    given = {"name": "Refine3D/job016/", "n_processes": 5, "n_threads": 6, "queue": "openmpi"}
    return QueueValues(commands=commands or (QueueCommand("program"),), **(given | changes))


def test_the_script_is_that_of_relion(shared_data):
    folder = shared_data / "golden/pipeline/relion5"
    expected = (folder / "Refine3D/job016/run_submit.script").read_text()
    command = re.search(r"mpirun -n 5 (.*)", expected).group(1)
    found = fill_submit_script(
        (folder / "qt.sh").read_text(),
        values(QueueCommand(command), n_dedicated=24, extras=("48",)),
    )
    assert found.rstrip("\n") == expected.rstrip("\n")


def test_commands_of_one_process_stand_alone_among_several():
    commands = QueueCommand("first"), QueueCommand("second", uses_mpi=False)
    template = "mpirun -n XXXmpinodesXXX XXXcommandXXX | tee log\n"
    several = fill_submit_script(template, values(*commands, n_processes=4))
    assert several == "mpirun -n 4 first | tee log\nsecond\n"
    one = fill_submit_script(template, values(*commands, n_processes=1))
    assert one == "mpirun -n 1 first | tee log\nmpirun -n 1 second | tee log\n"


def test_a_command_may_hold_what_looks_like_a_placeholder():
    found = fill_submit_script("XXXcommandXXX XXXqueueXXX", values(QueueCommand("a XXXnodesXXX")))
    assert found == "a XXXnodesXXX openmpi\n"


@pytest.mark.parametrize(
    "template, words",
    [("mpirun", "has no XXXcommandXXX"), ("XXXcommandXXX XXXextra3XXX", "XXXextra3XXX, which")],
)
def test_a_bad_template_says_what_is_wrong(template, words):
    with pytest.raises(OptionError, match=words):
        fill_submit_script(template, values())


def test_without_a_queue_the_cluster_chooses():
    assert "--partition" in read_template("")
    assert "--partition" not in read_template("", has_queue=False)


def test_a_template_that_is_not_there(tmp_path):
    with pytest.raises(OptionError, match="can not be read: No such file"):
        read_template(str(tmp_path / "none.sh"))


def run_template(tmp_path, n_processes, command):
    """Run the filled template as SLURM would, with a stand-in for mpirun."""
    launcher = tmp_path / "mpirun"
    launcher.write_text('#!/bin/sh\necho "mpirun $1 $2 $3 $4"\nshift 4\nexec "$@"\n')
    launcher.chmod(0o755)
    script = fill_submit_script(
        default_template(), values(QueueCommand(command), n_processes=n_processes)
    )
    return subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip


@pytest.mark.parametrize("n_processes, lines", [(1, []), (5, ["mpirun -n 5 --bind-to none"])])
def test_the_template_runs_the_command(tmp_path, n_processes, lines):
    process = run_template(tmp_path, n_processes, "sh -c 'echo here; exit 7'")
    out, _ = process.communicate(timeout=20)
    assert out.splitlines() == [*lines, "here"]
    assert process.returncode == 7


@pytest.mark.parametrize("n_processes", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_the_template_lets_the_program_store_what_it_has(tmp_path, n_processes, number):
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/bash\ntrap 'echo stopping; sleep 0.3; echo stopped; exit 5' USR1\n"
        "touch ready\nwhile true; do sleep 0.05; done\n"
    )
    program.chmod(0o755)
    process = run_template(tmp_path, n_processes, str(program))
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert out.splitlines()[-2:] == ["stopping", "stopped"]
    assert process.returncode == 5


def test_a_script_is_written_and_handed_over(tmp_path):
    path = tmp_path / "job001" / "run_submit.script"
    assert submit_script("text\n", path, ["cat"]) == "text"
    assert path.read_text() == "text\n"


@pytest.mark.parametrize(
    "program, words",
    [(["no-such-program"], "can not be started"), (["false"], "did not accept")],
)
def test_a_queue_that_does_not_take_the_script(tmp_path, program, words):
    path = Path(tmp_path) / "run_submit.script"
    with pytest.raises(OutputError, match=words):
        submit_script("text", path, program)
