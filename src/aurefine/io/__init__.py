"""Files: STAR tables, MRC maps and stacks, atomic writes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aurefine.io.atomic import atomic_path, write_text_atomic
from aurefine.io.labels import LabelKind, label_kind
from aurefine.io.mrc import (
    MrcHeader,
    StackWriter,
    check_finite,
    read_image,
    read_map,
    read_mrc_header,
    to_float16,
    write_map,
)
from aurefine.io.stacks import ParticleImages, split_image_name

if TYPE_CHECKING:
    from aurefine.io.particles import (
        MicrographTable,
        ParticleTable,
        read_micrographs,
        read_particles,
        write_micrographs,
        write_particles,
    )
    from aurefine.io.star import (
        StarBlock,
        StarFile,
        format_real,
        read_star,
        round_like_star,
        write_star,
    )

__all__ = [
    "LabelKind",
    "MicrographTable",
    "MrcHeader",
    "ParticleImages",
    "ParticleTable",
    "StackWriter",
    "StarBlock",
    "StarFile",
    "atomic_path",
    "check_finite",
    "format_real",
    "label_kind",
    "read_image",
    "read_map",
    "read_micrographs",
    "read_mrc_header",
    "read_particles",
    "read_star",
    "round_like_star",
    "split_image_name",
    "to_float16",
    "write_map",
    "write_micrographs",
    "write_particles",
    "write_star",
    "write_text_atomic",
]

_WITH_TABLES = ("star", "particles")


def __getattr__(name: str) -> Any:
    """Load what needs tables on first use: pandas takes as long to import as a map to rescale."""
    if name in __all__:
        for module_name in _WITH_TABLES:
            module = importlib.import_module(f"aurefine.io.{module_name}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'aurefine.io' has no attribute {name!r}")
