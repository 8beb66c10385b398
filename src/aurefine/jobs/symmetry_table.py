"""Option tables of *Symmetry* and *Align symmetry*."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["ALIGN_OPTIONS", "SYMMETRY_OPTIONS"]

_CONTROL = Option(
    name="pipeline_control", flag="--pipeline_control", kind="str", default="", tab="Files",
    label="Job directory", hidden=True, help="Job directory for the marker files.",
)  # fmt: skip

SYMMETRY_OPTIONS: tuple[Option, ...] = (
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", required=True,
        tab="Symmetry", label="Point group",
        help="Cn, Dn, T, O, I (= I2), I1, I2, I3 or I4; may stand without the flag.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="", tab="Symmetry",
        label="Output root name",
        help="Beginning of output names: ROOT.png and ROOT.pdf with the axes and the asymmetric "
        "unit, ROOT.star with the operators. Nothing is written without it.",
    ),
    _CONTROL,
)  # fmt: skip

ALIGN_OPTIONS: tuple[Option, ...] = (
    Option(
        name="input", flag="--i", aliases=("--input",), kind="path", required=True, tab="Files",
        label="Map", help="Map that has the symmetry, but about other axes.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="aligned.mrc",
        tab="Files", label="Aligned map", help="File to write.",
    ),
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", required=True,
        tab="Alignment", label="Point group", help="Cn, Dn, T, O, I (= I2), I1, I2, I3 or I4.",
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Alignment", label="Pixel size", range=Range(0, also=(-1,)),
        help="By default that of the header.",
    ),
    Option(
        name="particle_diameter", flag="--particle_diameter", kind="float", default=-1.0,
        unit="Å", tab="Alignment", label="Particle diameter", range=Range(0, also=(-1,)),
        help="What lies outside does not count; by default 0.8 boxes.",
    ),
    Option(
        name="keep_centre", flag="--keep_centre", kind="bool", default=False, tab="Alignment",
        label="Keep the centre", help="Rotate only.",
    ),
    Option(
        name="apply", flag="--apply", kind="bool", default=False, tab="Alignment",
        label="Apply the symmetry", help="Average the aligned map over the point group.",
    ),
    _CONTROL,
)  # fmt: skip
