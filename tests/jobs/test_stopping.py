"""Ctrl-C and signals: an exception, or the end of the process if that does not help."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from aurefine.jobs.job_control import check_abort, run_controlled
from aurefine.jobs.stopping import TerminatedError, raise_if_lost, stoppable, unwrapped_stop

pytestmark = pytest.mark.usefixtures("default_signals")


def nothing(number):
    pass


def interrupted_by(number):
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError),
     (signal.SIGHUP, TerminatedError), (signal.SIGUSR1, TerminatedError)],
)  # fmt: skip
def test_a_signal_becomes_an_exception(number, kind):
    with pytest.raises(kind), stoppable(nothing):
        interrupted_by(number)


def test_the_exit_code_is_that_of_the_signal():
    assert TerminatedError(signal.SIGTERM).exit_code == 143
    assert TerminatedError(signal.SIGHUP).exit_code == 129
    assert str(TerminatedError(signal.SIGTERM)) == "stopped by SIGTERM"


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stoppable(nothing):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable(nothing):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_left_alone():
    done = []

    def work():
        with stoppable(nothing):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def wrap_stop():
    try:
        raise TerminatedError(signal.SIGTERM)
    except TerminatedError as error:
        raise SystemError("returned a result with an exception set") from error


def test_a_wrapped_stop_comes_out_as_itself():
    with pytest.raises(TerminatedError), unwrapped_stop():
        wrap_stop()


def lose_stop():
    """What a callback of compiled code does: the exception is shown, and forgotten."""

    class Lost:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    Lost()


def lose_stop_and_fail():
    lose_stop()
    raise RuntimeError("no compiled object yet")


def test_a_stop_that_was_lost_comes_out_all_the_same(capfd):
    with pytest.raises(TerminatedError), stoppable(nothing), unwrapped_stop():
        lose_stop_and_fail()
    assert capfd.readouterr().err == ""


def test_a_stop_that_was_lost_is_raised_where_the_job_goes_on(capfd):
    with stoppable(nothing):
        raise_if_lost()  # there was none
        lose_stop()
        with pytest.raises(TerminatedError):
            raise_if_lost()
    assert capfd.readouterr().err == ""


def test_other_errors_pass_through():
    with pytest.raises(ValueError, match="wrong"), unwrapped_stop():
        raise ValueError("wrong")


STUBBORN = """
import sys, time
from aurefine.jobs import stopping
from aurefine.jobs.job_control import run_controlled

stopping._GRACE = float(sys.argv[2])

def work():
    open(sys.argv[1] + "map.mrc.tmp-%d" % __import__("os").getpid(), "w").close()
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)

run_controlled(sys.argv[1], work, folder=sys.argv[1])
"""


@pytest.mark.parametrize(("n_signals", "grace"), [(1, "0.2"), (2, "60")])
def test_a_process_that_does_not_follow_is_ended(tmp_path, n_signals, grace):
    """After a while, or at the second signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, f"{tmp_path}/", grace],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    for _ in range(n_signals):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 143, err
    assert "exiting with an abort" in out
    assert "stopped by SIGTERM" in err
    assert [path.name for path in tmp_path.iterdir()] == ["RELION_JOB_EXIT_ABORTED"]


def test_an_interrupted_job_is_marked(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_controlled(f"{tmp_path}/", lambda: interrupted_by(signal.SIGINT))
    assert (tmp_path / "RELION_JOB_EXIT_ABORTED").exists()


def test_a_fulfilled_wish_to_abort_is_removed(tmp_path):
    (tmp_path / "RELION_JOB_ABORT_NOW").touch()
    assert run_controlled(f"{tmp_path}/", lambda: check_abort(f"{tmp_path}/")) == 2
    assert not (tmp_path / "RELION_JOB_ABORT_NOW").exists()
