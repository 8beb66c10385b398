"""Types of processes and nodes: RELION 5's labels, RELION 3.1's numbers, and plain words."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "NODE_KINDS",
    "Dialect",
    "Status",
    "folder_label",
    "node_from_number",
    "node_kind",
    "node_number",
    "process_from_number",
    "process_number",
]

Dialect = Literal["3.1", "5.0"]
Status = Literal["Running", "Scheduled", "Succeeded", "Failed", "Aborted"]

# in the order of RELION 3.1's numbers
STATUSES: tuple[Status, ...] = ("Running", "Scheduled", "Succeeded", "Failed", "Aborted")

# number in 3.1, label in 5.0, folder
_PROCESSES: tuple[tuple[int, str, str], ...] = (
    (0, "relion.import", "Import"),
    (1, "relion.motioncorr", "MotionCorr"),
    (2, "relion.ctffind", "CtfFind"),
    (3, "relion.manualpick", "ManualPick"),
    (4, "relion.autopick", "AutoPick"),
    (5, "relion.extract", "Extract"),
    (7, "relion.select", "Select"),
    (8, "relion.class2d", "Class2D"),
    (9, "relion.class3d", "Class3D"),
    (10, "relion.refine3d", "Refine3D"),
    (12, "relion.maskcreate", "MaskCreate"),
    (13, "relion.joinstar", "JoinStar"),
    (14, "relion.subtract", "Subtract"),
    (15, "relion.postprocess", "PostProcess"),
    (16, "relion.localres", "LocalRes"),
    (18, "relion.initialmodel", "InitialModel"),
    (19, "relion.multibody", "MultiBody"),
    (20, "relion.polish", "Polish"),
    (21, "relion.ctfrefine", "CtfRefine"),
    (99, "relion.external", "External"),
)
_NUMBERS = {label: number for number, label, _ in _PROCESSES}
_LABELS = {number: label for number, label, _ in _PROCESSES}
_FOLDERS = {folder: label for _, label, folder in _PROCESSES}

# kind, number in 3.1, beginning of the label, what else the label must hold
_NODES: tuple[tuple[str, int, str, str], ...] = (
    ("halfmap", 10, "DensityMap.mrc", ".halfmap"),
    ("postprocessed", 11, "DensityMap.mrc", ".postprocess"),
    ("map", 6, "DensityMap.mrc", ""),
    ("mask", 7, "Mask3D.mrc", ""),
    ("micrographs", 1, "MicrographGroupMetadata.star", ""),
    ("coordinates", 2, "MicrographCoordsGroup.star", ""),
    ("particles", 3, "ParticleGroupMetadata.star", ""),
    ("references2d", 5, "Image2DGroupMetadata.star", ""),
    ("logfile", 13, "LogFile.pdf", ""),
    ("postprocess", 14, "ProcessData.star", ".postprocess"),
    ("optimiser", -1, "OptimiserData.star", ""),
)
_NODE_LABELS = {
    1: "MicrographGroupMetadata.star.relion",
    2: "MicrographCoordsGroup.star.relion",
    3: "ParticleGroupMetadata.star.relion",
    5: "Image2DGroupMetadata.star.relion",
    6: "DensityMap.mrc",
    7: "Mask3D.mrc",
    10: "DensityMap.mrc.halfmap",
    11: "DensityMap.mrc.relion.postprocess",
    13: "LogFile.pdf.relion",
    14: "ProcessData.star.relion.postprocess",
}
# RELION 4's words for the beginning of a label
_RENAMED = {
    "ParticlesData": "ParticleGroupMetadata",
    "MicrographMoviesData": "MicrographMovieGroupMetadata",
    "MicrographsData": "MicrographGroupMetadata",
    "MicrographsCoords": "MicrographCoordsGroup",
    "ImagesData": "Image2DGroupMetadata",
}

NODE_KINDS: tuple[str, ...] = tuple(kind for kind, *_ in _NODES)


def process_number(label: str) -> int | None:
    """Return RELION 3.1's number of a process label; None if it has none.

    Suffixes are cut off from the right until a known label is found.
    """
    if label.isdigit():  # an unknown number that was read from a file
        return int(label)
    while label:
        if label in _NUMBERS:
            return _NUMBERS[label]
        label = label.rpartition(".")[0]
    return None


def process_from_number(number: int) -> str:
    """Return the label of RELION 3.1's number; an unknown number as text."""
    return _LABELS.get(number, str(number))


def folder_label(folder: str) -> str:
    """Return the process label of a job type's folder, e.g. ``relion.extract`` of ``Extract``."""
    return _FOLDERS.get(folder, "")


def node_kind(label: str) -> str:
    """Return the plain word for a node label; "" if it is none of `NODE_KINDS`.

    Examples
    --------
    >>> node_kind("DensityMap.mrc.relion.halfmap.refine3d")
    'halfmap'
    """
    for kind, _, beginning, part in _NODES:
        if label.startswith(beginning) and part in label:
            return kind
    return ""


def node_number(label: str) -> int | None:
    """Return RELION 3.1's number of a node label; None if it has none."""
    if label.isdigit():
        return int(label)
    for _, number, beginning, part in _NODES:
        if label.startswith(beginning) and part in label:
            return number if number >= 0 else None
    return None


def node_from_number(number: int) -> str:
    """Return the label of RELION 3.1's node number; an unknown number as text."""
    return _NODE_LABELS.get(number, str(number))


def renamed_node(label: str) -> str:
    """Return RELION 5's form of a node label that RELION 4 wrote."""
    first, dot, rest = label.partition(".")
    return _RENAMED.get(first, first) + dot + rest
