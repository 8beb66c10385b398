"""Option table of *Particle extraction*."""

from __future__ import annotations

from collections.abc import Mapping

from aurefine.jobs.options import Form, Option, Range, fixed_fields

__all__ = ["EXTRACT_OPTIONS"]

_OFF = Range(1, also=(-1,))


def coordinates(values: Mapping[str, str]) -> list[str]:
    """Tell a list of coordinate files from the old form, FOLDER/coords_suffix_END.star."""
    name = values["coords_suffix"].strip()
    folder, mark, rest = name.rpartition("coords_suffix")
    if mark and "/" not in rest:
        return ["--coord_dir", folder, "--coord_suffix", rest]
    return ["--coord_list", name] if name else []


def background(values: Mapping[str, str]) -> list[str]:
    """Turn the diameter before rescaling [px] into the radius after it."""
    size = float(values["extract_size"])
    diameter = float(values["bg_diameter"])
    radius = (0.75 * size if diameter < 0 else diameter) / 2
    if values["do_rescale"] == "Yes":
        radius *= float(values["rescale"]) / size
    return ["--bg_radius", str(int(radius))]


_INPUT = (
    Option(
        name="micrographs", flag="--i", aliases=("--micrographs",), kind="path", required=True,
        tab="Input", label="Micrograph STAR file",
        help="STAR file of the micrographs to extract from, e.g. CtfFind/job003/"
        "micrographs_ctf.star.",
        form=Form(
            key="star_mics", tab="I/O", label="micrograph STAR file:", default="",
            nodes=("micrographs",), pattern="*.star", is_required=True,
        ),
    ),
    Option(
        name="refined_particles", flag="--reextract_data_star", kind="path", default="",
        tab="Input", label="Refined particles STAR file",
        help="Particles of a refinement or classification to extract again.",
        form=Form(
            key="fndata_reextract", tab="I/O", label="Refined particles STAR file:",
            nodes=("particles",), pattern="*.star", needs="do_reextract",
        ),
    ),
    Option(
        name="coordinate_list", flag="--coord_list", kind="path", default="", tab="Input",
        label="Input coordinates",
        help="STAR file that lists one coordinate file for each micrograph.",
        form=Form(
            key="coords_suffix", tab="I/O", label="Input coordinates:", nodes=("coordinates",),
            pattern="*.star *.box", needs="!do_reextract", argument=coordinates,
        ),
    ),
    Option(
        name="coordinate_suffix", flag="--coord_suffix", kind="str", default="", tab="Input",
        label="Coordinate-file suffix",
        help="End of the names of the coordinate files, e.g. _picked.star or .box.",
        in_form=False,
    ),
    Option(
        name="coordinate_folder", flag="--coord_dir", kind="path", default="ASINPUT", tab="Input",
        label="Coordinate-file folder",
        help="Folder of the coordinate files; ASINPUT stands for that of the micrographs.",
        in_form=False,
    ),
    Option(
        name="micrograph_pixel_size", flag="--angpix", aliases=("--micrograph_pixel_size",),
        kind="float", default=-1.0, unit="Å", tab="Input", label="Manually set pixel size",
        range=Range(0, open_low=True, also=(-1,)),
        help="Pixel size of the micrographs, in place of the one in their STAR file.",
    ),
    Option(
        name="reset_offsets", flag="--reset_offsets", kind="bool", default=False, tab="Input",
        label="Reset the refined offsets to zero?",
        help="Set the offsets to zero and leave the coordinates.",
        form=Form(
            key="do_reset_offsets", tab="I/O", label="Reset the refined offsets to zero?",
            needs="do_reextract",
        ),
    ),
    Option(
        name="recentre", flag="--recenter", aliases=("--recentre",), kind="bool", default=False,
        tab="Input", label="Re-center refined coordinates?",
        help="Move the whole pixels of the offsets into the coordinates.",
        form=Form(
            key="do_recenter", tab="I/O", label="OR: re-center refined coordinates?",
            needs="do_reextract",
        ),
    ),
    *(
        Option(
            name=f"recentre_{axis}", flag=f"--recenter_{axis}", aliases=(f"--recentre_{axis}",),
            kind="float", default=0.0, unit="px", tab="Input",
            label=f"Recenter on - {axis.upper()}",
            help=f"{axis.upper()} of the point of the reference, from its centre, that must land "
            "in the box centre.",
            form=Form(
                key=f"recenter_{axis}", tab="I/O", label=f"Recenter on - {axis.upper()} (pix):",
                default="0", needs="do_reextract do_recenter",
            ),
        )
        for axis in "xyz"
    ),
    Option(
        name="reference_pixel_size", flag="--ref_angpix", kind="float", default=-1.0, unit="Å",
        tab="Input", label="Pixel size of the reference",
        range=Range(0, open_low=True, also=(-1,)),
        help="Pixel size that the point is given in; -1: that of the particles.",
    ),
    Option(
        name="keep_micrograph_ctf", flag="--keep_ctfs_micrographs", kind="bool", default=False,
        tab="Input", label="Take the CTF from the micrographs",
        help="Take defocus and optics from the micrographs, not from the particles.",
    ),
    Option(
        name="minimum_fom", flag="--minimum_pick_fom", kind="float", default=-999.0, tab="Input",
        label="Minimum autopick FOM",
        help="Keep particles with a figure of merit (rlnAutopickFigureOfMerit) above this value; "
        "-999: all.",
        form=Form(
            key="minimum_pick_fom", tab="extract", label="Minimum autopick FOM:", default="0",
            slider=(-5, 10, 0.1), needs="do_fom_threshold", version="5.0",
        ),
    ),
    Option(
        name="selection_type", flag="--selection_type", kind="int", default=0, tab="Input",
        label="Selection type",
        help="Keep particles with this rlnParticleSelectionType; 0: all.",
    ),
)  # fmt: skip

