"""Memory and disk that a refinement will need, compared with what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aurefine.errors import OptionError
from aurefine.geometry.sampling import angular_step, coarse_offsets, psi_angles
from aurefine.geometry.symmetry import point_group
from aurefine.jobs.machine import FreeMemory, free_disk, free_memory
from aurefine.jobs.refine_input import Inputs
from aurefine.jobs.refine_options import RunSettings
from aurefine.refine.initialise import resolve_diameter
from aurefine.refine.memory import MemoryNeed, RunSize, disk_need, memory_need, smaller
from aurefine.refine.options import RefineOptions
from aurefine.refine.plan import coarse_image_size

__all__ = ["Forecast", "forecast", "forecast_lines", "refuse_if_too_large", "run_size"]

_GIB = 1 << 30
_KEPT = ("--memory_budget", "--pad")  # by a continued run


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the largest iteration needs, and what there is; bytes."""

    size: RunSize
    need: MemoryNeed  # of one process
    n_processes: int  # that share the memory of this machine
    memory: FreeMemory
    disk: int  # of the last iteration
    disk_of_others: int  # of each iteration before
    free_disk: int
    folder: str

    @property
    def total(self) -> int:
        """Memory of all processes on this machine."""
        return self.need.peak * self.n_processes


def run_size(inputs: Inputs, options: RefineOptions, settings: RunSettings) -> RunSize:
    """Return what the need of memory follows from.

    Parameters
    ----------
    inputs : Inputs
    options : RefineOptions
    settings : RunSettings
    """
    offsets = coarse_offsets(options.offset_range_px, options.offset_step_px)
    boxes = np.array([group.box_size for group in inputs.particles.optics_groups])
    per_image = 4 * boxes[inputs.particles.optics] ** 2
    return RunSize(
        box=inputs.box_size,
        padding=options.padding,
        memory_budget=options.memory_budget,
        n_threads=options.n_threads,
        n_particles=inputs.particles.n_particles,
        n_fine_offsets=len(offsets) * 4**options.oversampling,
        has_symmetry=len(point_group(options.symmetry).matrices) > 1,
        uses_mask=bool(settings.solvent_mask),
        corrects_fsc=options.solvent_correct_fsc and bool(settings.solvent_mask),
        compensates_density=options.iterative_gridding,
        preread_bytes=int(per_image.sum()) if settings.preread_images else 0,
        stores_partial=settings.partial_minutes > 0,
        n_orientations=_n_orientations(options),
        search_shell=_search_shell(inputs, options),
    )


def _finest_order(options: RefineOptions) -> int:
    """HEALPix order of the finest search of all orientations; negative if there is none."""
    if options.sigma_angle > 0 or options.skip_align or options.skip_rotate:
        return -1
    return max(options.healpix_order, options.auto_local_healpix_order - 1)


def _n_orientations(options: RefineOptions) -> int:
    """Number of orientations of that search."""
    order = _finest_order(options)
    if order < 0:
        return 0
    n_directions: int = -(-12 * 4**order // len(point_group(options.symmetry).matrices))
    return n_directions * len(psi_angles(angular_step(order)))


def _search_shell(inputs: Inputs, options: RefineOptions) -> int:
    """Largest shell of its first pass."""
    order = _finest_order(options)
    if order < 0:
        return 0
    box, pixel_size = inputs.box_size, inputs.pixel_size
    diameter = resolve_diameter(options, box, pixel_size)
    group = inputs.particles.optics_groups[0]
    step = angular_step(order)
    return coarse_image_size(group, box, pixel_size, box, step, diameter, options) // 2


def forecast(size: RunSize, output_root: str, n_processes: int = 1) -> Forecast:
    """Compare what a run needs with what there is.

    Parameters
    ----------
    size : RunSize
    output_root : str
    n_processes : int
        That run on this machine.
    """
    folder = Path(output_root).parent
    return Forecast(
        size=size,
        need=memory_need(size, size.box // 2, is_last=True),
        n_processes=n_processes,
        memory=free_memory(),
        disk=disk_need(size, size.box // 2, is_last=True),
        disk_of_others=disk_need(
            replace(size, halves_here=1, stores_partial=False), size.box // 2, is_last=False
        ),
        free_disk=free_disk(folder),
        folder=str(folder),
    )


def forecast_lines(found: Forecast) -> list[str]:
    """Return the lines for the log."""
    stages = sorted(found.need.stages.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{name} {_gib(n_bytes)}" for name, n_bytes in stages)
    several = f" in each of {found.n_processes} processes here" if found.n_processes > 1 else ""
    return [
        f" Memory: at most {_gib(found.need.peak)} GiB{several}, in {found.need.moment} "
        f"(GiB by stage: {parts})",
        f" Memory: {_gib(found.memory.n_bytes)} GiB can be used ({found.memory.reason})",
        f" Disk: {_gib(found.disk)} GiB for the last iteration, {_gib(found.disk_of_others)} GiB "
        f"for each one before; {_gib(found.free_disk)} GiB are free in {found.folder}",
    ]


def refuse_if_too_large(
    found: Forecast, warn: Callable[[str], None], *, ignore: bool, is_continued: bool = False
) -> None:
    """Raise OptionError, or only warn, if memory or disk space will not do.

    Parameters
    ----------
    found : Forecast
    warn : callable
        Receives the message if `ignore` is set.
    ignore : bool
        Whether the user wants to start all the same.
    is_continued : bool
        Whether the run goes on with options that are stored.
    """
    problems = []
    if found.total > found.memory.n_bytes:
        problems.append(
            f"memory: {found.need.moment} needs {_gib(found.total)} GiB on this machine, but only "
            f"{_gib(found.memory.n_bytes)} GiB can be used ({found.memory.reason}). "
            f"{_advice(found, is_continued=is_continued)}"
        )
    if found.disk > found.free_disk:
        problems.append(
            f"disk: the last iteration needs {_gib(found.disk)} GiB, but only "
            f"{_gib(found.free_disk)} GiB are free in {found.folder}. Free some space, or write "
            "to another disk with --o"
        )
    for problem in problems:
        if not ignore:
            raise OptionError(f"{problem}. To start all the same, add --ignore_memory_check.")
        warn(problem)


def _advice(found: Forecast, *, is_continued: bool) -> str:
    """Name the change that would make it fit: one that is enough, else the best together."""
    limit = found.memory.n_bytes / found.n_processes
    fits = int(limit // 1)
    together = found.size
    names: list[str] = []
    possible = [
        (name, size)
        for name, size in smaller(found.size)
        if not (is_continued and name.startswith(_KEPT))
    ]
    for name, size in possible:
        if memory_need(size, size.box // 2, is_last=True).peak <= fits:
            return f"It fits with {name}"
    for name, _ in possible:
        changed = dict(smaller(together)).get(name)
        if changed is None:
            continue
        together, names = changed, [*names, name]
        peak = memory_need(together, together.box // 2, is_last=True).peak
        if peak <= fits:
            return f"It fits with {' and '.join(names)}"
    n_fitting = int(found.memory.n_bytes // found.need.peak)
    if found.n_processes > 1 and n_fitting >= 1:
        return f"It fits with {n_fitting} processes per machine instead of {found.n_processes}"
    least = memory_need(together, together.box // 2, is_last=True).peak
    return (
        f"Even with {' and '.join(names) or 'all savings'} it needs {_gib(least)} GiB for each "
        "process: use a machine with more memory, or rescale the particles to a smaller box"
    )


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / _GIB:.2f}"
