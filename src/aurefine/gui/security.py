"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_LIMIT", "Access", "Guard"]

BODY_LIMIT = 1 << 20  # bytes of a request; the largest form has a few kilobytes
_MAX_SESSIONS = 64
_SAFE_METHODS = frozenset({"GET", "HEAD"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>aurefine</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<link rel="stylesheet" href="/static/app.css"></head>
<body class="plain"><main><h1>{title}</h1><p>{text}</p></main></body></html>"""


class Access:
    """One-time links and the sessions that they open.

    Parameters
    ----------
    on_new_link : callable
        Called with the token of the next link whenever the previous one has been used.
    """

    def __init__(self, on_new_link: Callable[[str], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, None] = {}
        self._on_new_link = on_new_link
        self.token = secrets.token_urlsafe(32)

    def exchange(self, token: str) -> str | None:
        """Return a new session for a token that has not been used, else None."""
        with self._lock:
            if not hmac.compare_digest(token.encode(), self.token.encode()):
                return None
            self.token = secrets.token_urlsafe(32)
            session = secrets.token_urlsafe(32)
            self._sessions[session] = None
            while len(self._sessions) > _MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        if self._on_new_link is not None:
            self._on_new_link(self.token)
        return session

    def holds(self, session: str) -> bool:
        """Whether the session is known."""
        with self._lock:
            known = tuple(self._sessions)
        return any(hmac.compare_digest(session.encode(), other.encode()) for other in known)


class Guard:
    """ASGI layer around the application: host, origin, session, size, headers.

    Parameters
    ----------
    app : ASGI application
    access : Access
    hosts : set of str
        Names that a browser may use for this server, without port; localhost and addresses are
        always allowed. A rebound DNS name is not among them.
    cookie : str
        Name of the session cookie. Cookies do not know ports, so it holds the port.
    """

    def __init__(self, app: ASGIApp, access: Access, hosts: frozenset[str], cookie: str) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        if int(headers.get("content-length", "0")) > BODY_LIMIT:
            await _error(413, _TOO_LARGE)(scope, receive, send_guarded)
            return
        n_bytes = 0

        async def receive_counted() -> Message:  # a body may come without a length
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > BODY_LIMIT:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        path, method = scope["path"], scope["method"]
        if not self._is_ours(host):
            return _error(421, "This server does not answer to that host name.")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            return _error(400, "The length of the request is not a number.")
        if path.startswith("/static/") and method in _SAFE_METHODS:
            return None  # files of the package, the same for everybody
        if path == "/" and method == "GET":
            token = parse_qs(scope["query_string"].decode("latin-1")).get("token")
            if token:
                return self._enter(token[0])
        session = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        if not self._access.holds(session):
            if path.startswith("/api/"):
                return _error(401, "Open the link that aurefine gui has printed.")
            return _page(401, "Not signed in", "Open the link that <b>aurefine gui</b> prints.")
        if path != "/" and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _error(403, "Requests from other sites are refused.")
        if method not in _SAFE_METHODS:
            return _wrong_origin(headers, host)
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts or name == "localhost":
            return True
        try:
            ipaddress.ip_address(name)  # a name can be bound to another machine, an address not
        except ValueError:
            return False
        return True

    def _enter(self, token: str) -> Response:
        session = self._access.exchange(token)
        if session is None:
            return _page(
                401, "This link has been used",
                "Each link works once. <b>aurefine gui</b> prints a new one after each use.",
            )  # fmt: skip
        # a page of ours leads on: a redirect after a click elsewhere would carry no strict cookie
        response = _page(
            200, "aurefine", "Signed in.", '<meta http-equiv="refresh" content="0;url=/">'
        )
        response.set_cookie(self._cookie, session, httponly=True, samesite="strict", path="/")
        return response


_TOO_LARGE = f"The request is larger than {BODY_LIMIT >> 20} MiB."


def _wrong_origin(headers: Headers, host: str) -> Response | None:
    """Refuse what a page of another site could send on the user's behalf."""
    origin = urlsplit(headers.get("origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc != host:
        return _error(403, "Requests from other sites are refused.")
    if headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return _error(415, "Expected application/json.")
    return None


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _page(status: int, title: str, text: str, refresh: str = "") -> Response:
    return HTMLResponse(_PAGE.format(title=title, text=text, refresh=refresh), status)
