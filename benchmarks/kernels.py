"""Rates of the hot loops beside the limits of the machine.

    python benchmarks/kernels.py --o kernels.md

Orientations are those of a real run: the eight children of neighbouring coarse orientations (as in
exhaustive searches, where all are visited in order), or of coarse orientations spread over the
sphere (peaked posteriors).  Rates are for one thread, from its processor time, the best of several
repeats; the last columns of the table of reconstructions are wall times.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from aurefine.geometry import sampling
from aurefine.geometry.directions import asymmetric_unit
from aurefine.geometry.symmetry import point_group
from aurefine.kernels.accumulate import combine_images
from aurefine.kernels.byte_products import (
    best_from_bytes,
    bytes_pay,
    pack_rows,
    pack_slices,
    room_for_rows,
)
from aurefine.kernels.fixed_point import insert_slices
from aurefine.kernels.scoring import fine_scores, finish_coarse_scores
from aurefine.kernels.slices import extract_slices
from aurefine.kernels.two_step import best_over_offsets
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.exact_volume import VolumeScales
from aurefine.refine.maximisation import reconstruct, symmetrise
from aurefine.refine.options import RefineOptions
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.sums import complete_sums, empty_sums
from measuring import publish, surroundings, table

Float32 = npt.NDArray[np.float32]

ORDER = 3  # of the coarse grid
N_COARSE = 12  # coarse orientations, each with 8 children
PADDING = 2
SCALES = VolumeScales(*(np.full(n, 2.0**16, np.float32) for n in (0, 1, 1)))


def best(work: Callable[[], object], repeats: int) -> float:
    """Smallest processor time of this thread [s]; the first call does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return min(seconds)


@njit(cache=True)
def _gather(values: Float32, index: npt.NDArray[np.int64]) -> float:
    total = np.float32(0)
    for i in index:
        total += values[i]
    return total


def gemm_rate(repeats: int) -> float:
    """Flops of a float32 product in the shape of the first pass [1/s], one BLAS thread."""
    rng = np.random.default_rng(0)
    a = rng.random((1344, 904), np.float32)
    b = rng.random((4608, 904), np.float32)
    return 2 * 1344 * 904 * 4608 / best(lambda: a @ b.T, repeats)


def copy_rate(repeats: int) -> float:
    """Bytes read and written by a copy of 256 MiB [1/s]."""
    source = np.ones(1 << 26, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source), repeats)


