"""The figures that a refinement leaves beside its files."""

from __future__ import annotations

from aurefine.errors import OutputError
from aurefine.geometry.symmetry import point_group
from aurefine.jobs.refine_history import History
from aurefine.jobs.run_log import RunLog
from aurefine.refine.options import RefineOptions
from aurefine.refine.state import RefinementState
from aurefine.report.beside import Drawing, save_drawings
from aurefine.report.plots import draw_fsc, draw_map_slices, draw_orientations, draw_progress

__all__ = ["write_figures"]


def write_figures(
    state: RefinementState,
    history: History,
    options: RefineOptions,
    root: str,
    log: RunLog,
    n_processes: int,
) -> None:
    """Draw FSC, progress, orientations and map of a run, with up to two processes.

    The results themselves are complete by then, so that figures which can not be written are
    worth a warning only.
    """
    if not len(history):
        return
    table, fsc = history.frame(), history.fsc()
    numbers = table["iteration"].tolist()
    is_final, poses = state.is_joined, state.poses
    drawings = [
        Drawing(
            f"{root}_fsc",
            draw_fsc,
            (fsc[:-1] if is_final else fsc, state.pixel_size),
            {
                "iterations": numbers[:-1] if is_final else numbers,
                "final": fsc[-1] if is_final else None,
                "joined": max(options.low_resol_join_halves, 0.0),
            },
        ),
        Drawing(f"{root}_progress", draw_progress, (table,)),
        Drawing(
            f"{root}_orientations",
            draw_orientations,
            (poses.rot, poses.tilt),
            {"symmetry": point_group(options.symmetry).matrices},
        ),
        Drawing(f"{root}_map", draw_map_slices, (state.models[0].map, state.pixel_size)),
    ]
    try:
        paths = save_drawings(drawings, n_processes)
    except OutputError as error:
        log.warn(f"the plots are missing: {error}")
        return
    log.write(f" Plots: {', '.join(str(path) for path in paths if path.suffix == '.png')}")