_OUTPUT = (
    Option(
        name="part_dir", flag="--part_dir", aliases=("--o",), kind="path", default="Particles/",
        tab="Output", label="Output folder", help="Folder for the particle stacks.",
        in_form=False,
    ),
    Option(
        name="part_star", flag="--part_star", kind="path", default="", tab="Output",
        label="Particles STAR file",
        help="STAR file of all extracted particles; none if not given.",
        in_form=False,
    ),
    Option(
        name="pick_star", flag="--pick_star", kind="path", default="", tab="Output",
        label="Coordinates STAR file",
        help="STAR file that lists the new coordinates of each micrograph; none if not given.",
        in_form=False,
    ),
    Option(
        name="float16", flag="--float16", kind="bool", default=False, tab="Output",
        label="Write output in float16?",
        help="Write half-precision stacks, which RELION 3.1 can not read.",
        form=Form(
            key="do_float16", tab="I/O", label="Write output in float16?", default="Yes",
            default_31="No", version="5.0",
        ),
    ),
    Option(
        name="dialect", flag="--dialect", kind="choice", default="5.0", choices=("5.0", "3.1"),
        tab="Output", label="RELION version of the files",
        help="Write STAR files and image names as this version of RELION.",
        in_form=False,
    ),
)  # fmt: skip

_EXTRACT = (
    Option(
        name="extract", flag="--extract", kind="bool", default=True, tab="Extract",
        label="Extract particles", help="Extract particles; always on in this program.",
        in_form=False,
    ),
    Option(
        name="extract_size", flag="--extract_size", aliases=("--box_size",), kind="int",
        required=True, unit="px", tab="Extract", label="Particle box size", range=Range(2),
        help="Box in pixels of the micrograph; even.",
        form=Form(
            key="extract_size", tab="extract", label="Particle box size (pix):", default="128",
            slider=(64, 512, 8), is_required=True,
        ),
    ),
    Option(
        name="scale", flag="--scale", aliases=("--rescale",), kind="int", default=-1, unit="px",
        tab="Extract", label="Re-scaled size", range=_OFF,
        help="Rescale the particles to this box by cropping or padding in Fourier space.",
        form=Form(
            key="rescale", tab="extract", label="Re-scaled size (pixels):", default="128",
            slider=(64, 512, 8), needs="do_rescale",
        ),
    ),
    Option(
        name="window", flag="--window", kind="int", default=-1, unit="px", tab="Extract",
        label="Re-windowed size", range=_OFF,
        help="Crop the particles to this box, or pad them with zeros, after rescaling.",
    ),
    Option(
        name="relion_window", flag="--relion_window", kind="bool", default=False, tab="Extract",
        label="Window as RELION does",
        help="With --scale and --window: crop off the centre, as RELION does.",
    ),
    Option(
        name="normalise", flag="--norm", aliases=("--normalise",), kind="bool", default=False,
        tab="Extract", label="Normalize particles?",
        help="Bring the background to mean 0 and standard deviation 1.",
        form=Form(key="do_norm", tab="extract", label="Normalize particles?", default="Yes"),
    ),
    Option(
        name="background_radius", flag="--bg_radius", aliases=("--background_radius",),
        kind="int", default=-1, unit="px", tab="Extract", label="Radius of the background circle",
        range=Range(0, also=(-1,)),
        help="Pixels of the new image further than this from its centre are background.",
        form=Form(
            help="Pixels outside of this circle, before rescaling, are background; negative: 75% "
            "of the box.",
            key="bg_diameter", tab="extract", label="Diameter background circle (pix):",
            default="-1", slider=(-1, 600, 10), kind="float", needs="do_norm", range=Range(),
            argument=background,
        ),
    ),
    Option(
        name="no_ramp", flag="--no_ramp", kind="bool", default=False, tab="Extract",
        label="No ramp", help="Subtract the mean of the background, not a plane.",
    ),
    *(
        Option(
            name=f"{colour}_dust", flag=f"--{colour}_dust", kind="float", default=-1.0,
            tab="Extract", label=f"Stddev for {colour} dust removal",
            help=f"Replace pixels that are {relation} the background by more than so many "
            "standard deviations; -1: none.",
            form=Form(
                key=f"{colour}_dust", tab="extract", default="-1", needs="do_norm",
                label=f"Stddev for {colour} dust removal:", slider=(-1, 10, 0.1),
            ),
        )
        for colour, relation in (("white", "above"), ("black", "below"))
    ),
    Option(
        name="invert_contrast", flag="--invert_contrast", kind="bool", default=False,
        tab="Extract", label="Invert contrast?",
        help="Multiply the images by -1.",
        form=Form(key="do_invert", tab="extract", label="Invert contrast?", default="Yes"),
    ),
    Option(
        name="bias_x", flag="--extract_bias_x", kind="int", default=0, unit="px", tab="Extract",
        label="Bias in x", help="Added to the x coordinates.",
    ),
    Option(
        name="bias_y", flag="--extract_bias_y", kind="int", default=0, unit="px", tab="Extract",
        label="Bias in y", help="Added to the y coordinates.",
    ),
)  # fmt: skip

