"""What all requests share: the project, and the files that were looked at last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aurefine.gui.folder import Folder
from aurefine.gui.maps import MapStore
from aurefine.gui.refinement import RefinementStore
from aurefine.gui.star_pages import StarPages
from aurefine.project import Project

__all__ = ["Workspace"]


@dataclass(frozen=True, slots=True)
class Workspace:
    """One open project.

    `is_closing` tells the streams of events that the server wants to end.
    """

    folder: Folder
    project: Project
    is_closing: Callable[[], bool] = lambda: False
    stars: StarPages = field(default_factory=StarPages)
    maps: MapStore = field(default_factory=MapStore)
    refinements: RefinementStore = field(default_factory=RefinementStore)
