"""From a sparse posterior to sums: back-projection and statistics (spec 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aurefine.kernels.accumulate import children_with_weight, combine_images
from aurefine.kernels.fixed_point import APART, insert_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.parallel.ranges import even_parts
from aurefine.refine.batch import PreparedBatch
from aurefine.refine.exact_volume import ExactVolume, add_carries, volumes_for
from aurefine.refine.plan import ImageGeometry, IterationPlan
from aurefine.refine.profile import Stopwatch
from aurefine.refine.projector import Projector
from aurefine.refine.search import Posterior, balanced_ranges

__all__ = ["Statistics", "accumulate", "backprojection_weights"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_WINDOW_BYTES = 64 << 20  # combined slices held before they are inserted
_TASKS = 32  # pieces of a window
_RANGES = 4  # of pixels for each thread


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
    volume: ExactVolume,
    pool: WorkerPool,
    stopwatch: Stopwatch,
) -> Statistics:
    """Combine the images of a batch per orientation, insert them and collect statistics.

    Orientations are worked on in windows: threads first fill the slices of a window, then
    insert them, each into its own copy of the volume or, where it has no copy, its own shells.
    """
    a, b = particle_range
    n = b - a
    n_pixels = geometry.pixels.n_pixels
    n_groups = len(batch.inverse_sigma2)
    n_child = plan.n_child_offsets
    weights = posterior.weights
    first_offset = posterior.pairs.offset * n_child
    sorted_offset = first_offset[posterior.sorted_pair]
    active = np.empty((len(posterior.orientations), plan.n_children), bool)
    pool.map(
        lambda part: children_with_weight(
            posterior.group_first[part[0] : part[1] + 1],
            posterior.sorted_pair,
            weights,
            active[part[0] : part[1]],
        ),
        balanced_ranges(posterior.group_first, _TASKS),
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
    edge = len(volume.words)
    n_slices = active.sum(axis=1)
    volumes = volumes_for(volume, pool.n_threads)
    phases = insertion_phases(
        np.hypot(geometry.slice_x, geometry.slice_y), -(-pool.n_threads // len(volumes))
    )
    windows = _windows(n_slices, max(8, _WINDOW_BYTES // (12 * n_pixels)))
    most = max((n_slices[lo:hi].sum() for lo, hi in windows), default=0)
    buffer = np.empty((most, 3, n_pixels), np.float32)  # of all windows, one after the other
    for lo, hi in windows:
        part = active[lo:hi]
        slot = np.where(part, np.cumsum(part).reshape(part.shape) - 1, -1)
        rotations = posterior.rotations[lo:hi][part]
        combined = buffer[: len(rotations)]
        firsts = posterior.group_first[lo : hi + 1]

        def combine(
            task: tuple[int, int],
            lo: int = lo,
            slot: IntArray = slot,
            combined: Float32 = combined,
            firsts: IntArray = firsts,
        ) -> Statistics:
            g, h = task
            found = nothing()
            combine_images(
                projector.volume,
                posterior.rotations[lo + g : lo + h],
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
                slot[g:h],
                combined,
                found.residual_by_pixel,
                found.sums,
            )
            return found

        relative = firsts - firsts[0]
        for found in pool.map(combine, balanced_ranges(relative, _TASKS)):
            np.add(
                statistics.residual_by_pixel,
                found.residual_by_pixel,
                out=statistics.residual_by_pixel,
            )
            np.add(statistics.sums, found.sums, out=statistics.sums)

        def insert(
            task: tuple[int, slice, tuple[int, int]],
            rotations: Float32 = rotations,
            combined: Float32 = combined,
        ) -> tuple[IntArray, IntArray]:
            number, own, pixels = task
            carries: tuple[IntArray, IntArray] = insert_slices(
                (volumes[number].words.reshape(-1), edge),
                volume.scales.arrays,
                rotations[own],
                geometry.slice_x,
                geometry.slice_y,
                combined[own],
                *pixels,
            )
            return carries

        parts = list(enumerate(even_parts(len(rotations), len(volumes))))
        with stopwatch("insertion"):
            for ranges in phases:
                tasks = [(number, own, pixels) for number, own in parts for pixels in ranges]
                for (number, _, _), carries in zip(tasks, pool.map(insert, tasks), strict=True):
                    add_carries(volumes[number], *carries)
    return statistics


def insertion_phases(radius: Float32, n_threads: int) -> list[list[tuple[int, int]]]:
    """Cut pixels into ranges that threads can insert at the same time, phase by phase.

    Neighbouring ranges belong to different phases, so that those of one phase are kept apart by
    those of the other; all have about equal numbers of pixels.

    Parameters
    ----------
    radius : ndarray, shape (n_pixels,)
        Ascending, in voxels.
    n_threads : int
    """
    n = len(radius)
    if n_threads == 1:
        return [[(0, n)]]
    bounds = [0]
    while bounds[-1] < n:
        begin = bounds[-1]
        even = n * len(bounds) // (_RANGES * n_threads)
        wide = int(np.searchsorted(radius, radius[begin] + APART, side="right")) + 1
        bounds.append(min(max(even, wide), n))
    ranges = list(pairwise(bounds))
    return [ranges[::-2], ranges[-2::-2]]  # those that take longest first


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
