"""Aliases of jobs: which names are allowed, and the links on the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from aurefine.errors import OptionError, OutputError
from aurefine.project.pipeline import Pipeline

__all__ = ["checked_alias", "link_alias", "unlink_alias"]

_FORBIDDEN = '*?()/"\\|#<>&%{}$'
_LONGEST = 200


def checked_alias(pipeline: Pipeline, folder: Path, process: str, text: str) -> str:
    """Return the alias of a job as it stands in the pipeline file.

    Parameters
    ----------
    pipeline : Pipeline
    folder : Path
        The project.
    process : str
        Name of the job, e.g. ``Refine3D/job012/``.
    text : str
        What the user typed: ``first3dref`` or ``Refine3D/first3dref/``; "" for no alias.

    Returns
    -------
    alias : str
        ``Refine3D/first3dref/``, or "".

    Raises
    ------
    OptionError
        If the name breaks one of the rules; the message says which.
    """
    kind = process.split("/")[0]
    name = text.strip().removeprefix(f"{kind}/").removesuffix("/").replace(" ", "_")
    if not name or name == "None":
        return ""
    found = f"alias '{name}' of {process}"
    if len(name) < 2:
        raise OptionError(f"{found}: expected at least 2 characters.")
    if len(name.encode()) > _LONGEST:
        raise OptionError(f"{found}: expected at most {_LONGEST} characters.")
    if name.startswith(("job", ".", "-")):
        raise OptionError(f"{found}: must not start with 'job', '.' or '-'.")
    bad = sorted({c for c in name if c in _FORBIDDEN or not c.isprintable()})
    if bad:
        raise OptionError(f"{found}: must not hold {' '.join(repr(c)[1:-1] for c in bad)}.")
    alias = f"{kind}/{name}/"
    for other in pipeline.processes.values():
        if other.alias == alias and other.name != process:
            raise OptionError(f"{found}: {other.name} has this alias already; choose another one.")
    path = folder / kind / name
    if path.exists() and not path.is_symlink():
        raise OptionError(f"{found}: a file or folder of that name exists.")
    return alias


def link_alias(folder: Path, process: str, alias: str) -> None:
    """Make the link of an alias, in place of an older one of that name.

    Raises
    ------
    OutputError
        If the link can not be made.
    """
    link = folder / alias.rstrip("/")
    target = os.path.join("..", process)
    try:
        if link.is_symlink():
            if os.readlink(link) == target:
                return
            link.unlink()
        link.symlink_to(target)
    except OSError as error:
        raise OutputError(f"{link}: can not make the link: {error.strerror}.") from None


def unlink_alias(folder: Path, alias: str) -> None:
    """Remove the link of an alias; anything else of that name stays."""
    link = folder / alias.rstrip("/")
    with contextlib.suppress(OSError):
        if alias and link.is_symlink():
            link.unlink()
