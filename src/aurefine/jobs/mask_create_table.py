"""Option table of *Mask creation*."""

from __future__ import annotations

from aurefine.jobs.options import Form, Option, Range, fixed_fields

__all__ = ["MASK_OPTIONS"]

_OFF = Range(0, also=(-1,))
_NOT_NEGATIVE = Range(0)

_INPUT = (
    Option(
        name="input", flag="--i", aliases=("--input",), kind="path", default="", tab="Input",
        label="Input 3D map", help="Map to make the mask from.",
        form=Form(
            key="fn_in", tab="I/O", label="Input 3D map:",
            nodes=("map", "postprocessed", "halfmap"), pattern="*.mrc *.map", is_required=True,
        ),
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="mask.mrc",
        tab="Input", label="Output", help="Mask to write.",
        in_form=False,
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Input", label="Pixel size", range=_OFF,
        help="Pixel size for the filter and the header; by default that of the map.",
        form=Form(
            key="angpix", tab="Mask", label="Pixel size (A)", default="-1", slider=(0.3, 5, 0.1),
            continues="both", writes="positive",
        ),
    ),
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1, tab="Input",
        label="Number of threads", range=Range(1),
        help="Threads for transforms and distances.",
        form=Form(
            key="nr_threads", tab="Running", label="Number of threads:", slider=(1, 16, 1),
            continues="both",
        ),
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="str", default="", tab="Input",
        label="Job directory", hidden=True, help="Job directory for the marker files.",
        in_form=False,
    ),
)  # fmt: skip

_MASK = (
    Option(
        name="lowpass", flag="--lowpass", kind="float", default=-1.0, unit="Å", tab="Mask",
        label="Lowpass filter map", range=_OFF,
        help="Low-pass filter the map first; 15 is usual.",
        form=Form(
            key="lowpass_filter", label="Lowpass filter map (A)", default="15", slider=(10, 100, 5),
            continues="both", writes="positive",
        ),
    ),
    Option(
        name="threshold", flag="--ini_threshold", aliases=("--threshold",), kind="float",
        default=0.01, tab="Mask", label="Initial binarisation threshold",
        help="Grey value from which on a voxel belongs to the mask.",
        form=Form(
            key="inimask_threshold", label="Initial binarisation threshold:", default="0.02",
            slider=(0, 0.5, 0.01), continues="both",
        ),
    ),
    Option(
        name="auto_threshold", flag="--auto_threshold", kind="bool", default=False, tab="Mask",
        label="Choose the threshold",
        help="Choose the threshold from the histogram of the (filtered) map instead.",
    ),
    Option(
        name="extend", flag="--extend_inimask", aliases=("--extend",), kind="float", default=0.0,
        unit="px", tab="Mask", label="Extend binary map this many pixels",
        help="Grow (or, if negative, shrink) the binary mask.",
        form=Form(
            key="extend_inimask", label="Extend binary map this many pixels:", default="3",
            slider=(0, 20, 1), continues="both",
        ),
    ),
    Option(
        name="soft_edge", flag="--width_soft_edge", aliases=("--soft_edge",), kind="float",
        default=0.0, unit="px", tab="Mask", label="Add a soft-edge of this many pixels",
        range=_NOT_NEGATIVE,
        help="Width of the raised-cosine edge outside the binary mask.",
        form=Form(
            key="width_mask_edge", label="Add a soft-edge of this many pixels:", default="3",
            slider=(0, 20, 1), continues="both",
        ),
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
        label="Make a shell", in_form=False, help="Make a spherical shell (or ball) without a map.",
    ),
    Option(
        name="box_size", flag="--box_size", kind="int", default=-1, unit="px",
        tab="Spherical shell", label="Box size", range=_OFF, in_form=False,
        help="Box size of the shell.",
    ),
    Option(
        name="inner_radius", flag="--inner_radius", kind="float", default=0.0, unit="px",
        tab="Spherical shell", label="Inner radius", range=_NOT_NEGATIVE,
        in_form=False, help="Inner radius; 0 for a ball.",
    ),
    Option(
        name="outer_radius", flag="--outer_radius", kind="float", default=99999.0, unit="px",
        tab="Spherical shell", label="Outer radius", range=_NOT_NEGATIVE, in_form=False,
        help="Outer radius.",
    ),
    *(
        Option(
            name=f"centre_{axis}", flag=f"--center_{axis}", kind="float", default=0.0, unit="px",
            tab="Spherical shell", label=f"Centre in {axis}",
            in_form=False, help=f"{axis} of the centre, from the middle of the box.",
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
    *fixed_fields(_HELIX, "do_helix No helical_z_percentage 30"),
)  # fmt: skip
