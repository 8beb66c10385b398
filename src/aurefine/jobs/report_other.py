"""Reports of jobs other than refinements: what they made, in figures and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aurefine.errors import AurefineError
from aurefine.io import read_map, read_particles, read_star
from aurefine.report.page import Paragraph, Part, Picture, Section, Table
from aurefine.report.plots import draw_map_slices
from aurefine.report.postprocess import fsc_figure, guinier_figure
from aurefine.report.saving import figure_png

__all__ = ["map_sections", "particle_sections", "postprocess_methods", "postprocess_sections"]

_CURVES = {
    "rlnFourierShellCorrelationCorrected": "corrected",
    "rlnFourierShellCorrelationMaskedMaps": "masked",
    "rlnFourierShellCorrelationUnmaskedMaps": "unmasked",
    "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": "phase-randomised",
}
_AMPLITUDES = {
    "rlnLogAmplitudesOriginal": "as reconstructed",
    "rlnLogAmplitudesMTFCorrected": "divided by the MTF",
    "rlnLogAmplitudesWeighted": "FSC-weighted",
    "rlnLogAmplitudesSharpened": "sharpened",
}
_NUMBERS = {
    "rlnFinalResolution": "resolution, FSC = 0.143 (Å)",
    "rlnBfactorUsedForSharpening": "B-factor (Å²)",
    "rlnFittedSlopeGuinierPlot": "slope of the Guinier plot (Å²)",
    "rlnCorrelationFitGuinierPlot": "correlation of the fit",
    "rlnRandomiseFrom": "phases randomised from (Å)",
    "rlnMolecularWeight": "molecular weight (kDa)",
}


def postprocess_sections(folder: Path) -> list[Section]:
    """Return FSC curves, the Guinier plot and slices of the sharpened map.

    Raises
    ------
    AurefineError
        If ``postprocess.star`` is missing or malformed.
    """
    star = read_star(folder / "postprocess.star")
    general = star.values("general")
    fsc = star.table("fsc")
    curves = {
        name: fsc[label].to_numpy(np.float64) for label, name in _CURVES.items() if label in fsc
    }
    resolution = float(general["rlnFinalResolution"])
    figure = fsc_figure(
        fsc["rlnResolution"].to_numpy(np.float64), curves, resolution, "Fourier shell correlation"
    )
    parts: list[Part] = [
        Table([(title, f"{general[k]:.4g}") for k, title in _NUMBERS.items() if k in general]),
        Picture(figure_png(figure), "FSC between the half maps."),
    ]
    if "guinier" in star:
        guinier = star.table("guinier")
        amplitudes = {
            name: guinier[label].to_numpy(np.float64)
            for label, name in _AMPLITUDES.items()
            if label in guinier
        }
        line = None
        if "rlnFittedSlopeGuinierPlot" in general:
            line = (
                float(general["rlnFittedSlopeGuinierPlot"]),
                float(general["rlnFittedInterceptGuinierPlot"]),
            )
        squared = guinier["rlnResolutionSquared"].to_numpy(np.float64)
        figure = guinier_figure(squared, amplitudes, line, "Guinier plot")
        parts.append(Picture(figure_png(figure), "Guinier plot."))
    sections = [Section("Resolution and sharpening", parts)]
    return sections + map_sections(folder / "postprocess_masked.mrc", "Sharpened and masked map")


def postprocess_methods(folder: Path, program: str) -> str:
    """Return a paragraph for a methods section, with the numbers of this job."""
    general = read_star(folder / "postprocess.star", only=["general"]).values("general")
    text = (
        f"The half maps were post-processed with {program}. The resolution is "
        f"{float(general['rlnFinalResolution']):.2f} Å, where the gold-standard FSC "
    )
    if "rlnMaskName" in general and "rlnRandomiseFrom" in general:
        text += (
            "within a soft mask, corrected for the effect of the mask by randomising phases beyond "
            f"{float(general['rlnRandomiseFrom']):.1f} Å, "
        )
    text += "falls below 0.143."
    bfactor = float(general.get("rlnBfactorUsedForSharpening", 0.0))
    if bfactor:
        how = " estimated from the Guinier plot" if "rlnFittedSlopeGuinierPlot" in general else ""
        text += f" The map was sharpened with a B-factor of {bfactor:.1f} Å²{how}."
    return text


def map_sections(path: Path, title: str) -> list[Section]:
    """Return slices and statistics of a map."""
    try:
        volume, pixel_size = read_map(path)
    except AurefineError as error:
        return [Section(title, [Paragraph(str(error), is_notice=True)])]
    size = float(pixel_size or 1.0)
    rows = [
        ("box (px)", " × ".join(str(n) for n in volume.shape[::-1])),
        ("pixel size (Å)", f"{size:.6g}" if pixel_size else "unknown"),
        ("lowest, highest value", f"{volume.min():.4g}, {volume.max():.4g}"),
        ("mean, standard deviation", f"{volume.mean():.4g}, {volume.std():.4g}"),
    ]
    parts: list[Part] = [Table(rows)]
    if volume.ndim == 3 and len(set(volume.shape)) == 1:
        figure = draw_map_slices(volume, size, title=title)
        parts.append(Picture(figure_png(figure), "Central slices and projections."))
    return [Section(title, parts)]


def particle_sections(path: Path, project: Path) -> list[Section]:
    """Return the numbers of a particle file and some of its images.

    Parameters
    ----------
    path : Path
        STAR file of the particles.
    project : Path
        Folder that image names start from.

    Raises
    ------
    AurefineError
        If the file is missing or malformed.
    """
    table = read_particles(path, root=project)
    particles, optics = table.particles, table.optics
    rows = [("particles", f"{len(particles):,}"), ("optics groups", str(len(optics)))]
    if "rlnMicrographName" in particles:
        rows.append(("micrographs", f"{particles['rlnMicrographName'].nunique():,}"))
    for label, title in (
        ("rlnImageSize", "box (px)"),
        ("rlnImagePixelSize", "pixel size (Å)"),
        ("rlnVoltage", "voltage (kV)"),
        ("rlnSphericalAberration", "spherical aberration (mm)"),
    ):
        if label in optics:
            rows.append((title, ", ".join(f"{v:g}" for v in optics[label].unique())))
    if "rlnDefocusU" in particles:
        defocus = (particles["rlnDefocusU"] + particles["rlnDefocusV"]) / 2e4
        rows.append(("defocus (µm)", f"{defocus.min():.2f} to {defocus.max():.2f}"))
    parts: list[Part] = [Table(rows)]
    names = particles["rlnImageName"]
    chosen = names.iloc[np.unique(np.linspace(0, len(names) - 1, 40).astype(int))]
    try:
        picture = _montage([str(name) for name in chosen], project)
        parts.append(Picture(picture, f"{len(chosen)} of the particles, evenly spread."))
    except AurefineError as error:
        parts.append(Paragraph(f"The images can not be shown: {error}", is_notice=True))
    return [Section("Particles", parts)]


def _montage(names: list[str], project: Path) -> bytes:
    from matplotlib.figure import Figure

    from aurefine.io import read_image

    columns = 10
    n_rows = -(-len(names) // columns)
    figure = Figure(figsize=(10, n_rows + 0.1), layout="constrained")
    grid = figure.subplots(n_rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, name in zip(grid.flat, names, strict=False):
        number, mark, stack = name.rpartition("@")
        path = project / stack
        image = read_image(f"{number}{mark}{path}")
        low, high = np.percentile(image, (1, 99))
        axes.imshow(image, cmap="gray", vmin=low, vmax=high)
    return figure_png(figure, dpi=90)
