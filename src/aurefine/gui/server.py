"""Serve the application on this machine, and say how to reach it."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from aurefine.errors import OptionError
from aurefine.gui.security import Access

__all__ = ["Address", "listen", "serve"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Address:
    """Where the server listens.

    Parameters
    ----------
    host : str
    port : int
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def link(self, token: str) -> str:
        """Return the link that signs a browser in."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", *_LOOPBACK) else self.host
        return f"http://{host}:{self.port}/?token={token}"

    @property
    def tunnel(self) -> str:
        """The command that brings the page to the user's own machine."""
        user = getpass.getuser()
        return f"ssh -N -L {self.port}:127.0.0.1:{self.port} {user}@{socket.gethostname()}"


def listen(host: str, port: int, *, allow_network: bool) -> socket.socket:
    """Open the socket.

    Raises
    ------
    OptionError
        If the address can not be used, or reaches beyond this machine without permission.
    """
    if host not in _LOOPBACK and not allow_network:
        raise OptionError(
            f"option --host: {host} can be reached by other machines, and the connection is not "
            "encrypted. Use ssh -L with 127.0.0.1, or add --allow_network."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise OptionError(
            f"options --host and --port: {host}:{port} can not be used: {error.strerror}. Choose "
            "another port, or 0 for a free one."
        ) from None
    found.listen(128)
    return found


def serve(
    project: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_network: bool = False,
    on_link: Callable[[str], None] | None = None,
) -> None:
    """Serve a project until the process is told to stop.

    Parameters
    ----------
    project : Path
    host, port, allow_network
        As in `listen`.
    on_link : callable, optional
        Called with the first link once the server listens.
    """
    import uvicorn

    from aurefine.gui.app import build_app

    found = listen(host, port, allow_network=allow_network)
    address = Address(host, found.getsockname()[1])

    def say_next(token: str) -> None:
        sys.stdout.write(f" Another browser: {address.link(token)}\n")
        sys.stdout.flush()

    access = Access(on_new_link=say_next)
    app = build_app(
        project,
        access,
        hosts=_names(host),
        cookie=f"aurefine_{address.port}",
        is_closing=lambda: server.should_exit,
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=3, lifespan="on", ws="none", loop="asyncio",
    )  # fmt: skip
    server = uvicorn.Server(config)
    sys.stdout.write(
        f" Project:    {project}\n"
        f" Open:       {address.link(access.token)}\n"
        f" From afar:  {address.tunnel}\n"
        "             then open the link above on your own machine.\n"
        " Each link works once. Ctrl-C ends this server; running jobs go on.\n"
    )
    sys.stdout.flush()
    if on_link is not None:
        on_link(address.link(access.token))
    server.run(sockets=[found])


def _names(host: str) -> frozenset[str]:
    if host in _LOOPBACK:
        return frozenset()
    return frozenset({host, socket.gethostname().lower(), socket.getfqdn().lower()})
