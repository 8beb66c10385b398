"""Fourier shell correlation of two maps, also corrected for the effect of a solvent mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aurefine.fourier.shells import rfft_slabs, sum_pairs_by_shell
from aurefine.fourier.transforms import irfft_map, rfft_map

__all__ = [
    "correct_fsc",
    "first_shell_below",
    "fourier_shell_correlation",
    "fsc_of_maps",
    "last_shell_above",
    "phase_randomise",
    "randomise_phases_from",
    "resolution_at",
    "solvent_corrected_fsc",
]

Curve = npt.NDArray[np.float64]


def fourier_shell_correlation(
    half1: npt.NDArray[np.complexfloating],
    half2: npt.NDArray[np.complexfloating],
    *,
    hermitian: bool = True,
) -> Curve:
    """Correlate two maps shell by shell in Fourier space.

    Parameters
    ----------
    half1, half2 : ndarray, shape (n, n, n // 2 + 1), complex
        `rfftn` of two cubic maps with the same even box size `n` [px] and the same origin.
    hermitian : bool
        Count coefficients as often as they stand in the full transform.  If not, each stored
        coefficient counts once, as in RELION's tables.

    Returns
    -------
    fsc : ndarray, shape (n // 2 + 1,), float64
        Correlation of shell `k`; its resolution is ``n * pixel_size / k`` [Å].
        Shell 0 is 1 by definition; a shell without power is 0.

    Raises
    ------
    ValueError
        If the shapes differ or do not belong to an even cubic box.
    """
    n = half1.shape[0]
    if n % 2 or not half1.shape == half2.shape == (n, n, n // 2 + 1):
        raise ValueError(f"not rfftn of two equal even cubic maps: {half1.shape}, {half2.shape}")
    cross, power1, power2 = sum_pairs_by_shell(half1, half2, hermitian=hermitian)
    power = np.sqrt(power1) * np.sqrt(power2)
    fsc: Curve = np.zeros_like(cross)
    np.divide(cross, power, out=fsc, where=power > 0)
    fsc[0] = 1.0
    return fsc


def fsc_of_maps(
    map1: npt.NDArray[np.floating],
    map2: npt.NDArray[np.floating],
    *,
    hermitian: bool = True,
    workers: int | None = None,
) -> Curve:
    """Fourier shell correlation of two maps of shape (n, n, n); see the function above."""
    return fourier_shell_correlation(
        rfft_map(map1, workers), rfft_map(map2, workers), hermitian=hermitian
    )


def first_shell_below(
    fsc: npt.NDArray[np.floating], threshold: float, start: int = 1
) -> int | None:
    """First shell from `start` on where the curve is below the threshold; None if there is none."""
    below = np.flatnonzero(np.asarray(fsc)[start:] < threshold)
    return int(below[0]) + start if below.size else None


def last_shell_above(fsc: npt.NDArray[np.floating], threshold: float) -> int:
    """Last shell before the curve first falls below the threshold; 0 if it starts below."""
    first = first_shell_below(fsc, threshold, start=0)
    return len(fsc) - 1 if first is None else max(0, first - 1)


def resolution_at(
    fsc: npt.NDArray[np.floating], threshold: float, box: int, pixel_size: float
) -> float:
    """Resolution of the last shell before the FSC first falls below a threshold.

    Parameters
    ----------
    fsc : ndarray, shape (box // 2 + 1,)
        Correlation by shell.
    threshold : float
        Usually 0.143 (half maps) or 0.5 (map and model).
    box : int
        Box size [px].
    pixel_size : float
        [Å].

    Returns
    -------
    float
        [Å]; 999 if already shell 1 is below the threshold.
    """
    shell = last_shell_above(fsc, threshold)
    return 999.0 if shell == 0 else box * pixel_size / shell


def randomise_phases_from(
    transform: npt.NDArray[np.complexfloating], first_shell: int, rng: np.random.Generator
) -> None:
    """Give all coefficients at and beyond a radius uniform random phases, in place.

    Parameters
    ----------
    transform : ndarray, shape (n, n, n // 2 + 1), complex
        Moduli are kept.
    first_shell : int
        Coefficients with ``|k| >= first_shell`` are changed.
    rng : Generator
        Source of the phases.
    """
    for slab, r2 in rfft_slabs(transform.shape[0]):
        part = transform[slab]
        beyond = r2 >= first_shell**2
        phase = rng.random(int(beyond.sum()), dtype=np.float32) * np.float32(2 * np.pi)
        part[beyond] = np.abs(part[beyond]) * np.exp(1j * phase)


def phase_randomise(
    values: npt.NDArray[np.floating],
    first_shell: int,
    rng: np.random.Generator,
    *,
    workers: int | None = None,
) -> npt.NDArray[np.floating]:
    """Copy of a map with random phases at and beyond a shell.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Map; its dtype is kept.
    first_shell : int
        Coefficients with ``|k| >= first_shell`` get new phases; moduli are kept up to the
        Hermitian symmetry that a real map needs.
    rng : Generator
        Source of the phases.
    workers : int, optional
        Threads of the transforms.
    """
    transform = rfft_map(values, workers)
    randomise_phases_from(transform, first_shell, rng)
    return irfft_map(transform, values.shape[-1], workers, overwrite=True)


def correct_fsc(
    fsc_masked: Curve, fsc_random: Curve, first_shell: int, *, clip_negative: bool = False
) -> Curve:
    """Remove from a masked FSC what the mask alone adds.

    Parameters
    ----------
    fsc_masked : ndarray, shape (n_shells,)
        FSC of the masked maps.
    fsc_random : ndarray, shape (n_shells,)
        FSC of the masked maps with random phases from `first_shell` on.
    first_shell : int
        The correction starts at ``first_shell + 2``.
    clip_negative : bool
        0 where the random curve is above the masked one (refinement); post-processing keeps
        the negative values.

    Returns
    -------
    ndarray, shape (n_shells,), float64
        ``(masked - random) / (1 - random)`` from the first corrected shell on.

    References
    ----------
    Chen et al. (2013), Ultramicroscopy 135, 24-35.
    """
    gain = fsc_masked - fsc_random
    room = 1.0 - fsc_random
    corrected = np.divide(gain, room, out=np.zeros_like(gain), where=room > 0)
    if clip_negative:
        corrected[gain < 0] = 0.0
    start = first_shell + 2
    corrected[:start] = fsc_masked[:start]
    return corrected


def solvent_corrected_fsc(
    map1: npt.NDArray[np.floating],
    map2: npt.NDArray[np.floating],
    mask: npt.NDArray[np.floating],
    rng: np.random.Generator,
    current_size: int,
    *,
    workers: int | None = None,
) -> tuple[Curve, int | None]:
    """FSC of two half maps inside a solvent mask, corrected by phase randomisation.

    Parameters
    ----------
    map1, map2 : ndarray, shape (n, n, n), float
        Unfiltered half maps.
    mask : ndarray, shape (n, n, n), float
        Solvent mask with values from 0 to 1.
    rng : Generator
        Source of the random phases, first of map 1, then of map 2.
    current_size : int
        Image size of the iteration [px]; shells beyond its half are set to 0.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    fsc : ndarray, shape (n // 2 + 1,), float64
        Corrected curve; the plain curve of the unmasked maps where nothing could be randomised.
    first_shell : int or None
        First shell with random phases; None if the unmasked curve never falls below 0.8.

    References
    ----------
    Chen et al. (2013), Ultramicroscopy 135, 24-35.
    """
    if not map1.shape == map2.shape == mask.shape:
        raise ValueError(f"maps and mask differ in shape: {map1.shape}, {map2.shape}, {mask.shape}")
    fsc = fsc_of_maps(map1, map2, hermitian=False, workers=workers)
    first_shell = first_shell_below(fsc, 0.8)
    if first_shell is not None:
        fsc_masked = fsc_of_maps(map1 * mask, map2 * mask, hermitian=False, workers=workers)
        random1 = phase_randomise(map1, first_shell, rng, workers=workers)
        random1 *= mask
        random2 = phase_randomise(map2, first_shell, rng, workers=workers)
        random2 *= mask
        fsc_random = fsc_of_maps(random1, random2, hermitian=False, workers=workers)
        fsc = correct_fsc(fsc_masked, fsc_random, first_shell, clip_negative=True)
    fsc[current_size // 2 + 1 :] = 0.0
    return fsc, first_shell
