"""The application: all routes behind the guard."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from aurefine.gui.events import event_routes
from aurefine.gui.file_routes import file_routes
from aurefine.gui.folder import Folder
from aurefine.gui.job_routes import job_routes
from aurefine.gui.security import Access, Guard
from aurefine.gui.view_routes import view_routes
from aurefine.gui.workspace import Workspace
from aurefine.project import open_project

__all__ = ["build_app"]

_STATIC = Path(__file__).parent / "static"


def build_app(
    project: Path,
    access: Access,
    *,
    hosts: frozenset[str] = frozenset(),
    cookie: str = "aurefine",
    is_closing: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the application of one project.

    Parameters
    ----------
    project : Path
        Folder with a pipeline file.
    access : Access
    hosts : set of str
        Names of this server beside localhost.
    cookie : str
        Name of the session cookie.
    is_closing : callable
        Whether the server wants to end.
    """
    space = Workspace(Folder(project), open_project(project), is_closing)

    def index(_: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=_import_tables, daemon=True).start()
        yield

    app = Starlette(
        routes=[
            Route("/", index),
            *job_routes(space),
            *view_routes(space),
            *file_routes(space),
            *event_routes(space),
            Mount("/static", _CachedFiles(directory=_STATIC)),
        ],
        exception_handlers={HTTPException: refused},
        lifespan=lifespan,
    )
    return Guard(app, access, hosts, cookie)


class _CachedFiles(StaticFiles):
    """Files of the package: asked for again only when they have changed."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Let the browser keep the file, but ask whether it is still the same."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def _import_tables() -> None:
    """Load what the first live view needs while the user still reads the page."""
    import aurefine.jobs.refine_history
    import aurefine.report.directions  # noqa: F401
