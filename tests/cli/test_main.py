"""The entry point: commands, exit codes, one message per failure."""

import errno
import os
import subprocess
import sys
import types

import pytest

from aurefine.cli import main
from aurefine.cli.main import Command, run_command
from aurefine.errors import MrcError


@pytest.fixture
def failing(monkeypatch):
    """Install a command `boom` that raises what the test asks for."""

    def install(error):
        def run(argv):
            raise error

        module = types.ModuleType("aurefine.cli.boom")
        module.run = run
        module.__spec__ = types.SimpleNamespace(name="aurefine.cli.boom")
        monkeypatch.setitem(sys.modules, "aurefine.cli.boom", module)
        monkeypatch.setattr(main, "COMMANDS", (Command("boom", "aurefine.cli.boom", "fails"),))
        return ["boom"]

    return install


def test_help_lists_the_commands(capsys):
    assert run_command([]) == 0
    text = capsys.readouterr().out
    assert "refine" in text
    assert "doctor" in text


@pytest.mark.parametrize("argv", [["version"], ["--version"]])
def test_the_version_is_shown(argv, capsys):
    assert run_command(argv) == 0
    assert capsys.readouterr().out.startswith("aurefine ")


def test_an_unknown_command_is_an_error(capsys):
    assert run_command(["refind"]) == 1
    assert "no command 'refind'" in capsys.readouterr().err


def test_a_failure_is_one_message_without_traceback(failing, capsys):
    assert run_command(failing(MrcError("map.mrc: not a cube"))) == 1
    assert capsys.readouterr().err == "aurefine: error: map.mrc: not a cube\n"


def test_debug_adds_the_place_in_the_program(failing, capsys, monkeypatch):
    argv = failing(MrcError("map.mrc: not a cube"))
    assert run_command([*argv, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("AUREFINE_DEBUG", "1")
    assert run_command(argv) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_has_its_own_exit_code(failing, capsys):
    assert run_command(failing(KeyboardInterrupt())) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError("box 512"), "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "run_it003.mrc"), "the disk is full"),
        (OSError(errno.EACCES, "Permission denied", "run.out"), "run.out: Permission denied"),
        (RuntimeError("boo"), "defect of aurefine"),
    ],
)
def test_other_failures_are_explained(failing, capsys, error, text):
    assert run_command(failing(error)) == 1
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err


def test_bad_options_are_one_message(capsys):
    assert run_command(["refine", "--helix"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("aurefine: error: option --helix is not available")
    assert err.count("\n") == 1


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "aurefine", "refine", "--version"],
        capture_output=True, text=True, check=True, env={**os.environ, "AUREFINE_DEBUG": ""},
    )  # fmt: skip
    assert done.stdout.startswith("aurefine refine ")


def test_help_loads_no_numerical_package():
    code = (
        "import sys; from aurefine.cli.main import run_command; run_command(['--help']); "
        "sys.exit(int(any(name in sys.modules for name in ('numpy', 'numba', 'pandas'))))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
