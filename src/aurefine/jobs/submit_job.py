"""Handing a job to a queue: the filled script, and the program that takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aurefine.errors import OptionError
from aurefine.jobs.job_command import Command

__all__ = ["hand_to_queue"]


def hand_to_queue(project: Path, name: str, command: Command, values: Mapping[str, str]) -> None:
    """Fill the submission script of the site and give it to the queue.

    Raises
    ------
    OptionError
        Always, as long as the filling of scripts is not here.
    """
    raise OptionError(f"{name}: submission to a queue is not available yet; set it to No.")
