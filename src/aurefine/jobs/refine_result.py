"""What a refinement found, for callers from Python."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.io import ParticleTable, read_map, read_particles, read_star
from aurefine.jobs.refine_files import particle_columns
from aurefine.jobs.refine_history import History
from aurefine.jobs.refine_names import FileNames
from aurefine.refine.state import RefinementState

__all__ = ["RefinementResult", "finished_result", "result_of"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RefinementResult:
    """What a refinement found.

    Attributes
    ----------
    map : ndarray, shape (n, n, n), float32
        Final map of all particles; of half 1 if the run ended before it converged.
    half_maps : tuple of ndarray, shape (n, n, n), float32
        Unfiltered half maps; empty if the run ended before it converged.
    pixel_size : float
        Å.
    fsc : ndarray, shape (n // 2 + 1,)
        Gold-standard FSC; shell k is at n * pixel_size / k Å.
    resolution : float
        Å; where the gold-standard FSC falls below 0.143 if the run converged, else below 0.5.
    particles : DataFrame
        The particle table with the final poses, RELION's labels as columns.
    history : DataFrame
        One row per iteration: resolution, accuracy, changes, sampling, Pmax, seconds, memory.
        A continued run takes the earlier rows from their files, without seconds and memory.
    fsc_history : ndarray, shape (n_iterations, n // 2 + 1)
    has_converged : bool
    output_root : str
        Root name of the files, e.g. ``Refine3D/job012/run``.
    """

    map: Float32
    half_maps: tuple[Float32, ...]
    pixel_size: float
    fsc: Float
    resolution: float
    particles: pd.DataFrame
    history: pd.DataFrame
    fsc_history: Float
    has_converged: bool
    output_root: str


def result_of(
    final: RefinementState, table: ParticleTable, history: History, output_root: str
) -> RefinementResult:
    """Collect what a run that has just ended found."""
    model = final.models[0]
    return RefinementResult(
        map=model.map,
        half_maps=final.unfiltered_maps,
        pixel_size=final.pixel_size,
        fsc=model.fsc,
        resolution=1 / final.controller.current_frequency,
        particles=particle_columns(final, table),
        history=history.frame(),
        fsc_history=history.fsc(),
        has_converged=final.controller.has_converged,
        output_root=output_root,
    )


def finished_result(output_root: str) -> RefinementResult:
    """Read what a run that has converged before found.

    Parameters
    ----------
    output_root : str
        Root name of its files.
    """
    names = FileNames(output_root)
    star = read_star(names.model(None), only=["model_general", "model_class_1"])
    final_map, _ = read_map(names.map(None))
    history = History()
    number = 1
    while history.restore_one(FileNames(output_root, number)):
        number += 1
    history.restore_one(names)
    general = star.values("model_general")
    return RefinementResult(
        map=np.array(final_map, np.float32),
        half_maps=tuple(
            np.array(read_map(names.unfiltered_map(half))[0], np.float32) for half in (1, 2)
        ),
        pixel_size=float(general["rlnPixelSize"]),
        fsc=star.table("model_class_1")["rlnGoldStandardFsc"].to_numpy(np.float64),
        resolution=float(general["rlnCurrentResolution"]),
        particles=read_particles(names.data).particles,
        history=history.frame(),
        fsc_history=history.fsc(),
        has_converged=True,
        output_root=output_root,
    )
