"""`--dry-run`: check the input and tell what a refinement will need, without starting it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aurefine.jobs.refine_estimate import (
    forecast,
    forecast_lines,
    refuse_if_too_large,
    run_size,
)
from aurefine.jobs.refine_input import check_diameter, image_root, inputs_from_table, load_inputs
from aurefine.jobs.refine_newest import find_start
from aurefine.jobs.refine_options import (
    continued_options,
    continued_settings,
    to_refine_options,
    to_run_settings,
)

__all__ = ["dry_run"]


def dry_run(values: Mapping[str, Any]) -> int:
    """Print the forecast of a run; nothing is written.

    Parameters
    ----------
    values : mapping of str to value
        Option values by name.

    Returns
    -------
    exit_code : int
        0 if it can be run.

    Raises
    ------
    AurefineError
        As the run itself would, also if memory or disk space will not do.
    """
    found = find_start(values)
    stored = found.checkpoint
    if found.is_finished:
        sys.stdout.write(f" {found.notes[0]}: there is nothing to do\n")
        return 0
    if stored is not None:
        options = continued_options(stored.options, found.values, is_ours=stored.is_ours)
        settings = continued_settings(stored.settings, found.values)
        root = image_root(stored.table, settings.particles, _warn)
        inputs = inputs_from_table(stored.table, root, options, stored.state.random_seed, _warn)
    else:
        options, settings = to_refine_options(found.values), to_run_settings(found.values)
        inputs = load_inputs(settings.particles, options, 1, _warn)
        check_diameter(options, inputs.box_size, inputs.pixel_size)
    particles = inputs.particles
    lines = [*(f" Note: {note}" for note in found.notes)]
    lines.append(
        f" {particles.n_particles} particles of {inputs.box_size} px, {inputs.pixel_size:g} Å/px"
    )
    expected = forecast(run_size(inputs, options, settings), settings.output_root)
    lines += forecast_lines(expected)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    refuse_if_too_large(
        expected, _warn, ignore=settings.ignore_memory_check, is_continued=stored is not None
    )
    sys.stdout.write(" Dry run: nothing was started or written\n")
    return 0


def _warn(message: str) -> None:
    sys.stderr.write(f"WARNING: {message}\n")
