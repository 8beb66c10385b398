"""Tables and settings that a simulation writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aurefine.io.particles import ParticleTable
from aurefine.optics.groups import OpticsGroup
from aurefine.simulate.truth import Truth

__all__ = ["particle_tables", "settings_text"]

_INPUT_COLUMNS = (
    "rlnCoordinateX", "rlnCoordinateY", "rlnImageName", "rlnMicrographName", "rlnOpticsGroup",
    "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift",
)  # fmt: skip


def particle_tables(
    truth: Truth, groups: Sequence[OpticsGroup], image_names: Sequence[str]
) -> tuple[ParticleTable, ParticleTable]:
    """Return the table of the particles as a refinement gets it, and the table with true poses.

    Parameters
    ----------
    truth : Truth
        True parameters.
    groups : sequence of OpticsGroup
        In the order of ``truth.optics_group``.
    image_names : sequence of str
        ``N@stack`` of each particle.

    Returns
    -------
    particles, truth : ParticleTable
        Same rows in the same order.
    """
    rows = pd.DataFrame(
        {
            "rlnCoordinateX": truth.coordinate_x,
            "rlnCoordinateY": truth.coordinate_y,
            "rlnImageName": list(image_names),
            "rlnMicrographName": [f"micrographs/mic{m + 1:04d}.mrc" for m in truth.micrograph],
            "rlnOpticsGroup": truth.optics_group + 1,
            "rlnDefocusU": truth.defocus_u,
            "rlnDefocusV": truth.defocus_v,
            "rlnDefocusAngle": truth.defocus_angle,
            "rlnPhaseShift": truth.phase_shift,
            "rlnAngleRot": truth.rot,
            "rlnAngleTilt": truth.tilt,
            "rlnAnglePsi": truth.psi,
            "rlnOriginXAngst": truth.offset_x,
            "rlnOriginYAngst": truth.offset_y,
            "rlnRandomSubset": truth.half_set,
            "rlnClassNumber": np.ones(len(truth), dtype=np.int64),
            "rlnGroupNumber": truth.micrograph + 1,
        }
    )
    optics = _optics_table(groups)
    particles = rows.loc[:, list(_INPUT_COLUMNS)]
    return (
        ParticleTable(optics, particles, "particles.star"),
        ParticleTable(optics, rows, "truth.star"),
    )


def settings_text(values: Mapping[str, Any], truth: Truth, amplitude: float, version: str) -> str:
    """Return the content of `simulation.json`: options, and what was drawn or derived."""
    content = {
        "aurefine": version,
        "options": dict(values),
        "amplitude": amplitude,
        "micrograph_scale": truth.micrograph_scale.round(6).tolist(),
        "micrograph_noise": truth.micrograph_noise.round(6).tolist(),
    }
    return json.dumps(content, indent=1, sort_keys=False) + "\n"


def _optics_table(groups: Sequence[OpticsGroup]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "rlnOpticsGroupName": [group.name for group in groups],
        "rlnOpticsGroup": [group.number for group in groups],
        "rlnMicrographOriginalPixelSize": [group.original_pixel_size for group in groups],
        "rlnVoltage": [group.voltage for group in groups],
        "rlnSphericalAberration": [group.spherical_aberration for group in groups],
        "rlnAmplitudeContrast": [group.amplitude_contrast for group in groups],
        "rlnImagePixelSize": [group.pixel_size for group in groups],
        "rlnImageSize": [group.box_size for group in groups],
        "rlnImageDimensionality": [2 for _ in groups],
    }
    # Columns that older readers do not expect are written only where they say something
    if any(group.is_premultiplied for group in groups):
        columns["rlnCtfDataAreCtfPremultiplied"] = [int(g.is_premultiplied) for g in groups]
    if any(group.beam_tilt_x or group.beam_tilt_y for group in groups):
        columns["rlnBeamTiltX"] = [group.beam_tilt_x for group in groups]
        columns["rlnBeamTiltY"] = [group.beam_tilt_y for group in groups]
    if any(group.odd_zernike for group in groups):
        columns["rlnOddZernike"] = _padded([group.odd_zernike for group in groups])
    if any(group.even_zernike for group in groups):
        columns["rlnEvenZernike"] = _padded([group.even_zernike for group in groups])
    if any((group.magnification != np.eye(2)).any() for group in groups):
        for i in range(2):
            for j in range(2):
                columns[f"rlnMagMat{i}{j}"] = [float(g.magnification[i, j]) for g in groups]
    return pd.DataFrame(columns)


def _padded(lists: Sequence[Sequence[float]]) -> list[str]:
    """Write coefficient lists, of equal length, as RELION does."""
    length = max(len(values) for values in lists)
    return [
        "[" + ",".join(f"{value:g}" for value in [*values, *[0.0] * (length - len(values))]) + "]"
        for values in lists
    ]
