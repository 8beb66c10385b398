"""Checks of a reference against a subset of the particles: size, contrast, greyscale, axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from aurefine.fourier import rfft_map, sum_by_shell
from aurefine.geometry.symmetry import PointGroup
from aurefine.imaging import background_weight, soft_sphere
from aurefine.jobs.check_findings import Finding
from aurefine.jobs.refine_reference import symmetry_correlation
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.matching import ReferenceSearch, SizeMatch, prepare_search
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.reference_size import (
    SIZES,
    SizeEstimate,
    contrast_evidence,
    estimate_size,
    greyscale_slope,
)
from aurefine.refine.state import HalfModel, Poses

__all__ = ["ReferenceReport", "check_axes", "check_reference", "resolution_of_reference"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_FEWEST = 30  # particles that tell something
_PERIODS = 8  # across the particle, at the resolution of the comparison
_FILTERED = 5e-3  # of the largest amplitude; where a reference falls below, it is filtered
_TOLERANCE = 0.04  # of the size, for what the bias taken off leaves, plus
_DEVIATIONS = 2.0  # standard deviations
_PRECISE = 0.01  # standard deviation, and half the difference from 1, that need no more particles
_CLEARLY = 1.5  # times the tolerance; more particles would change nothing then
_MORE = 4  # times as many particles are compared if the first ones leave the size open
_WIDE = np.linspace(0.5, 2.0, 31)  # sizes tried if none of the usual ones fits
_INVERTED = -5.0  # evidence below which the contrast is inverted
_NOTHING = 3.0  # evidence below which nothing matches
_ABSOLUTE = (2 / 3, 3 / 2)  # slopes of a reference on the greyscale of the particles
_SYMMETRIC = 0.7  # correlation with symmetry mates below which the axes are wrong


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """What the comparison of particles of one image geometry with the reference gave."""

    n_particles: int
    resolution: float  # Å
    evidence: float  # of the contrast, see `contrast_evidence`
    slope: float = 0.0  # of the greyscale; 0 if unknown
    size: float = 0.0  # of the particle in the images; 0 if unknown
    size_error: float = 0.0
    size_tolerance: float = np.inf  # differences of the size that would not be noticed
    leaves_size_open: bool = False  # whether more particles might tell more of it
    findings: tuple[Finding, ...] = ()

    @property
    def is_absolute(self) -> bool:
        """Whether the reference is on the absolute greyscale of the particles."""
        return self.slope > 0 and _ABSOLUTE[0] <= self.slope <= _ABSOLUTE[1]


def check_reference(
    reference: Float32,
    name: str,
    pixel_size: float,
    particles: ParticleSet,
    poses: Poses,
    model: HalfModel,
    group: PointGroup,
    options: RefineOptions,
    *,
    diameter: float,
    n_particles: int,
    seed: int,
    pool: WorkerPool,
) -> list[ReferenceReport]:
    """Compare a subset of the particles of each image geometry with a reference.

    Parameters
    ----------
    reference : ndarray, shape (n, n, n), float32
        As the user gave it, on the grid of the particles.
    name : str
        Its file, for messages.
    pixel_size, diameter : float
        Of the reference and of the particle mask [Å].
    model : HalfModel
        Noise spectra.
    n_particles : int
        Of each geometry that are used; more if these leave the size open.

    Returns
    -------
    list of ReferenceReport
        One per geometry with enough particles.
    """
    extent = len(reference) * pixel_size
    finest = max(diameter / _PERIODS, 2.5 * pixel_size)
    limit = resolution_of_reference(reference, pixel_size)
    cleaned = _without_background(reference, diameter / (2 * pixel_size), options.mask_edge_px)
    reports = []
    for label, rows in _rows_by_geometry(particles, _MORE * n_particles, seed):

        def search_to(largest: float, n: int, rows: IntArray = rows) -> ReferenceSearch:
            return prepare_search(
                cleaned,
                pixel_size,
                particles,
                poses,
                np.sort(rows[:n]),
                model,
                group,
                options,
                diameter=diameter,
                resolution=min(max(finest, limit * largest), extent / 3),
                largest_size=largest,
                pool=pool,
            )

        report = None
        for n in (n_particles, _MORE * n_particles):
            if report is None or (report.leaves_size_open and report.n_particles < len(rows)):
                report = _compare(partial(search_to, n=n), label, name, diameter, options, seed)
        assert report is not None
        reports.append(report)
    return reports


def check_axes(
    reference: Float32, name: str, pixel_size: float, group: PointGroup, resolution: float
) -> list[Finding]:
    """See whether a reference has the symmetry, about RELION's axes."""
    if group.n_operators == 1:
        return []
    correlation = symmetry_correlation(reference, pixel_size, group.matrices, resolution)
    if correlation >= _SYMMETRIC:
        return []
    return [
        Finding(
            level="warning", topic="symmetry_axes", numbers={"correlation": correlation},
            found=f"{name}: correlation with its own {group.name} symmetry mates is only "
            f"{correlation:.2f} (1 for a map with that symmetry on RELION's axes).",
            meaning="Averaging it over the symmetry would destroy it.",
            remedy="Check --sym; if the map is turned, bring it to the axes: aurefine "
            f"align-symmetry --i {name} --sym {group.name} --o aligned.mrc.",
        )
    ]  # fmt: skip


