"""Files of the project: folders, downloads, texts, tables, maps, particles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from starlette.responses import FileResponse, Response
from starlette.routing import Route

from aurefine.errors import OptionError
from aurefine.gui.answers import Answer, Question, get
from aurefine.gui.particles import montage
from aurefine.gui.stages import tail_text
from aurefine.gui.workspace import Workspace

__all__ = ["file_routes"]

_MAX_ROWS = 1000
_MAX_TEXT = 1 << 20
_MAX_ENTRIES = 5000
# shown by the browser itself; a report may hold its own style, but runs nothing and sends nothing
_SHOWN = {
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".html": "text/html; charset=utf-8",
}
_ALONE = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:"
)


def file_routes(space: Workspace) -> list[Route]:
    """Return the routes below ``/api/files``."""

    def entries(question: Question) -> Answer:
        name = question.text("path", "")
        found = space.folder.entries(name)
        rows = [asdict(entry) for entry in found if not entry.name.startswith(".")]
        for row in rows:
            row["usable"] = row["kind"] != "other" and _is_text(row["name"])
            row["name"] = row["name"].encode("utf-8", "replace").decode()
        return {"path": name, "entries": rows[:_MAX_ENTRIES], "total": len(rows)}

    def download(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        return FileResponse(
            path, filename=path.name, media_type="application/octet-stream",
            content_disposition_type="attachment",
        )  # fmt: skip

    def show(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        kind = _SHOWN.get(path.suffix.lower())
        if kind is None:
            raise OptionError(f"{path.name}: files of this kind are only downloaded.")
        disposition = f"inline; filename*=UTF-8''{quote(path.name)}"
        headers = {"Content-Disposition": disposition}
        if path.suffix.lower() != ".pdf":  # a sandbox would also stop the viewer of the browser
            headers["Content-Security-Policy"] = _ALONE
        return FileResponse(path, media_type=kind, headers=headers)

    def text(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        n_bytes = min(max(question.number("bytes", 1 << 16), 1), _MAX_TEXT)
        size = path.stat().st_size
        return {"text": tail_text(path, n_bytes), "size": size, "is_whole": size <= n_bytes}

    def blocks(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        return {"blocks": [_outline(outline) for outline in space.stars.outlines(path)]}

    def rows(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        count = min(question.number("count", 100), _MAX_ROWS)
        page = space.stars.page(path, question.number("block"), question.number("start", 0), count)
        return {"start": page.start, "rows": page.rows, **_outline(page.outline)}

    def particles(question: Question) -> Answer:
        start, count = question.number("start", 0), question.number("count", 40)
        name = question.text("path")
        return montage(space.folder, space.stars, name, start, count).as_json()

    def facts(question: Question) -> Answer:
        return space.maps.facts(space.folder.file(question.text("path"))).as_json()

    def slice_(question: Question) -> Answer:
        path = space.folder.file(question.text("path"))
        axis = question.number("axis", 0)
        if axis not in (0, 1, 2):
            raise OptionError("the axis of a slice must be 0, 1 or 2.")
        png = space.maps.slice_png(path, axis, question.number("index"))
        return Response(png, media_type="image/png")

    def volume(question: Question) -> Answer:
        volume = space.maps.volume(space.folder.file(question.text("path")))
        shape = ",".join(str(n) for n in volume.values.shape)
        headers = {"X-Shape": shape, "X-Scale": f"{volume.scale!r}"}
        headers["X-Pixel-Size"] = f"{volume.pixel_size!r}"
        return Response(
            volume.values.tobytes(), media_type="application/octet-stream", headers=headers
        )

    base = "/api/files"
    return [
        get(f"{base}/entries", entries),
        get(f"{base}/download", download),
        get(f"{base}/show", show),
        get(f"{base}/text", text),
        get(f"{base}/blocks", blocks),
        get(f"{base}/rows", rows),
        get(f"{base}/particles", particles),
        get(f"{base}/map", facts),
        get(f"{base}/slice", slice_),
        get(f"{base}/volume", volume),
    ]


def _outline(outline: Any) -> dict[str, Any]:
    return {
        "block": outline.name,
        "labels": list(outline.labels),
        "is_loop": outline.is_loop,
        "total": outline.n_rows,
        "complete": outline.is_complete,
    }


def _is_text(name: str) -> bool:
    """Whether a browser can send the name back."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
