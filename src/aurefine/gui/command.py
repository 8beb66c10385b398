"""`aurefine gui`: parse the options and serve the project."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from aurefine.cli.main import program_version
from aurefine.cli.parser import build_parser, given_values
from aurefine.errors import OptionError
from aurefine.gui.options import GUI_OPTIONS
from aurefine.jobs.options import check_values, with_defaults

__all__ = ["run"]

_DESCRIPTION = """Show a project in the browser: set up jobs, run them, watch them, look at their
results. Jobs go on when this server ends."""
_NEEDED = ("starlette", "uvicorn")


def run(argv: Sequence[str]) -> int:
    """Serve the project until Ctrl-C and return the exit code."""
    if "--version" in argv:
        sys.stdout.write(f"aurefine gui {program_version()}\n")
        return 0
    parser = build_parser(GUI_OPTIONS, "aurefine gui", _DESCRIPTION)
    values = with_defaults(GUI_OPTIONS, given_values(parser.parse_args(argv)))
    check_values(GUI_OPTIONS, values)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise OptionError(
            f"aurefine gui needs {' and '.join(missing)}: pip install 'aurefine[gui]'."
        )
    from aurefine.gui.server import serve

    folder = Path(values["project"]).resolve()
    _check_project(folder)
    with contextlib.suppress(KeyboardInterrupt):  # the usual end
        serve(
            folder,
            host=values["host"],
            port=values["port"],
            allow_network=values["allow_network"],
            on_link=_open_browser if values["open_browser"] else None,
        )
    return 0


def _check_project(folder: Path) -> None:
    from aurefine.project import PIPELINE_FILE

    if not (folder / PIPELINE_FILE).is_file():
        raise OptionError(
            f"{folder}: is not a project: it has no {PIPELINE_FILE}. Make it one with "
            f"'aurefine project init {folder}', or name another folder with --project."
        )


def _open_browser(link: str) -> None:
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
