"""FSC curves of post-processing: unmasked, masked, corrected, and of the particle alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.fourier import (
    correct_fsc,
    first_shell_below,
    fourier_shell_correlation,
    irfft_map,
    last_shell_above,
    rfft_map,
)
from aurefine.fourier.fsc import randomise_phases_from

__all__ = [
    "FscCurves",
    "final_shell",
    "fsc_curves",
    "particle_fraction_of_mask",
    "particle_fraction_of_weight",
    "particle_fsc",
    "working_dtype",
]

Real = npt.NDArray[np.floating]
Complex = npt.NDArray[np.complexfloating]
Curve = npt.NDArray[np.float64]

_LARGE_BOX = 384  # px; larger boxes are transformed in single precision
_PARTICLE_VOLUME_SHARE = 0.476  # of the box, of a sphere that just fits


def working_dtype(n: int) -> type[np.floating]:
    """Precision of post-processing: double, but single for boxes above 384 px to spare memory."""
    return np.float64 if n <= _LARGE_BOX else np.float32


@dataclass(frozen=True, slots=True, kw_only=True)
class FscCurves:
    """Fourier shell correlations of two half maps, each of shape (n // 2 + 1,).

    Attributes
    ----------
    corrected : ndarray
        The curve that weights the map and gives the resolution.
    unmasked : ndarray
        FSC of the half maps as they are.
    masked, random : ndarray or None
        FSC with the solvent mask, of the half maps and of those with random phases.
    first_random_shell : int or None
        First shell with random phases.
    """

    corrected: Curve
    unmasked: Curve
    masked: Curve | None = None
    random: Curve | None = None
    first_random_shell: int | None = None

    def without_correction(self) -> FscCurves:
        """Take the unmasked curve as the corrected one."""
        return replace(self, corrected=self.unmasked)


def fsc_curves(
    half1: Real,
    half2: Real,
    mask: Real | None = None,
    *,
    randomise_below: float = 0.8,
    first_random_shell: int | None = None,
    rng: np.random.Generator,
    workers: int | None = None,
) -> FscCurves:
    """FSC curves of two half maps, corrected for the solvent mask.

    Parameters
    ----------
    half1, half2 : ndarray, shape (n, n, n), float
        Unfiltered half maps; transforms have their precision.
    mask : ndarray, shape (n, n, n), float, optional
        Solvent mask with values from 0 to 1.
    randomise_below : float
        Phases are randomised from the first shell with an unmasked FSC below this value.
    first_random_shell : int, optional
        Use this shell instead.
    rng : Generator
        Source of the random phases, first of half map 1, then of half map 2.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    FscCurves

    Raises
    ------
    ImageError
        If the unmasked curve never falls below `randomise_below`.

    References
    ----------
    Chen et al. (2013), Ultramicroscopy 135, 24-35.
    """

    def correlate(a: Complex, b: Complex) -> Curve:
        return fourier_shell_correlation(a, b, hermitian=False)

    transform1, transform2 = rfft_map(half1, workers), rfft_map(half2, workers)
    unmasked = correlate(transform1, transform2)
    if mask is None:
        return FscCurves(corrected=unmasked, unmasked=unmasked)
    first = first_random_shell
    if first is None:
        first = first_shell_below(unmasked, randomise_below)
        if first is None:
            raise ImageError(
                f"the FSC of the unmasked half maps never falls below {randomise_below:g} (lowest "
                f"value {unmasked.min():.4f}), so that no phases can be randomised. Are these two "
                "independent, unfiltered half maps? --randomize_at_A sets the resolution by hand."
            )
    randomised = []
    for transform in (transform1, transform2):
        randomise_phases_from(transform, first, rng)
        values = irfft_map(transform, half1.shape[-1], workers, overwrite=True)
        values *= mask
        randomised.append(rfft_map(values, workers))
        del values
    del transform1, transform2, transform
    random = correlate(*randomised)
    del randomised
    masked = correlate(rfft_map(half1 * mask, workers), rfft_map(half2 * mask, workers))
    return FscCurves(
        corrected=correct_fsc(masked, random, first),
        unmasked=unmasked,
        masked=masked,
        random=random,
        first_random_shell=first,
    )


def particle_fraction_of_mask(mask: Real) -> float:
    """Ratio of the volume share of a sphere that fits in the box to that of the mask (> 0.5)."""
    return _PARTICLE_VOLUME_SHARE / (np.count_nonzero(mask > 0.5) / mask.size)


def particle_fraction_of_weight(molecular_weight: float, box: float) -> float:
    """The same ratio from a molecular weight [kDa] (0.81 Da per Å³) and the box edge [Å]."""
    return _PARTICLE_VOLUME_SHARE * box**3 * 0.81 / (1000.0 * molecular_weight)


def particle_fsc(unmasked: Curve, fraction: float) -> Curve:
    """FSC of the particle without the solvent around it, from the unmasked FSC.

    Parameters
    ----------
    unmasked : ndarray, shape (n_shells,)
        FSC of the unmasked half maps.
    fraction : float
        From `particle_fraction_of_mask` or `particle_fraction_of_weight`.

    References
    ----------
    Sindelar & Grigorieff (2012), J. Struct. Biol. 180, 26-38.
    """
    return fraction * unmasked / (1.0 + (fraction - 1.0) * unmasked)


def final_shell(curve: Curve, threshold: float = 0.143) -> int:
    """Shell of the resolution: the last one before the curve first falls below the threshold."""
    return last_shell_above(curve, threshold)