_RUNNING = (
    Option(
        name="n_workers", flag="--j", aliases=("--threads",), kind="int", default=1,
        tab="Running", label="Number of threads", range=Range(1, 1024),
        help="Micrographs that are worked on at the same time by each process (MPI rank).",
        form=Form(
            key="aurefine_n_workers", tab="Running", label="Number of threads:",
            slider=(1, 16, 1), continues="both",
        ),
    ),
    Option(
        name="only_unfinished", flag="--only_do_unfinished", kind="bool", default=False,
        tab="Running", label="Only unfinished micrographs",
        help="Leave micrographs alone whose particles have been written before.",
        in_form=False,
    ),
    Option(
        name="skip_bad_micrographs", flag="--skip_bad_micrographs", kind="bool", default=False,
        tab="Running", label="Skip bad micrographs",
        help="Go on without a micrograph that is missing or can not be read, and list it.",
    ),
    Option(
        name="stop_at_bad_particles", flag="--stop_at_bad_particles", kind="bool", default=False,
        tab="Running", label="Stop at bad particles",
        help="Stop, as RELION does, at a particle whose window is completely outside its "
        "micrograph; otherwise such particles are left out and listed.",
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="path", default="",
        tab="Running", label="Job directory",
        help="Directory (with a slash at its end) for the markers of success, failure and abort.",
        in_form=False,
    ),
    Option(
        name="debug", flag="--debug", kind="bool", default=False, tab="Running", label="Debug",
        help="Show the place in the program with each error message.",
        in_form=False,
    ),
)  # fmt: skip

_HELIX = "helical extraction is outside the scope of this program; use RELION for filaments."
_STACKS = "this program extracts from micrographs; use 'aurefine image-handler' for stacks."
_CTF = (
    "particles are extracted unchanged, as refinement wants them; use RELION to extract images "
    "that are multiplied by their CTF."
)

_REFUSED = tuple(
    Option(name=name, flag=flag, label=flag, kind="str", status="refused", note=note, hidden=True)
    for name, flag, note in (
        ("helix", "--helix", _HELIX),
        ("helical", "--helical_*", _HELIX),
        ("operate_on", "--operate_on", _STACKS),
        ("operate_out", "--operate_out", _STACKS),
        ("project3d", "--project3d", "sub-tomograms are not supported."),
        ("premultiply_ctf", "--premultiply_ctf", _CTF),
        ("premultiply_size", "--premultiply_extract_size", _CTF),
        ("phase_flip", "--phase_flip", _CTF),
        ("ctf_intact_first_peak", "--ctf_intact_first_peak", _CTF),
    )
)

_ONLY_IN_FORM = (
    Option(
        name="do_reextract", label="OR re-extract refined particles?", kind="bool", default=False,
        tab="I/O", status="form", form=Form(key="do_reextract"),
        help="Take coordinates and offsets from refined particles instead of coordinate files.",
    ),
    Option(
        name="do_rescale", label="Rescale particles?", kind="bool", default=False, tab="extract",
        status="form", form=Form(key="do_rescale"),
        help="Change the pixel size of the particles by cropping in Fourier space.",
    ),
    Option(
        name="do_fom_threshold", label="Use autopick FOM threshold?", kind="bool", default=False,
        tab="extract", status="form", form=Form(key="do_fom_threshold", version="5.0"),
        help="Leave out particles with a low figure of merit.",
    ),
    *fixed_fields(
        _HELIX,
        "do_extract_helix No helical_tube_outer_diameter 200 helical_bimodal_angular_priors Yes "
        "do_extract_helical_tubes Yes do_cut_into_segments Yes helical_nr_asu 1 helical_rise 1",
    ),
)  # fmt: skip

EXTRACT_OPTIONS: tuple[Option, ...] = (
    *_INPUT,
    *_OUTPUT,
    *_EXTRACT,
    *_RUNNING,
    *_REFUSED,
    *_ONLY_IN_FORM,
)
