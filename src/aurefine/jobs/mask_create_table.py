"""Option table of *Mask creation*."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["MASK_OPTIONS"]

_OFF = Range(0, also=(-1,))
_NOT_NEGATIVE = Range(0)

_INPUT = (
    Option(
        name="input", flag="--i", aliases=("--input",), kind="path", default="", tab="Input",
        label="Input 3D map", job_variable="fn_in", help="Map to make the mask from.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="mask.mrc",
        tab="Input", label="Output", help="Mask to write.",
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Input", label="Pixel size", range=_OFF, job_variable="angpix",
        help="Pixel size for the filter and the header; by default that of the map.",
    ),
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1, tab="Input",
        label="Number of threads", range=Range(1), job_variable="nr_threads",
        help="Threads for transforms and distances.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="str", default="", tab="Input",
        label="Job directory", hidden=True, help="Job directory for the marker files.",
    ),
)  # fmt: skip

_MASK = (
    Option(
        name="lowpass", flag="--lowpass", kind="float", default=-1.0, unit="Å", tab="Mask",
        label="Lowpass filter map", range=_OFF, job_variable="lowpass_filter",
        help="Low-pass filter the map first; 15 is usual.",
    ),
    Option(
        name="threshold", flag="--ini_threshold", aliases=("--threshold",), kind="float",
        default=0.01, tab="Mask", label="Initial binarisation threshold",
        job_variable="inimask_threshold",
        help="Grey value from which on a voxel belongs to the mask.",
    ),
    Option(
        name="auto_threshold", flag="--auto_threshold", kind="bool", default=False, tab="Mask",
        label="Choose the threshold",
        help="Choose the threshold from the histogram of the (filtered) map instead.",
    ),
    Option(
        name="extend", flag="--extend_inimask", aliases=("--extend",), kind="float", default=0.0,
        unit="px", tab="Mask", label="Extend binary map this many pixels",
        job_variable="extend_inimask", help="Grow (or, if negative, shrink) the binary mask.",
    ),
    Option(
        name="soft_edge", flag="--width_soft_edge", aliases=("--soft_edge",), kind="float",
        default=0.0, unit="px", tab="Mask", label="Add a soft-edge of this many pixels",
        range=_NOT_NEGATIVE, job_variable="width_mask_edge",
        help="Width of the raised-cosine edge outside the binary mask.",
    ),
    Option(
        name="invert", flag="--invert", kind="bool", default=False, tab="Mask", label="Invert",
        help="Write one minus the mask.",
    ),
    *(
        Option(
            name=f"combine_{name}", flag=f"--{name}", kind="path", default="", tab="Mask",
            label=label, help=text,
        )
        for name, label, text in (
            ("and", "And", "Keep what is above the threshold in this map too."),
            ("or", "Or", "Add what is above the threshold in this map."),
            ("and_not", "And not", "Keep what is below the threshold in this map."),
            ("or_not", "Or not", "Add what is below the threshold in this map."),
        )
    ),
)  # fmt: skip

_SHELL = (
    Option(
        name="de_novo", flag="--denovo", kind="bool", default=False, tab="Spherical shell",
        label="Make a shell", help="Make a spherical shell (or ball) without a map.",
    ),
    Option(
        name="box_size", flag="--box_size", kind="int", default=-1, unit="px",
        tab="Spherical shell", label="Box size", range=_OFF, help="Box size of the shell.",
    ),
    Option(
        name="inner_radius", flag="--inner_radius", kind="float", default=0.0, unit="px",
        tab="Spherical shell", label="Inner radius", range=_NOT_NEGATIVE,
        help="Inner radius; 0 for a ball.",
    ),
    Option(
        name="outer_radius", flag="--outer_radius", kind="float", default=99999.0, unit="px",
        tab="Spherical shell", label="Outer radius", range=_NOT_NEGATIVE, help="Outer radius.",
    ),
    *(
        Option(
            name=f"centre_{axis}", flag=f"--center_{axis}", kind="float", default=0.0, unit="px",
            tab="Spherical shell", label=f"Centre in {axis}",
            help=f"{axis} of the centre, from the middle of the box.",
        )
        for axis in "xyz"
    ),
)  # fmt: skip

_HELIX = "helices are out of scope; use RELION's program."

MASK_OPTIONS: tuple[Option, ...] = (
    *_INPUT,
    *_MASK,
    *_SHELL,
    Option(
        name="helix", flag="--helix", label="Helix", kind="str", status="refused", note=_HELIX
    ),
    Option(
        name="z_percentage", flag="--z_percentage", label="Helix part", kind="str",
        status="refused", note=_HELIX,
    ),
)  # fmt: skip
