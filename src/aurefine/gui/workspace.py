"""What all requests share: the project, and the files that were looked at last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aurefine.gui.folder import Folder
from aurefine.gui.maps import MapStore
from aurefine.gui.refinement import RefinementStore
from aurefine.gui.stages import tail_text
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
    refinements: RefinementStore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "refinements", RefinementStore(self.folder))

    def text(self, name: str) -> str:
        """Return the end of a text file of the project; "" if there is none."""
        path = self.folder.root / name
        return tail_text(path) if self.folder.holds(path) else ""
