"""Figures as files and as bytes; equal data give equal files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aurefine.io.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_png", "save_figure", "save_pages"]

_DPI = 160


def save_figure(figure: Figure, root: str | os.PathLike[str]) -> list[Path]:
    """Write a figure as ``root.png`` and ``root.pdf``.

    Returns
    -------
    paths : list of Path
        The files.

    Raises
    ------
    OutputError
        If a file can not be written.
    """
    paths = []
    for kind in ("png", "pdf"):
        path = Path(f"{os.fspath(root)}.{kind}")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=_DPI, metadata=_metadata(kind))
        paths.append(path)
        figure.set_layout_engine("none")  # the axes stay where the first file has them
    return paths


def save_pages(figures: list[Figure], path: str | os.PathLike[str]) -> None:
    """Write figures as the pages of one PDF file.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    with (
        atomic_path(path) as temporary,
        PdfPages(temporary, metadata=_metadata("pdf")) as pages,
    ):
        for figure in figures:
            pages.savefig(figure)


def figure_png(figure: Figure, *, dpi: int = 110) -> bytes:
    """Return a figure as a PNG file in memory."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi)
    return stream.getvalue()


def _metadata(kind: str) -> dict[str, None]:
    """Leave out the date: the same input gives the same file."""
    return {"CreationDate": None} if kind == "pdf" else {}
