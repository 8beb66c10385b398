"""Option table of *Particle extraction*."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["EXTRACT_OPTIONS"]

_OFF = Range(1, also=(-1,))

_INPUT = (
    Option(
        name="micrographs", flag="--i", aliases=("--micrographs",), kind="path", required=True,
        tab="Input", label="Micrograph STAR file", job_variable="star_mics",
        help="STAR file of the micrographs to extract from, e.g. CtfFind/job003/"
        "micrographs_ctf.star.",
    ),
    Option(
        name="refined_particles", flag="--reextract_data_star", kind="path", default="",
        tab="Input", label="Refined particles STAR file", job_variable="fndata_reextract",
        help="Particles of a refinement or classification to extract again.",
    ),
    Option(
        name="coordinate_list", flag="--coord_list", kind="path", default="", tab="Input",
        label="Input coordinates", job_variable="coords_suffix",
        help="STAR file that lists one coordinate file for each micrograph.",
    ),
    Option(
        name="coordinate_suffix", flag="--coord_suffix", kind="str", default="", tab="Input",
        label="Coordinate-file suffix",
        help="End of the names of the coordinate files, e.g. _picked.star or .box.",
    ),
    Option(
        name="coordinate_folder", flag="--coord_dir", kind="path", default="ASINPUT", tab="Input",
        label="Coordinate-file folder",
        help="Folder of the coordinate files; ASINPUT stands for that of the micrographs.",
    ),
    Option(
        name="micrograph_pixel_size", flag="--angpix", aliases=("--micrograph_pixel_size",),
        kind="float", default=-1.0, unit="Å", tab="Input", label="Manually set pixel size",
        range=Range(0, open_low=True, also=(-1,)),
        help="Pixel size of the micrographs, in place of the one in their STAR file.",
    ),
    Option(
        name="reset_offsets", flag="--reset_offsets", kind="bool", default=False, tab="Input",
        label="Reset the refined offsets to zero?", job_variable="do_reset_offsets",
        help="Set the offsets to zero and leave the coordinates.",
    ),
    Option(
        name="recentre", flag="--recenter", aliases=("--recentre",), kind="bool", default=False,
        tab="Input", label="Re-center refined coordinates?", job_variable="do_recenter",
        help="Move the whole pixels of the offsets into the coordinates.",
    ),
    *(
        Option(
            name=f"recentre_{axis}", flag=f"--recenter_{axis}", aliases=(f"--recentre_{axis}",),
            kind="float", default=0.0, unit="px", tab="Input",
            label=f"Recenter on - {axis.upper()}", job_variable=f"recenter_{axis}",
            help=f"{axis.upper()} of the point of the reference, from its centre, that must land "
            "in the box centre.",
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
        label="Minimum autopick FOM", job_variable="minimum_pick_fom",
        help="Keep particles with a figure of merit (rlnAutopickFigureOfMerit) above this value; "
        "-999: all.",
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
    ),
    Option(
        name="part_star", flag="--part_star", kind="path", default="", tab="Output",
        label="Particles STAR file",
        help="STAR file of all extracted particles; none if not given.",
    ),
    Option(
        name="pick_star", flag="--pick_star", kind="path", default="", tab="Output",
        label="Coordinates STAR file",
        help="STAR file that lists the new coordinates of each micrograph; none if not given.",
    ),
    Option(
        name="float16", flag="--float16", kind="bool", default=False, tab="Output",
        label="Write output in float16?", job_variable="do_float16",
        help="Write half-precision stacks, which RELION 3.1 can not read.",
    ),
    Option(
        name="dialect", flag="--dialect", kind="choice", default="5.0", choices=("5.0", "3.1"),
        tab="Output", label="RELION version of the files",
        help="Write STAR files and image names as this version of RELION.",
    ),
)  # fmt: skip

_EXTRACT = (
    Option(
        name="extract", flag="--extract", kind="bool", default=True, tab="Extract",
        label="Extract particles", help="Extract particles; always on in this program.",
    ),
    Option(
        name="extract_size", flag="--extract_size", aliases=("--box_size",), kind="int",
        required=True, unit="px", tab="Extract", label="Particle box size",
        job_variable="extract_size", range=Range(2),
        help="Box in pixels of the micrograph; even.",
    ),
    Option(
        name="scale", flag="--scale", aliases=("--rescale",), kind="int", default=-1, unit="px",
        tab="Extract", label="Re-scaled size", job_variable="rescale", range=_OFF,
        help="Rescale the particles to this box by cropping or padding in Fourier space.",
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
        tab="Extract", label="Normalize particles?", job_variable="do_norm",
        help="Bring the background to mean 0 and standard deviation 1.",
    ),
    Option(
        name="background_radius", flag="--bg_radius", aliases=("--background_radius",),
        kind="int", default=-1, unit="px", tab="Extract", label="Radius of the background circle",
        range=Range(0, also=(-1,)),
        help="Pixels of the new image further than this from its centre are background.",
    ),
    Option(
        name="no_ramp", flag="--no_ramp", kind="bool", default=False, tab="Extract",
        label="No ramp", help="Subtract the mean of the background, not a plane.",
    ),
    *(
        Option(
            name=f"{colour}_dust", flag=f"--{colour}_dust", kind="float", default=-1.0,
            tab="Extract", label=f"Stddev for {colour} dust removal", job_variable=f"{colour}_dust",
            help=f"Replace pixels that are {relation} the background by more than so many "
            "standard deviations; -1: none.",
        )
        for colour, relation in (("white", "above"), ("black", "below"))
    ),
    Option(
        name="invert_contrast", flag="--invert_contrast", kind="bool", default=False,
        tab="Extract", label="Invert contrast?", job_variable="do_invert",
        help="Multiply the images by -1.",
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
    ),
    Option(
        name="only_unfinished", flag="--only_do_unfinished", kind="bool", default=False,
        tab="Running", label="Only unfinished micrographs",
        help="Leave micrographs alone whose particles have been written before.",
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
    ),
    Option(
        name="debug", flag="--debug", kind="bool", default=False, tab="Running", label="Debug",
        help="Show the place in the program with each error message.",
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

EXTRACT_OPTIONS: tuple[Option, ...] = (*_INPUT, *_OUTPUT, *_EXTRACT, *_RUNNING, *_REFUSED)
