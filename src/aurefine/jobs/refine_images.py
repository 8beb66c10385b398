"""Where a refinement reads its images from: their stacks, copies on scratch, or memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aurefine.io import ParticleImages
from aurefine.jobs.refine_options import RunSettings
from aurefine.jobs.scratch import ScratchSettings, images_on_scratch
from aurefine.refine.particles import ParticleSet

__all__ = ["particles_at_hand"]


@contextlib.contextmanager
def particles_at_hand(
    particles: ParticleSet,
    settings: RunSettings,
    write: Callable[[str], None],
    rows: npt.NDArray[np.int64] | None = None,
) -> Iterator[ParticleSet]:
    """Copy images to scratch or read them into memory, as the options ask.

    Parameters
    ----------
    particles : ParticleSet
    settings : RunSettings
    write : callable
        Receives lines for the log.
    rows : ndarray, shape (m,), optional
        Rows that this process works on; all by default.

    Yields
    ------
    ParticleSet
    """
    images = particles.images
    assert isinstance(images, ParticleImages)
    if settings.preread_images:
        if settings.scratch_dir:
            write(" Note: option --scratch_dir is not followed with --preread_images")
        chosen = np.arange(particles.n_particles) if rows is None else rows
        n_bytes = 4 * int((images.box_sizes[chosen] ** 2).sum())
        write(f" Read {len(chosen)} particle images into memory ({n_bytes / 2**30:.2f} GiB)")
        yield replace(particles, images=images.in_memory(chosen))
        return
    scratch = ScratchSettings(
        settings.scratch_dir, settings.keep_free_scratch, settings.keep_scratch
    )
    with images_on_scratch(images, scratch, write) as copied:
        yield replace(particles, images=copied)
