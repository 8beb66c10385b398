"""Tables and figures of post-processing, named and laid out as RELION's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine import __version__
from aurefine.io.atomic import write_text_atomic
from aurefine.io.star import write_star
from aurefine.jobs.map_report import shell_columns
from aurefine.maps.curves import FscCurves, particle_fsc
from aurefine.maps.sharpening import GuinierFit
from aurefine.report.postprocess import fsc_figure, guinier_figure
from aurefine.report.saving import save_figure, save_pages

__all__ = ["Outcome", "write_tables_and_figures"]

Curve = npt.NDArray[np.float64]

_GUINIER = {
    "original": ("rlnLogAmplitudesOriginal", "as reconstructed"),
    "mtf": ("rlnLogAmplitudesMTFCorrected", "divided by the MTF"),
    "weighted": ("rlnLogAmplitudesWeighted", "FSC-weighted"),
    "sharpened": ("rlnLogAmplitudesSharpened", "sharpened"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What post-processing found; lengths in Å, B in Å², molecular weight in kDa (0: none)."""

    command: str
    root: str
    pixel_size: float
    box: int
    half_maps: tuple[str, str]
    mask: str
    resolution: float
    curves: FscCurves
    bfactor: float
    guinier: Mapping[str, Curve]
    fit: GuinierFit | None
    molecular_weight: float
    fraction_of_weight: float | None
    fraction_of_mask: float | None


def write_tables_and_figures(outcome: Outcome) -> None:
    """Write ``ROOT.star``, ``ROOT_fsc.xml`` and ``.dat``, both figures and ``logfile.pdf``.

    Raises
    ------
    OutputError
        If a file can not be written.
    """
    fsc = _fsc_table(outcome)
    guinier = _guinier_table(outcome)
    write_star(
        f"{outcome.root}.star",
        {"general": _general(outcome), "fsc": fsc, "guinier": guinier},
        header=(
            f"# RELION postprocess; version 5.0 aurefine {__version__}",
            f"# {outcome.command} ",
        ),
    )
    frequency = fsc["rlnResolution"].to_numpy(np.float64)
    write_text_atomic(f"{outcome.root}_fsc.xml", _xml(frequency, outcome.curves.corrected))
    lines = [f"{x:g} {y:g}\n" for x, y in zip(frequency, outcome.curves.corrected, strict=True)]
    write_text_atomic(f"{outcome.root}_fsc.dat", "".join(lines))
    _draw(outcome, guinier["rlnResolutionSquared"].to_numpy(np.float64))


def _general(outcome: Outcome) -> dict[str, Any]:
    values: dict[str, Any] = {
        "rlnFinalResolution": outcome.resolution,
        "rlnBfactorUsedForSharpening": outcome.bfactor,
        "rlnUnfilteredMapHalf1": outcome.half_maps[0],
        "rlnUnfilteredMapHalf2": outcome.half_maps[1],
        "rlnPostprocessedMap": f"{outcome.root}.mrc",
    }
    if outcome.fraction_of_weight is not None:
        values["rlnMolecularWeight"] = outcome.molecular_weight
        values["rlnParticleBoxFractionMolecularWeight"] = outcome.fraction_of_weight
    if outcome.curves.first_random_shell is not None:
        values["rlnParticleBoxFractionSolventMask"] = outcome.fraction_of_mask
        values["rlnMaskName"] = outcome.mask
        values["rlnRandomiseFrom"] = (
            outcome.box * outcome.pixel_size / outcome.curves.first_random_shell
        )
        values["rlnPostprocessedMapMasked"] = f"{outcome.root}_masked.mrc"
    if outcome.fit is not None:
        values["rlnFittedSlopeGuinierPlot"] = outcome.fit.slope
        values["rlnFittedInterceptGuinierPlot"] = outcome.fit.intercept
        values["rlnCorrelationFitGuinierPlot"] = outcome.fit.correlation
    return values


def _fsc_table(outcome: Outcome) -> pd.DataFrame:
    curves = outcome.curves
    columns: dict[str, Any] = dict(shell_columns(outcome.box, outcome.pixel_size))
    if curves.masked is not None and outcome.fraction_of_mask is not None:
        columns["rlnFourierShellCorrelationCorrected"] = curves.corrected
        columns["rlnFourierShellCorrelationParticleMaskFraction"] = particle_fsc(
            curves.unmasked, outcome.fraction_of_mask
        )
    if outcome.fraction_of_weight is not None:
        columns["rlnFourierShellCorrelationParticleMolWeight"] = particle_fsc(
            curves.unmasked, outcome.fraction_of_weight
        )
    columns["rlnFourierShellCorrelationUnmaskedMaps"] = curves.unmasked
    if curves.masked is not None:
        columns["rlnFourierShellCorrelationMaskedMaps"] = curves.masked
        columns["rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps"] = curves.random
    return pd.DataFrame(columns)


def _guinier_table(outcome: Outcome) -> pd.DataFrame:
    shell = np.arange(outcome.box // 2 + 1)
    columns: dict[str, Any] = {
        "rlnResolutionSquared": (shell / (outcome.box * outcome.pixel_size)) ** 2
    }
    for step, curve in outcome.guinier.items():
        columns[_GUINIER[step][0]] = curve
    if outcome.fit is not None:
        columns["rlnLogAmplitudesIntercept"] = np.full(len(shell), outcome.fit.intercept)
    return pd.DataFrame(columns)


def _xml(frequency: Curve, fsc: Curve) -> str:
    lines = [
        '<fsc title="RELION masked-corrected FSC" xaxis="Resolution (A-1)" '
        'yaxis="Correlation Coefficient">'
    ]
    for x, y in zip(frequency, fsc, strict=True):
        lines += [
            "  <coordinate>",
            f"    <x>{x:g}</x>",
            f"    <y>{y:g}</y>",
            "  </coordinate>",
        ]
    return "\n".join([*lines, "</fsc>", ""])


def _draw(outcome: Outcome, frequency_squared: Curve) -> None:
    curves = {"corrected": outcome.curves.corrected, "unmasked": outcome.curves.unmasked}
    if outcome.curves.masked is not None and outcome.curves.random is not None:
        curves["masked"] = outcome.curves.masked
        curves["masked, random phases"] = outcome.curves.random
    else:
        del curves["corrected"]
    fsc = fsc_figure(
        np.sqrt(frequency_squared),
        curves,
        outcome.resolution,
        f"Final resolution {outcome.resolution:.2f} Å",
    )
    line = None if outcome.fit is None else (outcome.fit.slope, outcome.fit.intercept)
    guinier = guinier_figure(
        frequency_squared,
        {_GUINIER[step][1]: curve for step, curve in outcome.guinier.items()},
        line,
        f"Guinier plot, B-factor {outcome.bfactor:.1f} Å²",
    )
    save_figure(fsc, f"{outcome.root}_fsc")
    save_figure(guinier, f"{outcome.root}_guinier")
    save_pages([fsc, guinier], Path(outcome.root).parent / "logfile.pdf")
