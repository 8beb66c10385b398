"""Option table of *Import*."""

from __future__ import annotations

from collections.abc import Mapping

from aurefine.jobs.options import Form, Option, Range

__all__ = ["IMPORT_OPTIONS", "NODE_TYPES"]

# text of the choice -> flag of the program and type of the file
NODE_TYPES: dict[str, tuple[str, str]] = {
    "Particle coordinates (*.box, *_pick.star)": (
        "--do_coordinates",
        "MicrographCoordsGroup.star.relion",
    ),
    "Particles STAR file (.star)": ("--do_particles", "ParticleGroupMetadata.star.relion"),
    "Multiple (2D or 3D) references (.star or .mrcs)": (
        "--do_other",
        "Image2DGroupMetadata.star.relion",
    ),
    "Micrographs STAR file (.star)": ("--do_other", "MicrographGroupMetadata.star.relion"),
    "3D reference (.mrc)": ("--do_other", "DensityMap.mrc"),
    "3D mask (.mrc)": ("--do_other", "Mask3D.mrc"),
    "Unfiltered half-map (unfil.mrc)": ("--do_halfmaps", "DensityMap.mrc.halfmap"),
}
_DEFAULT_TYPE = "Particle coordinates (*.box, *_pick.star)"
_IN_MICS = "Movies/mics"


def _input(values: Mapping[str, str]) -> list[str]:
    if values["do_raw"] == "Yes":
        return ["--do_micrographs", "--i", values["fn_in_raw"]]
    return [NODE_TYPES[values["node_type"]][0], "--i", values["fn_in_other"]]


def _of_micrographs(name: str, key: str, default: float, label: str, text: str) -> Option:
    return Option(
        name=name, flag=f"--{key}", label=label.rstrip(":"), kind="float", default=default,
        tab=_IN_MICS, help=text,
        range=Range(0, open_low=True) if default and key != "Q0" and key != "Cs" else Range(),
        form=Form(key=key, label=label, default=f"{default:g}", needs="do_raw"),
    )  # fmt: skip


IMPORT_OPTIONS: tuple[Option, ...] = (
    Option(
        name="do_raw", label="Import raw movies/micrographs?", kind="bool", default=True,
        tab=_IN_MICS, status="form", form=Form(key="do_raw"),
        help="Import micrographs, which get the optics group below.",
    ),
    Option(
        name="raw_files", label="Raw input files:", kind="str", default="Micrographs/*.tif",
        tab=_IN_MICS, status="form", form=Form(key="fn_in_raw", needs="do_raw"),
        help="Names of the micrographs inside the project, with * and ? for any characters, e.g. "
        "Micrographs/*.mrc.",
    ),
    Option(
        name="are_movies", label="Are these multi-frame movies?", kind="bool", default=False,
        tab=_IN_MICS, status="form", form=Form(key="is_multiframe", needs="do_raw"),
        help="Movies are out of scope: correct their motion with RELION first.",
    ),
    Option(
        name="optics_group_name", flag="--optics_group_name", label="Optics group name",
        kind="str", default="opticsGroup1", tab=_IN_MICS,
        help="Name of the group of micrographs with these values: letters, digits and hyphens.",
        form=Form(key="optics_group_name", label="Optics group name:", needs="do_raw"),
    ),
    Option(
        name="mtf", flag="--optics_group_mtf", label="MTF of the detector", kind="path",
        default="", tab=_IN_MICS,
        help="STAR file with the modulation transfer function of the detector.",
        form=Form(
            key="fn_mtf", label="MTF of the detector:", pattern="*.star", needs="do_raw",
        ),
    ),
    _of_micrographs(
        "pixel_size", "angpix", 1.4, "Pixel size (Angstrom):", "Pixel size of the micrographs."
    ),
    _of_micrographs("voltage", "kV", 300, "Voltage (kV):", "Voltage of the microscope."),
    _of_micrographs(
        "spherical_aberration", "Cs", 2.7, "Spherical aberration (mm):",
        "Spherical aberration of the microscope.",
    ),
    _of_micrographs(
        "amplitude_contrast", "Q0", 0.1, "Amplitude contrast:",
        "Fraction of amplitude contrast, often 0.1.",
    ),
    _of_micrographs("beam_tilt_x", "beamtilt_x", 0, "Beamtilt in X (mrad):", "Known beam tilt."),
    _of_micrographs("beam_tilt_y", "beamtilt_y", 0, "Beamtilt in Y (mrad):", "Known beam tilt."),
    Option(
        name="do_other", label="Import other node types?", kind="bool", default=False,
        tab="Others", status="form", form=Form(key="do_other"),
        help="Import a file of another kind; switch the import of micrographs off for it.",
    ),
    Option(
        name="input", flag="--i", label="Input file", kind="str", required=True, tab="Others",
        help="File to import; for micrographs and coordinates with * and ?.",
        form=Form(
            key="fn_in_other", label="Input file:", kind="path", default="ref.mrc",
            needs="do_other", argument=_input, pattern="*.star *.mrc *.mrcs *.map *.box",
        ),
    ),
    Option(
        name="node_type", label="Node type:", kind="choice", default=_DEFAULT_TYPE,
        choices=tuple(NODE_TYPES), tab="Others", status="form", help="What the file is.",
        form=Form(key="node_type", needs="do_other"),
    ),
    Option(
        name="particles_optics_group", flag="--particles_optics_group_name",
        label="Rename optics group for particles", kind="str", default="", tab="Others",
        help="New name of the optics group of the particles; only if there is one group.",
        form=Form(
            key="optics_group_particles", label="Rename optics group for particles:",
            needs="do_other",
        ),
    ),
    Option(
        name="output_folder", flag="--odir", label="Output folder", kind="path", default="Import/",
        tab="Output", in_form=False, help="Where to write.",
    ),
    Option(
        name="output_name", flag="--ofile", label="Output file", kind="str", default="",
        tab="Output", in_form=False, help="Name to write; by default that of the input.",
    ),
    *(
        Option(
            name=flag[2:], flag=flag, label=text, kind="bool", default=False, tab="Kind",
            in_form=False, help=text + ".",
        )
        for flag, text in (
            ("--do_micrographs", "Import micrographs"),
            ("--do_particles", "Import a particles STAR file"),
            ("--do_coordinates", "Import coordinates of particles"),
            ("--do_halfmaps", "Import a half map together with its partner"),
            ("--do_other", "Import another file as it is"),
        )
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", label="Job directory", kind="str",
        default="", hidden=True, in_form=False, tab="Output",
        help="Job directory for the marker files.",
    ),
)  # fmt: skip
