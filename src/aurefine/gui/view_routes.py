"""What a job shows: a refinement as it runs, and results by kind of file."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
from starlette.routing import Route

from aurefine.errors import StarError
from aurefine.gui.answers import Answer, Question, get
from aurefine.gui.refinement import latest_files
from aurefine.gui.stages import warnings_of
from aurefine.gui.workspace import Workspace
from aurefine.project import Job, node_kind

__all__ = ["view_routes"]

_MAP_KINDS = ("postprocessed", "map", "mask", "halfmap")
_FSC = {
    "corrected": "rlnFourierShellCorrelationCorrected",
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "random": "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps",
}
_GUINIER = {
    "original": "rlnLogAmplitudesOriginal",
    "mtf": "rlnLogAmplitudesMTFCorrected",
    "weighted": "rlnLogAmplitudesWeighted",
    "sharpened": "rlnLogAmplitudesSharpened",
}
_NO_LOGARITHM = -90.0  # RELION's mark for the logarithm of nothing


def view_routes(space: Workspace) -> list[Route]:
    """Return the routes of live views and results."""

    def job_of(question: Question) -> Job:
        job = space.project.job(question.text("job"))
        space.folder.path(job.name)  # a job folder may be a link, but not out of the project
        return job

    def progress(question: Question) -> Answer:
        return space.refinements.progress(job_of(question).folder)

    def directions(question: Question) -> Answer:
        return space.refinements.directions(job_of(question).folder) or {}

    def results(question: Question) -> Answer:
        job = job_of(question)
        pipeline = space.project.pipeline()
        nodes = [node for maker, node in pipeline.outputs if maker == job.name]
        present = [node for node in nodes if space.folder.holds(space.folder.root / node)]
        kinds = {node: node_kind(pipeline.nodes.get(node, "")) for node in present}
        maps = [
            {"path": node, "kind": kind}
            for wanted in _MAP_KINDS
            for node, kind in kinds.items()
            if kind == wanted
        ]
        if job.kind == "Refine3D" and not maps:
            newest = latest_files(job.folder)
            maps = [
                {"path": f"{job.name}{newest[key]}", "kind": "halfmap"}
                for key in ("half1", "half2")
                if key in newest
            ]
        out, err = space.text(f"{job.name}run.out"), space.text(f"{job.name}run.err")
        return {
            "maps": maps,
            "particles": [node for node, kind in kinds.items() if kind == "particles"],
            "tables": [n for n, kind in kinds.items() if kind in ("micrographs", "coordinates")
                       and n.endswith(".star")],
            "postprocess": _postprocess(space, [n for n, k in kinds.items() if k == "postprocess"]),
            "warnings": warnings_of(out, err),
        }  # fmt: skip

    return [
        get("/api/refinement/progress", progress),
        get("/api/refinement/directions", directions),
        get("/api/results", results),
    ]


def _postprocess(space: Workspace, names: list[str]) -> dict[str, Any] | None:
    """Return the curves of a `postprocess.star`; None if there is none, or not a complete one."""
    from aurefine.io import read_star  # pandas takes a while to import

    for name in names:
        with contextlib.suppress(StarError, KeyError):
            star = read_star(space.folder.file(name))
            general, fsc, guinier = star.values("general"), star.table("fsc"), star.table("guinier")
            squared = guinier["rlnResolutionSquared"].to_numpy(np.float64)
            logs = {key: _logs(guinier[label]) for key, label in _GUINIER.items()
                    if label in guinier}  # fmt: skip
            if "rlnFittedSlopeGuinierPlot" in general:
                slope = float(general["rlnFittedSlopeGuinierPlot"])
                intercept = float(general["rlnFittedInterceptGuinierPlot"])
                logs["fit"] = [intercept + slope * float(value) for value in squared]
            return {
                "resolution": _finite(general["rlnFinalResolution"]),
                "bfactor": _finite(general.get("rlnBfactorUsedForSharpening")),
                "mask_fraction": _finite(general.get("rlnParticleBoxFractionSolventMask")),
                "randomised_from": _finite(general.get("rlnRandomiseFrom")),
                "fsc": {
                    "frequency": fsc["rlnResolution"].tolist(),
                    **{k: fsc[label].tolist() for k, label in _FSC.items() if label in fsc},
                },
                "guinier": {"frequency_squared": squared.tolist(), **logs},
            }
    return None


def _logs(column: Any) -> list[float | None]:
    return [float(value) if value > _NO_LOGARITHM else None for value in column]


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
