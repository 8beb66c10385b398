"""From a sparse posterior to sums: back-projection and statistics (spec 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.kernels.accumulate import children_with_weight, combine_images
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import balanced_ranges, n_pieces
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.insertion import Insertion, slices_in_window
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.projector import Projector
from aurefine.refine.search import FEW_PAIRS, FEW_SAMPLES, Posterior, gathered

__all__ = ["Statistics", "accumulate", "backprojection_weights"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_TASKS = 32  # pieces of a window


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sums over the significant samples, M being the reference as the image shows it."""

    residual_by_pixel: Float  # (n_noise_groups, n_pixels), of w (|M|^2 - 2 Re(conj(X) M))
    sums: Float  # (n_particles, 4): the same over all pixels; strong cross, strong power; w


def backprojection_weights(
    batch: PreparedBatch,
    noise_group: IntArray,
    plan: IterationPlan,
    geometry: ImageGeometry,
) -> tuple[Float32, Float32]:
    """Factors of the unmasked image and of the weight in the back-projection.

    Returns
    -------
    numerator, denominator : ndarray, shape (n_particles, n_pixels), float32

    Notes
    -----
    Premultiplied images show ``scale CTF^2 V`` with noise in proportion to CTF^2, of which
    `PreparedBatch.matched` takes account.
    RELION 3.1 leaves the scale out of their numerator, but not out of the denominator.
    """
    if plan.options.no_map:
        inverse = np.broadcast_to(geometry.valid, batch.transfer.shape)
    else:
        inverse = batch.inverse_sigma2[noise_group] * geometry.valid
    numerator = batch.matched * inverse
    return numerator, batch.transfer * numerator


def accumulate(
    batch: PreparedBatch,
    particle_range: tuple[int, int],
    posterior: Posterior,
    model_transfer: Float32,
    numerator: Float32,
    denominator: Float32,
    noise_group: IntArray,
    is_strong: Float32,
    plan: IterationPlan,
    geometry: ImageGeometry,
    projector: Projector,
    insertion: Insertion,
    pool: WorkerPool,
) -> Statistics:
    """Combine the images of a batch per orientation, and collect statistics.

    Orientations are worked on in windows, whose slices are filled and then handed to `insertion`.
    """
    a, b = particle_range
    n = b - a
    n_pixels = geometry.pixels.n_pixels
    n_groups = len(batch.inverse_sigma2)
    n_child = plan.n_child_offsets
    weights = posterior.weights
    sorted_offset = gathered(posterior.pairs.offset, posterior.sorted_pair, pool, factor=n_child)
    active = np.empty((len(posterior.orientations), plan.n_children), bool)
    pool.map(
        lambda part: children_with_weight(
            posterior.group_first[part[0] : part[1] + 1],
            posterior.sorted_pair,
            weights,
            active[part[0] : part[1]],
        ),
        balanced_ranges(posterior.group_first, n_pieces(len(sorted_offset), FEW_PAIRS, _TASKS)),
    )
    masked = np.ascontiguousarray(batch.masked[a:b])
    unmasked = np.ascontiguousarray(batch.unmasked[a:b])
    transfer = np.ascontiguousarray(model_transfer[a:b])
    numerator = np.ascontiguousarray(numerator[a:b])
    denominator = np.ascontiguousarray(denominator[a:b])
    cosines, sines = geometry.fine_ramps
    own_group = np.ascontiguousarray(noise_group[a:b])
    own_strong = is_strong[a:b] if len(is_strong) > 1 else is_strong

    def nothing() -> Statistics:
        return Statistics(np.zeros((n_groups, n_pixels)), np.zeros((n, 4)))

    statistics = nothing()
    n_slices = active.sum(axis=1)
    windows = _windows(n_slices, slices_in_window(n_pixels))
    for lo, hi in windows:
        part = active[lo:hi]
        first_slice = np.concatenate([[0], np.cumsum(n_slices[lo:hi])])
        rotations = np.empty((first_slice[-1], 3, 3), np.float32)
        combined = insertion.buffer(len(rotations), n_pixels)
        firsts = posterior.group_first[lo : hi + 1]

        def combine(
            task: tuple[int, int],
            lo: int = lo,
            part: npt.NDArray[np.bool_] = part,
            first_slice: IntArray = first_slice,
            rotations: Float32 = rotations,
            combined: Float32 = combined,
            firsts: IntArray = firsts,
        ) -> Statistics:
            g, h = task
            found = nothing()
            of_task = posterior.rotations[lo + g : lo + h]
            rotations[first_slice[g] : first_slice[h]] = of_task[part[g:h]]
            place = first_slice[g] - 1 + np.cumsum(part[g:h]).reshape(h - g, -1)
            slot = np.where(part[g:h], place, -1)
            combine_images(
                projector.volume,
                of_task,
                geometry.slice_x,
                geometry.slice_y,
                firsts[g : h + 1],
                posterior.sorted_particle,
                sorted_offset,
                posterior.sorted_pair,
                weights,
                masked,
                unmasked,
                transfer,
                numerator,
                denominator,
                cosines,
                sines,
                own_group,
                own_strong,
                slot,
                combined,
                found.residual_by_pixel,
                found.sums,
            )
            return found

        relative = firsts - firsts[0]
        n_tasks = n_pieces(len(rotations) * n_pixels, FEW_SAMPLES, _TASKS)
        for found in pool.map(combine, balanced_ranges(relative, n_tasks)):
            np.add(
                statistics.residual_by_pixel,
                found.residual_by_pixel,
                out=statistics.residual_by_pixel,
            )
            np.add(statistics.sums, found.sums, out=statistics.sums)
        insertion.begin(combined, rotations, geometry)
    return statistics


def _windows(n_slices: IntArray, limit: int) -> list[tuple[int, int]]:
    """Runs of orientations with at most `limit` slices each (one orientation at least)."""
    windows = []
    start = 0
    filled = 0
    for i, n in enumerate(n_slices.tolist()):
        if filled and filled + n > limit:
            windows.append((start, i))
            start, filled = i, 0
        filled += n
    if filled:
        windows.append((start, len(n_slices)))
    return windows
