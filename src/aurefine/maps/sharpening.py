"""Sharpening of a merged map: detector MTF, FSC weighting, B-factor, low-pass, Guinier plot.

The factors are radial, so that they are worked out once per squared radius and multiplied
into the transform in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.fourier import irfft_map, last_shell_above, rfft_map, sum_by_shell
from aurefine.fourier.filters import bfactor_profile, lowpass_profile, multiply_radially

__all__ = ["GuinierFit", "Mtf", "Sharpened", "SharpeningPlan", "fit_guinier", "sharpen"]

Real = npt.NDArray[np.floating]
Complex = npt.NDArray[np.complexfloating]
Curve = npt.NDArray[np.float64]

_NO_SIGNAL = -99.0  # logarithm of the amplitude of an empty shell
_SMALLEST_FSC = 1e-4  # the weighted map ends where the FSC first falls below
_SMALLEST_MTF = 1e-10


@dataclass(frozen=True, slots=True)
class Mtf:
    """Modulation transfer function of a detector.

    Attributes
    ----------
    frequency : ndarray, shape (n,), float64
        Spatial frequency [1/Å], evenly spaced and increasing.
    value : ndarray, shape (n,), float64
        MTF.
    """

    frequency: Curve
    value: Curve

    def at(self, frequency: Curve) -> Curve:
        """Interpolate linearly.

        As in RELION the step is the range divided by the number of entries (not of intervals),
        so that the line through two entries is also used slightly beyond them.
        """
        n = len(self.value)
        step = (self.frequency[-1] - self.frequency[0]) / n
        index = np.floor(frequency / step).astype(np.int64)
        i = np.clip(index, 0, n - 2)
        slope = (self.value[i + 1] - self.value[i]) / (self.frequency[i + 1] - self.frequency[i])
        value: Curve = self.value[i] + slope * (frequency - self.frequency[i])
        value[index <= 0] = self.value[0]
        value[index >= n - 1] = self.value[-1]
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpeningPlan:
    """What to do with the merged map; resolutions in Å.

    Attributes
    ----------
    mtf : Mtf or None
        Divide by this detector MTF.
    weights : ndarray, shape (n // 2 + 1,), or None
        FSC curve for the weights sqrt(2 FSC / (1 + FSC)).
    bfactor : float
        B [Å²] to apply; negative sharpens, 0 leaves the map alone.
    fit_bfactor : bool
        Find B from the Guinier plot instead.
    fit_low, fit_high : float
        Resolution limits of the fit.
    lowpass : float or None
        Resolution of a last low-pass filter.
    edge_shells : int
        Width of its edge.
    """

    mtf: Mtf | None = None
    weights: Curve | None = None
    bfactor: float = 0.0
    fit_bfactor: bool = False
    fit_low: float = 10.0
    fit_high: float = 0.0
    lowpass: float | None = None
    edge_shells: int = 2


@dataclass(frozen=True, slots=True)
class GuinierFit:
    """Straight line through a Guinier plot; B is four times the slope."""

    slope: float  # Å²
    intercept: float
    correlation: float  # r²


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpened:
    """A sharpened map and how it came about.

    Attributes
    ----------
    map : ndarray, shape (n, n, n), float
        In the precision of the input.
    bfactor : float
        B that was applied [Å²].
    guinier : dict of str to ndarray, shape (n // 2 + 1,)
        Natural logarithm of the mean amplitude per shell, -99 without signal, after each step:
        ``original``, then, as far as they were done, ``mtf``, ``weighted``, ``sharpened``.
    fit : GuinierFit or None
        The line, if B was fitted.
    """

    map: Real
    bfactor: float
    guinier: dict[str, Curve]
    fit: GuinierFit | None


def _log_amplitudes(transform: Complex) -> Curve:
    n = transform.shape[0]
    total = sum_by_shell(np.abs(transform), hermitian=False)
    count = sum_by_shell(np.broadcast_to(np.float32(1), transform.shape), hermitian=False)
    mean = total / count / float(n) ** 3
    logs = np.full(len(mean), _NO_SIGNAL)
    np.log(mean, out=logs, where=mean > 0)
    return logs


def fit_guinier(
    log_amplitudes: Curve, n: int, pixel_size: float, low: float, high: float
) -> GuinierFit:
    """Fit a straight line to a Guinier plot by least squares.

    Parameters
    ----------
    log_amplitudes : ndarray, shape (n // 2 + 1,)
        Natural logarithm of the mean amplitude of each shell; -99 without signal.
    n : int
        Box size [px].
    pixel_size : float
        [Å].
    low, high : float
        Resolution limits [Å]; shell 0 and shells without signal do not count.

    Returns
    -------
    GuinierFit

    Raises
    ------
    ImageError
        If fewer than two shells are left.

    References
    ----------
    Rosenthal & Henderson (2003), J. Mol. Biol. 333, 721-745.
    """
    shell = np.arange(1, len(log_amplitudes))
    resolution = n * pixel_size / shell
    y = log_amplitudes[1:]
    used = (resolution <= low) & (resolution >= high) & (y > _NO_SIGNAL)
    if np.count_nonzero(used) < 2:
        raise ImageError(
            f"the B-factor can not be fitted: {np.count_nonzero(used)} shell(s) with signal "
            f"between {low:g} and {high:g} Å. Widen the limits (--autob_lowres, "
            "--autob_highres) or give a B-factor (--adhoc_bfac)."
        )
    x, y = 1.0 / resolution[used] ** 2, y[used]
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    slope = xy / xx
    correlation = xy**2 / (xx * yy) if yy > 0 else 1.0
    return GuinierFit(slope, float(y.mean() - slope * x.mean()), correlation)


def _divide_by_mtf(transform: Complex, mtf: Mtf, pixel_size: float) -> None:
    n = transform.shape[0]

    def profile(r: Curve) -> Curve:
        inside = r < n / 2
        value = mtf.at(np.where(inside, r, 0.0) / (n * pixel_size))
        if (value[inside] < _SMALLEST_MTF).any():
            raise ImageError(
                "the detector MTF falls to zero inside the resolution range of the map; check the "
                "MTF file and the pixel size that it refers to (--mtf_angpix)."
            )
        return np.where(inside, 1.0 / value, 1.0)

    multiply_radially(transform, profile)


def _weight_by_fsc(transform: Complex, fsc: Curve) -> None:
    last = last_shell_above(fsc, _SMALLEST_FSC)
    kept = np.where(np.arange(len(fsc)) <= last, np.maximum(fsc, 0.0), 0.0)
    weight = np.sqrt(2.0 * kept / (1.0 + kept))

    def profile(r: Curve) -> Curve:
        shell = np.rint(r).astype(np.int64)  # radii are roots of integers: no ties
        inside = shell < len(weight)
        return np.where(inside, weight[np.where(inside, shell, 0)], 0.0)

    multiply_radially(transform, profile)


def sharpen(
    values: Real, pixel_size: float, plan: SharpeningPlan, *, workers: int | None = None
) -> Sharpened:
    """Sharpen a map.

    Parameters
    ----------
    values : ndarray, shape (n, n, n), float
        Unmasked merged map.
    pixel_size : float
        [Å].
    plan : SharpeningPlan
        Steps, in this order: MTF, FSC weights, B-factor, low-pass.
    workers : int, optional
        Threads of the transforms.

    Returns
    -------
    Sharpened

    Raises
    ------
    ImageError
        If the MTF falls to zero or the B-factor can not be fitted.
    """
    n = values.shape[-1]
    transform = rfft_map(values, workers)
    guinier = {"original": _log_amplitudes(transform)}
    latest = guinier["original"]
    if plan.mtf is not None:
        _divide_by_mtf(transform, plan.mtf, pixel_size)
        latest = guinier["mtf"] = _log_amplitudes(transform)
    if plan.weights is not None:
        _weight_by_fsc(transform, plan.weights)
        latest = guinier["weighted"] = _log_amplitudes(transform)
    fit, bfactor = None, plan.bfactor
    if plan.fit_bfactor:
        fit = fit_guinier(latest, n, pixel_size, plan.fit_low, plan.fit_high)
        bfactor = 4.0 * fit.slope
    if bfactor != 0:
        multiply_radially(transform, bfactor_profile(n, pixel_size, bfactor))
        guinier["sharpened"] = _log_amplitudes(transform)
    if plan.lowpass is not None:
        multiply_radially(
            transform,
            lowpass_profile(
                n, pixel_size, plan.lowpass, edge_shells=plan.edge_shells, whole_shell=True
            ),
        )
    sharpened = irfft_map(transform, n, workers, overwrite=True)
    return Sharpened(map=sharpened, bfactor=bfactor, guinier=guinier, fit=fit)
