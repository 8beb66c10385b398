"""Option table of the image handler."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["IMAGE_HANDLER_OPTIONS"]

_OFF = Range(0, also=(-1,))  # a length; 0 and -1 are "off"

_FILES = (
    Option(
        name="input", flag="--i", aliases=("--input",), kind="path", required=True, tab="Files",
        label="Input",
        help="Map or image (.mrc), stack (.mrcs), one image N@stack.mrcs, or STAR file of images.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="", tab="Files",
        label="Output",
        help="File to write. For stacks and STAR files a name without .mrcs is inserted before "
        "the extension of the input names.",
    ),
    Option(
        name="float16", flag="--float16", kind="bool", default=False, tab="Files",
        label="Write 16-bit numbers",
        help="Write half-precision numbers (mode 12; RELION 4 and later read them).",
    ),
    Option(
        name="header_pixel_size", flag="--force_header_angpix", kind="float", default=-1.0,
        unit="Å", tab="Files", label="Pixel size for the header", range=_OFF,
        help="Write this pixel size into the header, whatever else happens.",
    ),
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1, tab="Files",
        label="Threads", range=Range(1), help="Threads for Fourier transforms.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="str", default="", tab="Files",
        label="Job directory", hidden=True, help="Job directory for the marker files.",
    ),
)  # fmt: skip

_SIZE = (
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Pixel size and box", label="Pixel size", range=_OFF,
        help="Pixel size for filters and rescaling; by default that of the header.",
    ),
    Option(
        name="rescale_pixel_size", flag="--rescale_angpix", kind="float", default=-1.0, unit="Å",
        tab="Pixel size and box", label="New pixel size", range=_OFF,
        help="Rescale to this pixel size; the box is rounded to an even number.",
    ),
    Option(
        name="new_box", flag="--new_box", kind="int", default=-1, unit="px",
        tab="Pixel size and box", label="New box", range=_OFF,
        help="Cut out or pad with zeros to this box, after rescaling.",
    ),
)  # fmt: skip

_FILTERS = (
    Option(
        name="lowpass", flag="--lowpass", kind="float", default=-1.0, unit="Å", tab="Filters",
        label="Low-pass filter", range=_OFF, help="Low-pass filter at this resolution.",
    ),
    Option(
        name="highpass", flag="--highpass", kind="float", default=-1.0, unit="Å", tab="Filters",
        label="High-pass filter", range=_OFF, help="High-pass filter at this resolution.",
    ),
    Option(
        name="filter_edge", flag="--filter_edge_width", kind="int", default=2, tab="Filters",
        label="Filter edge", range=Range(0), help="Width of the filter edges in Fourier shells.",
    ),
    Option(
        name="bfactor", flag="--bfactor", kind="float", default=0.0, unit="Å^2", tab="Filters",
        label="B-factor", help="Apply a B-factor; negative values sharpen.",
    ),
    Option(
        name="phase_randomise", flag="--phase_randomise", kind="float", default=-1.0, unit="Å",
        tab="Filters", label="Randomise phases", range=_OFF,
        help="Give random phases to everything beyond this resolution.",
    ),
    Option(
        name="random_seed", flag="--random_seed", kind="int", default=0, tab="Filters",
        label="Random seed", range=Range(0), help="Seed of random phases.",
    ),
)  # fmt: skip

_MOVES = (
    Option(
        name="shift_x", flag="--shift_x", kind="float", default=0.0, unit="px", tab="Geometry",
        label="Shift along x", help="Move the content to higher x (linear interpolation).",
    ),
    Option(
        name="shift_y", flag="--shift_y", kind="float", default=0.0, unit="px", tab="Geometry",
        label="Shift along y", help="Move the content to higher y.",
    ),
    Option(
        name="shift_z", flag="--shift_z", kind="float", default=0.0, unit="px", tab="Geometry",
        label="Shift along z", help="Move the content to higher z.",
    ),
    Option(
        name="shift_com", flag="--shift_com", kind="bool", default=False, tab="Geometry",
        label="Centre", help="Move the centre of mass of the positive voxels to the origin.",
    ),
    Option(
        name="flip_x", flag="--flipX", kind="bool", default=False, tab="Geometry",
        label="Mirror x", help="Mirror along x. Filters and arithmetic come first and are kept "
        "(RELION drops them).",
    ),
    Option(
        name="flip_y", flag="--flipY", kind="bool", default=False, tab="Geometry",
        label="Mirror y", help="Mirror along y.",
    ),
    Option(
        name="flip_z", flag="--flipZ", kind="bool", default=False, tab="Geometry",
        label="Mirror z", help="Mirror a map along z.",
    ),
    Option(
        name="invert_hand", flag="--invert_hand", kind="bool", default=False, tab="Geometry",
        label="Invert the hand", help="Mirror along x and keep the origin in place.",
    ),
    Option(
        name="flip_xy", flag="--flipXY", kind="bool", default=False, tab="Geometry",
        label="Transpose", help="Exchange x and y of images.",
    ),
    Option(
        name="flip_mxy", flag="--flipmXY", kind="bool", default=False, tab="Geometry",
        label="Transpose the other way", help="Exchange x and -y of images.",
    ),
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", default="",
        tab="Geometry", label="Symmetry", help="Average a map over this point group.",
    ),
)  # fmt: skip

_ARITHMETIC = (
    *(
        Option(
            name=f"{name}_constant", flag=f"--{name}_constant", kind="float", default=default,
            tab="Arithmetic", label=f"{name.capitalize()} constant", help=text,
        )
        for name, default, text in (
            ("multiply", 1.0, "Multiply by this number."),
            ("divide", 1.0, "Divide by this number."),
            ("add", 0.0, "Add this number."),
            ("subtract", 0.0, "Subtract this number."),
        )
    ),
    *(
        Option(
            name=name, flag=f"--{name}", kind="path", default="", tab="Arithmetic",
            label=name.capitalize(), help=text,
        )
        for name, text in (
            ("multiply", "Multiply by this map or image."),
            ("divide", "Divide by this map or image; 0 where it is 0."),
            ("add", "Add this map or image."),
            ("subtract", "Subtract this map or image."),
        )
    ),
    Option(
        name="threshold_above", flag="--threshold_above", kind="float", default=999.0,
        tab="Arithmetic", label="Upper limit",
        help="Set larger values to this value; 999 is off.",
    ),
    Option(
        name="threshold_below", flag="--threshold_below", kind="float", default=-999.0,
        tab="Arithmetic", label="Lower limit",
        help="Set smaller values to this value; -999 is off.",
    ),
    Option(
        name="remove_nan", flag="--remove_nan", kind="bool", default=False, tab="Arithmetic",
        label="Remove undefined values", help="Replace NaN and infinite values.",
    ),
    Option(
        name="replace_nan", flag="--replace_nan", kind="float", default=0.0, tab="Arithmetic",
        label="Replacement", help="Value to replace them with.",
    ),
    Option(
        name="average", flag="--average", kind="bool", default=False, tab="Arithmetic",
        label="Average", help="Write the average of all images, and do nothing else.",
    ),
)  # fmt: skip

_SHOW = (
    Option(
        name="stats", flag="--stats", kind="bool", default=False, tab="Show",
        label="Statistics", help="Print the statistics of each image.",
    ),
    Option(
        name="com", flag="--com", kind="bool", default=False, tab="Show",
        label="Centre of mass", help="Print the centre of mass of each image.",
    ),
    Option(
        name="fsc", flag="--fsc", kind="path", default="", tab="Show",
        label="FSC", help="Print the Fourier shell correlation with this map.",
    ),
    Option(
        name="power", flag="--power", kind="bool", default=False, tab="Show",
        label="Power spectrum", help="Print the power spectrum.",
    ),
)  # fmt: skip

_RELION = "it is rarely used and not available here; use RELION's image handler."
_MOVIE = "movies are out of scope; use RELION's image handler."
_PICTURE = "pictures are not written; use the report or a viewer."
_REFUSED = (
    ("--guinier*", "use the post-processing, which plots and fits the Guinier curve."),
    ("--directional", _RELION),
    ("--adjust_power", _RELION),
    ("--fourier_filter", _RELION),
    ("--correct_avg_ampl", _RELION),
    ("--minr_ampl_corr", _RELION),
    ("--LoG", _RELION),
    ("--cos_dphi", _RELION),
    ("--optimise_scale_subtract", _RELION),
    ("--optimise_bfactor_subtract", _RELION),
    ("--mask_optimise_subtract", _RELION),
    ("--avg_ampl", _RELION),
    ("--avg_ampl2", _RELION),
    ("--avg_ampl2_ali", _RELION),
    ("--avg_bin", _MOVIE),
    ("--avg_first", _MOVIE),
    ("--avg_last", _MOVIE),
    ("--average_all_movie_frames", _MOVIE),
    ("--add_edge", _MOVIE),
    ("--edge_x0", _MOVIE),
    ("--edge_xF", _MOVIE),
    ("--edge_y0", _MOVIE),
    ("--edge_yF", _MOVIE),
    ("--black", _PICTURE),
    ("--white", _PICTURE),
    ("--sigma_contrast", _PICTURE),
    ("--colour_*", _PICTURE),
)

IMAGE_HANDLER_OPTIONS: tuple[Option, ...] = (
    *_FILES,
    *_SIZE,
    *_FILTERS,
    *_MOVES,
    *_ARITHMETIC,
    *_SHOW,
    *(
        Option(
            name=f"refused_{flag.strip('-*').lower().rstrip('_')}",
            flag=flag,
            label=flag,
            kind="str",
            status="refused",
            note=note,
        )
        for flag, note in _REFUSED
    ),
)
