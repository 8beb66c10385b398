"""Which process does what: a leader, and followers for each half set."""

from __future__ import annotations

from dataclasses import dataclass

from aurefine.parallel.mpi import MpiCommunicator

__all__ = ["Ranks", "form_teams", "half_of"]


def half_of(rank: int) -> int:
    """Half that a follower works on: odd ranks on half 1, even ones on half 2."""
    return 2 - rank % 2


@dataclass(frozen=True, slots=True)
class Ranks:
    """Communicators of this process.

    The first follower of each half, ranks 1 and 2 of the world, makes its map; these two
    exchange what the halves may know of each other.
    """

    world: MpiCommunicator
    with_leader: dict[int, MpiCommunicator]  # by half: the leader, then the followers
    followers: dict[int, MpiCommunicator]  # by half, without the leader

    @property
    def half(self) -> int:
        """Half of this follower."""
        return half_of(self.world.rank)

    @property
    def makes_maps(self) -> bool:
        """Whether this follower is the first of its half."""
        return self.world.rank in (1, 2)


def form_teams(world: MpiCommunicator) -> Ranks:
    """Divide the processes up; all of them must call this."""
    with_leader, followers = {}, {}
    for half in (1, 2):
        ranks = [rank for rank in range(1, world.size) if half_of(rank) == half]
        if world.rank in (0, *ranks):
            with_leader[half] = world.among([0, *ranks])
        if world.rank in ranks:
            followers[half] = world.among(ranks)
    return Ranks(world, with_leader, followers)
