"""Option table of *Orientations*."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["ORIENTATIONS_OPTIONS"]

_OFF = Range(0, open_low=True, also=(-1,))

ORIENTATIONS_OPTIONS: tuple[Option, ...] = (
    Option(
        name="particles", flag="--i", aliases=("--particles",), kind="path", default="",
        tab="Input", label="Particles", help="Particle STAR file with angles (run_data.star).",
    ),
    Option(
        name="half_map", flag="--half1", aliases=("--half_map",), kind="path", default="",
        tab="Input", label="Half map",
        help="One unfiltered half map; half1 in its name is replaced by half2 for the other.",
    ),
    Option(
        name="other_half_map", flag="--half2", aliases=("--other_half_map",), kind="path",
        default="", tab="Input", label="Other half map", help="If its name is another.",
    ),
    Option(
        name="mask", flag="--mask", kind="path", default="", tab="Input", label="Mask",
        help="Multiplied into both half maps.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="", tab="Output",
        label="Output root name",
        help="Beginning of output names: ROOT.json, ROOT.star, ROOT_sampling.png and "
        "ROOT_directional_fsc.png (and PDF). Nothing is written without it.",
    ),
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", default="C1",
        tab="Analysis", label="Symmetry", help="Point group of the refinement.",
    ),
    Option(
        name="particle_diameter", flag="--particle_diameter", kind="float", default=200.0,
        unit="Å", tab="Analysis", label="Particle diameter", range=Range(0, open_low=True),
        help="With the resolution it says how thick slices are.",
    ),
    Option(
        name="resolution", flag="--resolution", kind="float", default=-1.0, unit="Å",
        tab="Analysis", label="Resolution", range=_OFF,
        help="Of interest; by default that of the half maps, or 10 Å without them.",
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Analysis", label="Pixel size", range=_OFF,
        help="Of the half maps; by default that of the header.",
    ),
    Option(
        name="cone_angle", flag="--cone_angle", kind="float", default=20.0, unit="degrees",
        tab="Analysis", label="Half-angle of cones", range=Range(5, 90),
        help="Smaller cones are noisier.",
    ),
    Option(
        name="threshold", flag="--threshold", kind="float", default=0.143, tab="Analysis",
        label="FSC threshold", range=Range(0, 1), help="At which a resolution is read.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="str", default="",
        tab="Output", label="Job directory", hidden=True,
        help="Job directory for the marker files.",
    ),
)  # fmt: skip
