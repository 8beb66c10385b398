"""*Map rescale*: the image handler as a job of its own, also for RELION's external jobs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurefine.errors import OptionError
from aurefine.io.star_cells import write_cells
from aurefine.jobs.map_tools import run_image_handler
from aurefine.jobs.options import check_values
from aurefine.jobs.rescale_table import RESCALE_OPTIONS

__all__ = ["OUTPUT_NAME", "run_rescale"]

OUTPUT_NAME = "rescaled.mrc"


def run_rescale(given: Mapping[str, Any]) -> int:
    """Rescale a map with the given option values and return the exit code.

    Without ``--pipeline_control`` the markers go to the output folder, where RELION looks for those
    of its external jobs.

    Raises
    ------
    AurefineError
        If the map or an option can not be used.
    """
    check_values(RESCALE_OPTIONS, given)
    values = dict(given)
    folder = Path(str(values.pop("output_folder")))
    if values.get("rescale_pixel_size", -1.0) <= 0 and values.get("new_box", -1) <= 0:
        raise OptionError(
            "give a new pixel size (--rescale_angpix), a new box size (--new_box), or both."
        )
    folder.mkdir(parents=True, exist_ok=True)
    values["output"] = str(folder / OUTPUT_NAME)
    values.setdefault("pipeline_control", f"{folder}/")
    # so that RELION, when it has started the job, learns of the map
    write_cells(
        folder / "RELION_OUTPUT_NODES.star",
        {
            "output_nodes": (
                ("rlnPipeLineNodeName", "rlnPipeLineNodeType", "rlnPipeLineNodeTypeLabel"),
                [(values["output"], 6, "DensityMap.mrc")],
            )
        },
        version=30001,
    )
    return run_image_handler(values)
