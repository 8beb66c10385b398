"""Several processes of one refinement: how they start, fail and stop together."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aurefine.errors import describe_error
from aurefine.jobs.job_control import mark_failure
from aurefine.jobs.refine_images import particles_at_hand
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.run_log import RunLog
from aurefine.jobs.stopping import TerminatedError, stop_waits, stoppable
from aurefine.parallel.launcher import launcher_ends_soon
from aurefine.parallel.mpi import MpiCommunicator, ProcessFailedError, Tag
from aurefine.refine.follower import follow
from aurefine.refine.iteration import RefinementInput
from aurefine.refine.leader import Leader
from aurefine.refine.ranks import Ranks, form_teams

__all__ = ["Place", "Team", "follow_job", "lead_job"]

_PATIENCE_WITH_LEADER = 20.0  # seconds in which it should have ended this process
_LAST_SECONDS = 0.4  # after a signal; mpirun kills one second after it
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs."""

    rank: int
    host: str
    pid: int
    n_cores: int  # that it may use

    def is_dead(self) -> bool:
        """Whether the process has ended; only its own host can tell."""
        import psutil

        if self.host != socket.gethostname():
            return False
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True


class Team:
    """The processes of a run, as its leader sees them."""

    def __init__(self, ranks: Ranks, places: list[Place]) -> None:
        """Take the places of all processes, by rank."""
        self.ranks = ranks
        self.places = places
        self.leader: Leader | None = None  # once the followers have got their data

    @property
    def n_here(self) -> int:
        """Number of processes on the host of the leader."""
        return sum(place.host == self.places[0].host for place in self.places)

    def describe(self) -> str:
        """Return a line on the processes for the log."""
        n_hosts = len({place.host for place in self.places})
        n_first = len(self.places) // 2
        return (
            f" {len(self.places)} processes on {n_hosts} {'host' if n_hosts == 1 else 'hosts'} "
            f"({self.ranks.world.library()}): a leader, {n_first} for half 1, "
            f"{len(self.places) - 1 - n_first} for half 2"
        )

    def binding_problem(self, n_threads: int) -> str | None:
        """Say so if a process may use fewer cores than it has threads."""
        worst = min(self.places[1:], key=lambda place: place.n_cores)
        if worst.n_cores >= n_threads or worst.n_cores >= (os.cpu_count() or 1):
            return None
        return (
            f"process {worst.rank} on {worst.host} may use {worst.n_cores} cores only, but --j asks"
            f" for {n_threads} threads. Start with mpirun --bind-to none, or with "
            f"--map-by slot:PE={n_threads}"
        )

    def lead(self, data: RefinementInput, settings: RunSettings, log: RunLog) -> Leader:
        """Give the followers their data and tell the log about them."""
        log.write(self.describe())
        problem = self.binding_problem(data.options.n_threads)
        if problem:
            log.warn(problem)
        self.leader = Leader(self.ranks, data, settings)
        for place in self.places[1:]:
            lines = self.leader.first_replies[place.rank]
            log.write(f" Process {place.rank} on {place.host}:{line}" for line in lines)
        return self.leader

    def is_whole(self) -> bool:
        """Whether all processes live, as far as this host knows."""
        return not any(place.is_dead() for place in self.places)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Tell a process that died from a stop that the user wants.

        Raises
        ------
        ProcessFailedError
            If a process died or failed, and the launcher therefore stopped the others.
        """
        try:
            yield
        except TerminatedError:
            words = _words_on_dead(self.places)
            if words is None:
                with contextlib.suppress(Exception):  # whatever happens: it was stopped
                    self._last_message()
                raise
            raise ProcessFailedError(words) from None

    def _last_message(self) -> None:
        """Raise what a process that is being stopped, too, has to report."""
        end = time.monotonic() + _LAST_SECONDS / 2
        while (rest := end - time.monotonic()) > 0:
            self.ranks.world.receive(tag=Tag.FAILED, patience=rest)


def lead_job(world: MpiCommunicator, lead: Callable[[Team], int]) -> int:
    """Lead the other processes through a job, and see to it that they end.

    Parameters
    ----------
    world : MpiCommunicator
        All processes; this one is number 0.
    lead : callable
        Does the job with a team; returns the exit code or raises.

    Raises
    ------
    OptionError
        If there are too few processes.
    """
    team = _form_team(world)
    code = EXIT_FAILURE
    try:
        code = lead(team)
        return code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        raise
    except TerminatedError as error:
        code = error.exit_code
        raise
    finally:
        if team.leader is None or team.leader.is_idle:
            for rank in range(1, world.size):
                world.send(None, rank)
        else:  # they are at work, or wait for each other
            atexit.register(_abort, world, code)  # after the message was shown


def follow_job(world: MpiCommunicator) -> int:
    """Do what the leader says; report a failure of this process to it.

    Returns
    -------
    exit_code : int
        0; what went wrong shows in the exit code of the leader.
    """
    team = _form_team(world)
    job: list[RunSettings] = []  # once the leader has told

    @contextlib.contextmanager
    def prepare(
        data: RefinementInput, settings: RunSettings, half: int
    ) -> Iterator[tuple[RefinementInput, list[str]]]:
        job.append(settings)
        lines: list[str] = []
        rows = np.flatnonzero(data.particles.half == half)
        with particles_at_hand(data.particles, settings, lines.append, rows) as particles:
            yield replace(data, particles=particles), lines

    try:
        with stoppable(lambda number: time.sleep(_LAST_SECONDS), is_hasty=launcher_ends_soon()):
            try:
                with stop_waits(team.is_whole):  # the leader decides
                    follow(team.ranks, prepare)
            except (KeyboardInterrupt, TerminatedError):
                _report_dead(team, job)
                os._exit(EXIT_FAILURE)
    except Exception as error:
        _report_failure(world, team.places[world.rank], describe_error(error))
    return 0


def _form_team(world: MpiCommunicator) -> Team:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    place = Place(world.rank, socket.gethostname(), os.getpid(), cores or 1)
    found = world.gather(place)
    return Team(form_teams(world), world.broadcast(found or None))


def _words_on_dead(places: list[Place]) -> str | None:
    """Name the processes that have ended, as far as this host knows."""
    dead = [place for place in places if place.is_dead()]
    if not dead:
        return None
    names = ", ".join(f"{place.rank} (process id {place.pid} on {place.host})" for place in dead)
    return (
        f"process {names} ended without a word: it was killed, perhaps because the memory of its "
        "node was used up, or it crashed. The other processes were stopped."
    )


def _report_dead(team: Team, job: list[RunSettings]) -> None:
    """Report, on being stopped, which neighbour has died, and leave the leader time to read.

    If it was the leader, the first follower of the host does what it can not do any more.
    """
    own = team.places[team.ranks.world.rank]
    words = _words_on_dead(team.places)
    if words is not None and team.places[0].host != own.host:
        team.ranks.world.send(words, 0, Tag.FAILED)
    elif words is not None and team.places[0].is_dead() and job:
        alive = [p.rank for p in team.places if p.host == own.host and not p.is_dead()]
        if own.rank == alive[0]:
            path = Path(job[0].output_root).with_name("run.err")
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(f"aurefine: error: {words}\n")
            mark_failure(job[0].pipeline_control)
    time.sleep(_LAST_SECONDS)


def _report_failure(world: MpiCommunicator, place: Place, message: str) -> None:
    """Tell the leader why this process can not go on, and wait for the end."""
    words = f"process {place.rank} on {place.host}: {message}"
    world.send(words, 0, Tag.FAILED)
    time.sleep(_PATIENCE_WITH_LEADER)
    sys.stderr.write(f"aurefine: error: {words}\n")
    _abort(world, EXIT_FAILURE)


def _abort(world: MpiCommunicator, code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    world.abort(code)
