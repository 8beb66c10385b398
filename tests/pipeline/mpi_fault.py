"""Run aurefine as one of several processes, and kill or stop it at a given moment.

    mpirun -n 3 python mpi_fault.py RANK MOMENT ITERATION REFINE_ARGUMENTS...

The process of that rank ends itself by SIGKILL, or raises, at the moment in the iteration; a
moment like SIGTERM:4 lets the leader send that signal to mpirun when it hears of batch number 4,
and batches:4 kills it then; batches that were done before count as one.
"""

import os
import signal
import sys

from aurefine.cli.main import run_command
from aurefine.jobs import refine_files
from aurefine.jobs.refine_job import RefineJob
from aurefine.parallel.comm import launched_place
from aurefine.parallel.mpi import MpiCommunicator
from aurefine.refine import half_sets, half_step

iteration = 0


def main(rank, moment, wanted, arguments):
    if launched_place()[0] == int(rank):
        arm(moment, int(wanted))
    return run_command(["refine", *arguments])


def arm(moment, wanted):
    def die():
        if moment == "error":
            raise RuntimeError("made by the test")
        os.kill(os.getpid(), signal.SIGKILL)

    def send():
        os.kill(os.getppid(), getattr(signal, moment))

    def in_batch(number, act):
        original = RefineJob.particles_done
        calls = 0

        def particles_done(self, n):
            nonlocal calls
            calls += n > 0 and self._partial.iteration == wanted
            if calls == number and n > 0:
                act()
            original(self, n)

        RefineJob.particles_done = particles_done

    def before(owner, name, n_calls, is_time=lambda *arguments: iteration == wanted):
        """Replace a function so that it dies in one of its calls."""
        original = getattr(owner, name)
        calls = 0

        def replaced(*arguments, **options):
            nonlocal calls
            calls += is_time(*arguments)
            if calls == n_calls:
                die()
            return original(*arguments, **options)

        setattr(owner, name, replaced)

    count_iterations()
    moment, _, number = moment.partition(":")
    if number:
        in_batch(int(number), die if moment == "batches" else send)
    elif moment in ("expectation", "error"):
        before(half_step.HalfStep, "run", 2)
    elif moment == "reduction":
        before(MpiCommunicator, "add_up", 1)
    elif moment == "store":  # the second time, when there is a complete set of files
        before(os, "replace", 2, lambda path, *_: f"_it{wanted:03d}_partial" in str(path))
    elif moment == "reconstruction":
        before(half_sets, "updated_model", 1)
    else:  # of the leader, which does not count
        mark = f"_it{wanted:03d}_"
        before(refine_files, moment, 1, lambda path, *_: mark in str(path))


def count_iterations():
    original = half_sets.HalfSets.begin

    def begin(self, settings, *rest):
        global iteration
        iteration = settings.controller.iteration
        original(self, settings, *rest)

    half_sets.HalfSets.begin = begin


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], sys.argv[4:]))
