"""Option table of `aurefine gui`."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["GUI_OPTIONS"]

GUI_OPTIONS = (
    Option(
        name="project", flag="--project", kind="path", default=".", tab="Project",
        label="Project folder", help="Folder of the project to show.",
    ),
    Option(
        name="port", flag="--port", kind="int", default=0, tab="Server", label="Port",
        range=Range(1024, 65535, also=(0,)),
        help="Port to listen on; 0 takes a free one.",
    ),
    Option(
        name="host", flag="--host", kind="str", default="127.0.0.1", tab="Server",
        label="Address",
        help="Address to listen on. Any other than 127.0.0.1 lets other machines connect without "
        "encryption and needs --allow_network; ssh -L is the safe way.",
    ),
    Option(
        name="allow_network", flag="--allow_network", kind="bool", default=False, tab="Server",
        label="Allow the network", help="Accept an address that other machines can reach.",
    ),
    Option(
        name="open_browser", flag="--open", kind="bool", default=False, tab="Server",
        label="Open a browser", help="Open the link in the browser of this machine.",
    ),
)  # fmt: skip
