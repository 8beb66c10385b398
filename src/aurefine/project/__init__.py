"""Project folders: the pipeline file, its lock, aliases, states and the trash."""

from __future__ import annotations

from aurefine.project.pipeline import Pipeline, Process, read_pipeline, write_pipeline
from aurefine.project.project import (
    PIPELINE_FILE,
    Edge,
    Job,
    Node,
    Project,
    init_project,
    open_project,
)
from aurefine.project.types import NODE_KINDS, Dialect, Status, node_kind

__all__ = [
    "NODE_KINDS",
    "PIPELINE_FILE",
    "Dialect",
    "Edge",
    "Job",
    "Node",
    "Pipeline",
    "Process",
    "Project",
    "Status",
    "init_project",
    "node_kind",
    "open_project",
    "read_pipeline",
    "write_pipeline",
]
