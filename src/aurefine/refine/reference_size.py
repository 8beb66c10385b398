"""How large the particle in the images is, relative to the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.refine.matching import BestPoses, ReferenceSearch, SizeMatch

__all__ = ["SIZES", "SizeEstimate", "contrast_evidence", "estimate_size", "greyscale_slope"]

Float = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SIZES = np.linspace(0.84, 1.16, 9)  # that are tried
_N_RESAMPLED = 60  # bootstrap samples
_MIN_RINGS = 2
_LARGEST_CORRELATION = 0.999


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """Size of the particle in the images, relative to that in the reference."""

    size: float
    error: float  # standard deviation from resampled particles
    sizes: Float  # (n_sizes,), that were tried
    gain: Float  # (n_sizes,), log-likelihood per particle over no match
    is_at_border: bool  # the best size tried is the smallest or the largest


def estimate_size(
    search: ReferenceSearch, matches: list[SizeMatch], diameter: float, seed: int
) -> SizeEstimate | None:
    """Find the size at which the reference correlates best with the particles.

    Parameters
    ----------
    search : ReferenceSearch
    matches : list of SizeMatch
        In equal steps of the size.
    diameter : float
        Of the particle [Å].
    seed : int
        Of the resampling.

    Returns
    -------
    SizeEstimate or None
        None if there are too few rings.

    Notes
    -----
    With a free amplitude in each ring k the log-likelihood of all images, with noise that is white
    within a ring, gains ``-n_k log(1 - rho_k²)`` from a reference that correlates by rho_k. It
    does not depend on the greyscale, a filter or the fall-off of the reference. Rings below two
    periods per diameter tell little of the size, and are full of background, so they are left out.
    """
    first = int(np.searchsorted(search.frequency, 2 / diameter))
    if len(search.frequency) - first < _MIN_RINGS:
        return None
    sizes = np.array([match.size for match in matches])
    n = len(matches[0].positive.score)
    rng = np.random.Generator(np.random.Philox(key=[seed, 3 << 40]))
    counts = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(_N_RESAMPLED)]
    samples = np.vstack([np.ones(n), *counts])  # (n_samples, n) times that each particle is drawn
    gains = np.stack(
        [_gains(match.positive, search.ring_pixels, first, samples) for match in matches], axis=1
    )
    gain = gains[0]
    resampled = [_peak(sizes, row) for row in gains[1:]]
    return SizeEstimate(
        size=_peak(sizes, gain),
        error=float(np.std(resampled)),
        sizes=sizes,
        gain=gain,
        is_at_border=int(np.argmax(gain)) in (0, len(gain) - 1),
    )


def contrast_evidence(match: SizeMatch) -> tuple[float, float]:
    """How much better the particles match with their contrast than with the opposite one.

    Returns
    -------
    evidence : float
        Mean difference of the squared scores over its standard error: far above 0 if the contrast
        is right, far below 0 if it is inverted, about 0 if nothing matches.
    difference : float
        The mean difference itself, in units of the noise variance.
    """
    assert match.negative is not None
    pairs = (match.positive.score, match.negative.score)
    first, second = (np.abs(score) * score for score in pairs)
    difference = first - second
    spread = float(np.std(difference)) / np.sqrt(len(difference))
    mean = float(np.mean(difference))
    return mean / max(spread, 1e-30), mean


def greyscale_slope(search: ReferenceSearch, match: SizeMatch, resolution: float) -> float:
    """Factor that the reference must be multiplied by to be on the greyscale of the particles.

    Parameters
    ----------
    search : ReferenceSearch
    match : SizeMatch
    resolution : float
        Rings up to here are used [Å], but two at least; 0 or less for all.
    """
    n_rings = len(search.frequency)
    if resolution > 0:
        n_rings = int(np.clip(np.searchsorted(search.frequency, 1 / resolution), 3, n_rings))
    best = match.positive
    cross, model = best.cross[:, 1:n_rings].sum(), best.model[:, 1:n_rings].sum()
    return float(cross / model) if model > 0 else 0.0


def _gains(best: BestPoses, ring_pixels: Float, first: int, samples: Float) -> Float:
    """Log-likelihoods over no match for samples (n_samples, n_particles), shape (n_samples,)."""
    cross, model, image = (
        samples @ values[:, first:] for values in (best.cross, best.model, best.image)
    )
    correlation = cross / np.sqrt(np.maximum(model * image, 1e-300))
    correlation = np.clip(correlation, -_LARGEST_CORRELATION, _LARGEST_CORRELATION)
    gain: Float = -np.log1p(-(correlation**2)) * np.sign(correlation)
    return gain @ ring_pixels[first:]


def _peak(sizes: Float, gain: Float) -> float:
    """Vertex of the parabola through the highest point and its neighbours."""
    i = int(np.argmax(gain))
    if i in (0, len(gain) - 1):
        return float(sizes[i])
    before, here, after = gain[i - 1 : i + 2]
    step = sizes[1] - sizes[0]
    return float(sizes[i] + 0.5 * step * (before - after) / (before - 2 * here + after))