def resolution_of_reference(reference: Float32, pixel_size: float) -> float:
    """Resolution [Å] beyond which a reference has been filtered away, 2 pixels if nowhere."""
    n = len(reference)
    edge = np.concatenate([plane.ravel() for plane in (reference[0], reference[:, 0])])
    transform = rfft_map(reference - np.float32(edge.mean()))
    count = sum_by_shell(np.broadcast_to(np.float32(1), transform.shape))
    amplitude = np.sqrt(sum_by_shell(np.abs(transform) ** 2) / count)[: n // 2 + 1]
    weak = np.flatnonzero(amplitude[1:] < _FILTERED * amplitude[1:].max())
    shell = int(weak[0]) if len(weak) else n // 2  # the one before the first weak one
    return n * pixel_size / max(shell, 1)


def _without_background(reference: Float32, radius_px: float, edge_px: int) -> Float32:
    n = len(reference)
    radius_px = min(radius_px, n / 2 - 2)
    shell = background_weight(n, 3, radius_px, edge_px) * soft_sphere(n, n / 2 - 1, 1)
    total = float(shell.sum(dtype=np.float64))
    mean = float((shell * reference).sum(dtype=np.float64)) / total if total > 0 else 0.0
    cleaned: Float32 = (reference - np.float32(mean)) * soft_sphere(n, radius_px, edge_px)
    return cleaned


def _rows_by_geometry(
    particles: ParticleSet, n_particles: int, seed: int
) -> list[tuple[str, IntArray]]:
    """Draw particles of each image geometry, with words for the geometry if there are several."""
    by_geometry: dict[tuple[object, ...], list[int]] = {}
    for row, group in enumerate(particles.optics_groups):
        key: tuple[object, ...] = (
            group.box_size,
            group.pixel_size,
            tuple(np.ravel(group.magnification)),
        )
        by_geometry.setdefault(key, []).append(row)
    chosen = []
    for key, groups in by_geometry.items():
        rows = np.flatnonzero(np.isin(particles.optics, groups))
        if len(rows) < _FEWEST:
            continue
        rng = np.random.Generator(np.random.Philox(key=[seed, (4 << 40) | groups[0]]))
        names = " of optics groups " + ", ".join(
            str(particles.optics_groups[g].number) for g in groups
        )
        label = names if len(by_geometry) > 1 else ""
        chosen.append((f"{label} ({key[1]:g} Å/px)", rng.permutation(rows)[:n_particles]))
    return chosen


def _compare(
    search_to: Callable[[float], ReferenceSearch],
    label: str,
    name: str,
    diameter: float,
    options: RefineOptions,
    seed: int,
) -> ReferenceReport:
    """Match with all sizes and judge the result."""
    search = search_to(float(SIZES[-1]))
    middle = len(SIZES) // 2  # size 1
    matches = [search.match(float(x), wants_negative=i == middle) for i, x in enumerate(SIZES)]
    as_given = matches[middle]
    n = len(as_given.positive.score)
    evidence, _ = contrast_evidence(as_given)
    resolution = float(1 / search.frequency[-1])
    sample = f"{n} particles{label}"
    numbers = {"n_particles": float(n), "resolution": resolution, "evidence": evidence}
    if evidence < _INVERTED:
        finding = Finding(
            level="error", topic="contrast_inverted", numbers=numbers,
            found=f"{sample} match projections of {name} with inverted contrast (evidence "
            f"{evidence:.0f}; above 5 would be the right one).",
            meaning="Particles must be bright in the images and in the map; the refinement would "
            "only fit noise.",
            remedy="Extract the particles again with --invert_contrast if they are dark, or "
            "multiply the reference by -1 (aurefine image-handler --multiply_constant -1).",
        )  # fmt: skip
        return ReferenceReport(n, resolution, evidence, findings=(finding,))
    if evidence < _NOTHING:
        finding = Finding(
            level="warning", topic="no_match", numbers=numbers,
            found=f"{sample} match projections of {name} no better than with inverted contrast "
            f"(evidence {evidence:.1f}, expected above 5).",
            meaning="Either the reference is of something else, or the signal is very weak at "
            f"{resolution:.0f} Å.",
            remedy="Compare 2D class averages with projections of the reference.",
        )  # fmt: skip
        return ReferenceReport(n, resolution, evidence, findings=(finding,))
    slope = greyscale_slope(search, as_given, options.initial_lowpass)
    measured = _measure_size(search, matches, diameter, seed)
    if measured is None:
        return ReferenceReport(n, resolution, evidence, slope)
    findings = _judge_size(search, search_to, measured, sample, name, diameter, seed)
    return ReferenceReport(
        n, resolution, evidence, slope,
        size=findings[0].numbers["size"] if findings else measured.size,
        size_error=measured.error, size_tolerance=measured.tolerance,
        leaves_size_open=not (measured.is_right or measured.is_clearly_off),
        findings=findings,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Size:
    """Size of the particle in the images over that in the reference."""

    estimate: SizeEstimate  # before the bias of the method is taken off
    size: float
    error: float  # standard deviation, of the bias included

    @property
    def tolerance(self) -> float:
        """What a size may differ from 1 by chance."""
        return _TOLERANCE + _DEVIATIONS * self.error

    @property
    def is_off(self) -> bool:
        """Whether the size differs from 1 by more than that."""
        return abs(self.size - 1) > self.tolerance

    @property
    def is_clearly_off(self) -> bool:
        """Whether it is so far off that more particles would not change that."""
        return self.estimate.is_at_border or abs(self.size - 1) > _CLEARLY * self.tolerance

    @property
    def is_right(self) -> bool:
        """Whether it is so near to 1 that more particles would not change that."""
        return self.error <= _PRECISE and abs(self.size - 1) <= 2 * _PRECISE


def _measure_size(
    search: ReferenceSearch, matches: list[SizeMatch], diameter: float, seed: int
) -> _Size | None:
    """Find the size, corrected by what the method gives for images made from the reference."""
    estimate = estimate_size(search, matches, diameter, seed)
    if estimate is None:
        return None
    measured = _Size(estimate, estimate.size, estimate.error)
    if estimate.is_at_border or measured.is_right:
        return measured
    synthetic = search.with_synthetic_images(matches[len(SIZES) // 2], seed)
    own = [synthetic.match(float(size)) for size in SIZES]
    expected = estimate_size(synthetic, own, diameter, seed)
    if expected is None or expected.is_at_border:
        return measured
    error = float(np.hypot(estimate.error, expected.error))
    return _Size(estimate, estimate.size / expected.size, error)


def _judge_size(
    search: ReferenceSearch,
    search_to: Callable[[float], ReferenceSearch],
    measured: _Size,
    sample: str,
    name: str,
    diameter: float,
    seed: int,
) -> tuple[Finding, ...]:
    """Report a size that differs from 1 by more than chance and the method allow."""
    if not measured.is_off:
        return ()
    size, error = measured.size, measured.error
    if measured.estimate.is_at_border:
        search = search_to(float(_WIDE[-1]))
        found = estimate_size(search, [search.match(float(x)) for x in _WIDE], diameter, seed)
        if found is not None and abs(found.size - 1) > measured.tolerance:
            size = found.size
    larger = f"{abs(size - 1) * 100:.0f} % {'larger' if size > 1 else 'smaller'}"
    pixel_size = search.geometry.pixel_size
    return (
        Finding(
            level="warning", topic="pixel_size",
            numbers={"size": size, "error": error, "resolution": float(1 / search.frequency[-1])},
            found=f"{sample} are {larger} than in {name} ({size:.3f} ± {error:.3f} times).",
            meaning="The pixel size of the particles or of the reference is wrong, and the "
            "refinement would stay at low resolution.",
            remedy=f"If the reference is wrong, its pixel size is {size:.3f} times what its header "
            "or --ref_angpix says: give that by --ref_angpix, with --rescale_ref. If the particles "
            f"are wrong, set rlnImagePixelSize from {pixel_size:g} to {pixel_size / size:.4g} Å.",
        ),
    )  # fmt: skip