def gather_time(n_bytes: int, repeats: int) -> float:
    """Time to read one number from a random place of an array [s]."""
    values = np.ones(n_bytes // 4, np.float32)
    index = np.random.default_rng(0).integers(0, len(values), 1 << 20)
    return best(lambda: _gather(values, index), repeats) / len(index)


@dataclass(frozen=True)
class Case:
    """A padded volume of a box, slice coordinates, and orientations."""

    box: int
    radius: int
    edge: int
    x: Float32
    y: Float32
    neighbours: Float32  # (N_COARSE, 8, 3, 3), of one direction after the other
    scattered: Float32

    @property
    def n_samples(self) -> int:
        """Samples of all slices of one set."""
        return 8 * N_COARSE * len(self.x)


def make_case(box: int) -> Case:
    pixels = fourier_pixels(box, box)
    radius = PADDING * box // 2
    grid = asymmetric_unit(ORDER, point_group("C1"))
    n_psi = round(360 / sampling.angular_step(ORDER))
    psi = np.arange(n_psi) * 360 / n_psi

    def children(orientation: npt.NDArray[np.int64]) -> Float32:
        row, k = np.divmod(orientation, n_psi)
        found = sampling.oversampled_rotations(
            grid.pixel[row], psi[k], ORDER, 360 / n_psi, 1, np.eye(3)
        )
        return np.ascontiguousarray(found, np.float32)

    n = len(grid.rot) * n_psi
    return Case(
        box=box,
        radius=radius,
        edge=2 * (radius + 1) + 1,
        x=(PADDING * pixels.x).astype(np.float32),
        y=(PADDING * pixels.y).astype(np.float32),
        neighbours=children(n // 3 + np.arange(N_COARSE)),
        scattered=children(np.arange(N_COARSE) * (n // N_COARSE)),
    )


def extraction(case: Case, repeats: int) -> dict[str, float]:
    """Seconds per sample of extraction."""
    rng = np.random.default_rng(0)
    shape = case.edge * case.edge * (case.radius + 2) * 2
    volume = rng.standard_normal(shape, dtype=np.float32), case.edge
    out = np.empty((8 * N_COARSE, 2 * len(case.x)), np.float32)

    def together() -> None:
        extract_slices(volume, case.neighbours.reshape(-1, 3, 3), case.x, case.y, out)

    def by_parent() -> None:
        for rotations in case.scattered:
            extract_slices(volume, rotations, case.x, case.y, out[:8])

    return {
        "slices, neighbours together": best(together, repeats) / case.n_samples,
        "slices, scattered, by 8": best(by_parent, repeats) / case.n_samples,
    }


def insertion(case: Case, repeats: int) -> dict[str, float]:
    """Seconds per sample of insertion."""
    words = np.zeros(case.edge * case.edge * (case.radius + 2) * 3, np.int32)
    rng = np.random.default_rng(0)
    slices = rng.standard_normal((8 * N_COARSE, 3, len(case.x)), dtype=np.float32)
    found = {}
    for name, rotations in (("neighbours", case.neighbours), ("scattered", case.scattered)):

        def insert(rotations: Float32 = rotations) -> None:
            insert_slices(
                (words, case.edge), SCALES.arrays, rotations.reshape(-1, 3, 3), case.x, case.y,
                slices, 0, len(case.x),
            )  # fmt: skip

        found[f"insertion, {name}"] = best(insert, repeats) / case.n_samples
    return found


def coarse_scoring(repeats: int) -> float:
    """Flops of the first pass, scores finished, 32 images x 29 offsets x 4608 orientations."""
    rng = np.random.default_rng(0)
    n, n_offsets, n_orientations, n_pixels = 32, 29, 4608, 452
    rows = rng.standard_normal((n * n_offsets, 2 * n_pixels), dtype=np.float32)
    slices = rng.standard_normal((n_orientations, 2 * n_pixels), dtype=np.float32)
    powers, weights = slices[:, :n_pixels] ** 2, rng.random((n, n_pixels), np.float32)
    prior, offset_prior = np.zeros(n_orientations, np.float32), np.zeros((n, n_offsets), np.float32)
    scores = np.empty((n * n_offsets, n_orientations), np.float32)
    norms = np.empty((n, n_orientations), np.float32)

    def score() -> None:
        for start in range(0, n_orientations, 1024):
            tile = slice(start, start + 1024)
            scores[:, tile] = rows @ slices[tile].T
            norms[:, tile] = weights @ powers[tile].T
        cube = scores.reshape(n, n_offsets, n_orientations)
        finish_coarse_scores(cube, norms, prior, offset_prior, False)

    return 2 * n * n_offsets * n_orientations * 2 * n_pixels / best(score, repeats)


def first_look(repeats: int) -> float:
    """Flops that the first look at all orientations stands for, 72 images x 21 offsets.

    Products of bytes where the processor has them; slices are packed each time, images once.
    """
    rng = np.random.default_rng(0)
    n, n_offsets, n_orientations, n_pixels = 72, 21, 256, 177
    rows = rng.standard_normal((n, n_offsets, 2 * n_pixels), dtype=np.float32)
    slices = rng.standard_normal((n_orientations, 2 * n_pixels), dtype=np.float32)
    powers = np.ascontiguousarray(slices[:, :n_pixels] ** 2)
    weights = rng.random((n, n_pixels), np.float32)
    prior, offset_prior = np.zeros(n_orientations, np.float32), np.zeros((n, n_offsets), np.float32)
    out = np.empty((n, n_orientations), np.float32)
    if bytes_pay(2 * n_pixels):
        factor = np.ones(2 * n_pixels, np.float32)
        flat = rows.reshape(-1, 2 * n_pixels)
        packed, scale, middle, power = room_for_rows(*flat.shape)
        pack_rows(flat, factor, packed, scale, middle, power)

        def score() -> None:
            in_bytes, own_scale, _ = pack_slices(slices, factor)
            best_from_bytes(
                packed, scale, middle, weights, in_bytes, own_scale, powers, prior, offset_prior,
                out,
            )  # fmt: skip
    else:

        def score() -> None:
            best_over_offsets(rows, weights, slices, powers, prior, offset_prior, 24, out)

    return 2 * n * n_offsets * n_orientations * 2 * n_pixels / best(score, 20 * repeats)


def fine_scoring(case: Case, per_orientation: int, repeats: int) -> tuple[float, float]:
    """Flops of the second pass per second, and seconds per sample of `combine_images`.

    Every orientation is compared with 4 offsets of `per_orientation` of 64 images, and every
    second sample has weight.
    """
    rng = np.random.default_rng(0)
    n_particles, n_pixels = 64, len(case.x)
    rotations = case.neighbours if per_orientation > 1 else case.scattered
    shape = case.edge * case.edge * (case.radius + 2) * 2
    volume = rng.standard_normal(shape, dtype=np.float32), case.edge
    first = per_orientation * np.arange(N_COARSE + 1)
    particle = np.concatenate(
        [np.sort(rng.permutation(n_particles)[:per_orientation]) for _ in range(N_COARSE)]
    )
    n_pairs = len(particle)
    rows = rng.standard_normal((4 * n_particles, 2 * n_pixels), dtype=np.float32)
    weights = rng.random((n_particles, n_pixels), np.float32)
    cross = np.empty((n_pairs, 4, 8), np.float32)
    norms = np.empty((n_pairs, 8), np.float32)
    pair = np.arange(n_pairs)

    def score() -> None:
        fine_scores(
            volume, rotations, case.x, case.y, first, particle, 4 * particle, pair, rows,
            weights, 4, cross, norms,
        )  # fmt: skip

    flops = n_pairs * 4 * 8 * 4 * n_pixels / best(score, repeats)
    some = (rng.random((n_pairs, 4, 8)) < 0.5).astype(np.float32)
    some[:, 0] = 1
    images = rng.standard_normal((n_particles, 2, n_pixels), dtype=np.float32)
    ramps = np.ones((4, n_pixels), np.float32)
    slot = np.arange(8 * N_COARSE).reshape(N_COARSE, 8)
    combined = np.empty((8 * N_COARSE, 3, n_pixels), np.float32)
    by_pixel, sums = np.zeros((1, n_pixels)), np.zeros((n_particles, 4))
    nothing = np.zeros(n_particles, np.int64)

    def combine() -> None:
        combine_images(
            volume, rotations, case.x, case.y, first, particle, np.zeros(n_pairs, np.int64), pair,
            some, images, images, weights, weights, weights, ramps, ramps, nothing,
            np.ones((1, n_pixels), np.float32), slot, combined, by_pixel, sums,
        )  # fmt: skip

    return flops, best(combine, repeats) / (n_pairs * 8 * n_pixels)


def reconstruction(box: int, threads: int) -> tuple[float, float]:
    """Wall seconds of symmetrising (D2) and of one reconstruction."""
    sums = empty_sums(
        radius=PADDING * box // 2, scales=SCALES, padding=float(PADDING), box=box,
        n_noise_groups=1, n_groups=1, n_directions=1,
    )  # fmt: skip
    with WorkerPool(threads) as pool:
        complete_sums(sums, pool)
        sums.volume[:] = 1
        prior = np.ones(box // 2 + 1)
        start = time.perf_counter()
        symmetrise(sums, point_group("D2"), pool)
        between = time.perf_counter()
        reconstruct(sums, box, box // 2, prior, RefineOptions(), pool)
        return between - start, time.perf_counter() - between


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--boxes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of reconstructions")
    parser.add_argument("--o", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    where = surroundings(sys.argv)
    repeats = arguments.repeats
    with WorkerPool(1):  # one BLAS thread
        peak = gemm_rate(repeats)
        coarse = coarse_scoring(repeats)
        look = first_look(repeats)
        rates: dict[str, list[str]] = {}
        for box in arguments.boxes:
            case = make_case(box)
            volume_bytes = case.edge * case.edge * (case.radius + 2) * 8
            gather = gather_time(volume_bytes, repeats)
            found = {f"limit: random read in {PADDING}x padded volume [ns]": 1e9 * gather}
            found |= {f"{k} [ns per sample]": 1e9 * v for k, v in extraction(case, repeats).items()}
            found |= {f"{k} [ns per sample]": 1e9 * v for k, v in insertion(case, repeats).items()}
            for name, n in (("broad posteriors", 48), ("peaked posteriors", 1)):
                flops, seconds = fine_scoring(case, n, repeats)
                found[f"fine scoring, {name} [% of the GEMM peak]"] = 100 * flops / peak
                found[f"combining, {name} [ns per sample and image]"] = 1e9 * seconds
            for name, value in found.items():
                rates.setdefault(name, []).append(f"{value:.1f}")
    reconstruction(min(arguments.boxes), arguments.threads)  # compiles
    times = [
        [f"{value:.2f}" for value in reconstruction(box, arguments.threads)]
        for box in arguments.boxes
    ]
    boxes = [f"box {box}" for box in arguments.boxes]
    text = "\n".join(
        [
            f"GEMM peak of one thread: {peak / 1e9:.0f} GFlop/s; "
            f"coarse scoring: {coarse / 1e9:.0f} GFlop/s, {100 * coarse / peak:.0f} % of it; "
            f"first look: as many products as {look / 1e9:.0f} GFlop/s, {100 * look / peak:.0f} %.",
            f"Copy bandwidth of one thread: {copy_rate(repeats) / 1e9:.1f} GB/s.",
            "",
            *table(["one thread", *boxes], [[k, *v] for k, v in rates.items()]),
            "",
            *table(
                [f"{arguments.threads} threads, wall time [s]", *boxes],
                [
                    ["symmetrising, D2", *(t[0] for t in times)],
                    ["reconstruction, pad 2", *(t[1] for t in times)],
                ],
            ),
            "",
            *where,
        ]
    )
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
