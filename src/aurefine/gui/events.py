"""News for the browser: what changed in the project and in the job that it shows."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aurefine.errors import AurefineError
from aurefine.gui.workspace import Workspace
from aurefine.project.refresh import refresh

__all__ = ["event_routes"]

_PERIOD = 0.5  # seconds between two looks
_SILENCE = 15.0  # seconds after which a sign of life is sent

_Stamps = dict[str, tuple[int, int]]


def event_routes(space: Workspace) -> list[Route]:
    """Return the route of the stream of events."""

    async def endpoint(request: Request) -> Response:
        job = request.query_params.get("job", "")
        folder: Path | None = None
        if job:
            try:
                folder = space.folder.path(job)
            except AurefineError:
                folder = None
        stream = _events(request, space, folder)
        return StreamingResponse(stream, media_type="text/event-stream")

    return [Route("/api/events", endpoint, methods=["GET"])]


async def _events(request: Request, space: Workspace, folder: Path | None) -> AsyncIterator[str]:
    project = await run_in_threadpool(_look_at_project, space)
    files = await run_in_threadpool(_look_at_job, folder)
    yield "retry: 1500\nevent: hello\ndata: {}\n\n"
    silent = 0.0
    while not (space.is_closing() or await request.is_disconnected()):
        await asyncio.sleep(_PERIOD)
        silent += _PERIOD
        now = await run_in_threadpool(_look_at_project, space)
        if now != project:
            project = now
            silent = 0.0
            yield "event: project\ndata: {}\n\n"
        found = await run_in_threadpool(_look_at_job, folder)
        changed = sorted(name for name in found if found[name] != files.get(name))
        changed += sorted(set(files) - set(found))
        if changed:
            files = found
            silent = 0.0
            yield f"event: files\ndata: {json.dumps({'changed': changed[:100]})}\n\n"
        if silent >= _SILENCE:
            silent = 0.0
            yield ": still here\n\n"


def _look_at_project(space: Workspace) -> tuple[int, int] | None:
    """Stamp of the pipeline file, after jobs that have ended were noticed."""
    try:
        refresh(space.project, timeout=2)
        status = space.project.pipeline_path.stat()
    except (OSError, AurefineError):
        return None
    return status.st_mtime_ns, status.st_size


def _look_at_job(folder: Path | None) -> _Stamps:
    """Time and size of every file of a job folder; temporary files do not count."""
    if folder is None:
        return {}
    found: _Stamps = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if ".tmp-" in entry.name:
                    continue
                status = entry.stat(follow_symlinks=False)
                found[entry.name] = (status.st_mtime_ns, status.st_size)
    except OSError:
        pass
    return found
