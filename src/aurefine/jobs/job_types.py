"""Job types: name, folder, RELION's label, the form, and what each job writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from aurefine.errors import OptionError
from aurefine.jobs.extract_table import EXTRACT_OPTIONS
from aurefine.jobs.form import FormField, form_fields
from aurefine.jobs.import_table import IMPORT_OPTIONS, NODE_TYPES
from aurefine.jobs.mask_create_table import MASK_OPTIONS
from aurefine.jobs.options import Option
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS
from aurefine.jobs.refine_options import REFINE_OPTIONS
from aurefine.jobs.rescale_table import RESCALE_OPTIONS
from aurefine.jobs.running_table import MPI_OPTION, RUNNING_OPTIONS
from aurefine.project.types import Dialect

__all__ = ["JOB_TYPES", "JobType", "find_job_type", "job_type_of"]

Values = Mapping[str, str]
Output = tuple[str, str]  # file name in the job's folder, type of the node


@dataclass(frozen=True, kw_only=True)
class JobType:
    """One type of job.

    Attributes
    ----------
    name : str
        Short name for the command line, e.g. ``refine3d``.
    title : str
        Name in the GUI, as in RELION, e.g. ``3D auto-refine``.
    summary : str
        One line for help pages.
    folder, label, number
        Folder of its jobs, RELION 5's label and RELION 3.1's number.
    program : str
        Command of aurefine that does the work.
    options : tuple of Option
        The table that the form comes from.
    tabs : tuple of str
        In the order of the form.
    command_order : tuple of str
        Flags in the order in which RELION writes them; others come after these.
    field_order : tuple of str
        Keys in RELION's order, where it is not that of the table; others come after these.
    fixed : tuple of tuple of str
        Words that are always on the command line; ``{out}`` stands for the job's folder.
    outputs : callable
        From the values of the form to the files that the job will write, and their types.
    sublabel : callable
        From the values to the suffix of RELION 5's label.
    settings_file : str
        Where RELION keeps the settings of the last job of this type.
    has_mpi : bool
    """

    name: str
    title: str
    summary: str
    folder: str
    label: str
    number: int
    program: str
    options: tuple[Option, ...]
    tabs: tuple[str, ...]
    command_order: tuple[str, ...]
    fixed: tuple[tuple[str, ...], ...]
    outputs: Callable[[Values, Dialect], list[Output]]
    sublabel: Callable[[Values], str] = lambda values: ""
    settings_file: str
    field_order: tuple[str, ...] = ()
    has_mpi: bool = False

    @cached_property
    def fields(self) -> tuple[FormField, ...]:
        """All fields, those that are only kept in ``job.star`` included."""
        place = {key: index for index, key in enumerate(self.field_order)}
        fields = form_fields(self.options)
        return tuple(sorted(fields, key=lambda field: place.get(field.key, len(place))))

    @cached_property
    def field_by_key(self) -> dict[str, FormField]:
        """Fields by their key."""
        return {field.key: field for field in self.fields}

    def fields_of(self, tab: str) -> list[FormField]:
        """Return the visible fields of one tab."""
        return [field for field in self.fields if field.tab == tab and not field.is_hidden]

    def defaults(self, dialect: Dialect = "3.1") -> dict[str, str]:
        """Return the default of every field, as text."""
        return {f.key: f.default_31 if dialect == "3.1" else f.default for f in self.fields}

    def find_field(self, text: str) -> FormField:
        """Return a field by key, by the name of its option, by its label or its flag.

        Raises
        ------
        OptionError
            If there is none.
        """
        wanted = text.strip()
        plain = wanted.rstrip(":? ").lower()
        for field in self.fields:
            names = (field.key, field.option.name, f"aurefine_{wanted}", field.flag)
            if wanted and (wanted in names or field.key == f"aurefine_{wanted}"):
                return field
        for field in self.fields:
            label = field.label.rstrip(":? ").lower()
            if plain and plain in (label, label.partition(" (")[0]):
                return field
        raise OptionError(
            f"{self.title} has no option '{text}'; 'aurefine job options {self.name}' lists them."
        )


def _extract_outputs(values: Values, dialect: Dialect) -> list[Output]:
    particles = ("particles.star", "ParticleGroupMetadata.star.relion")
    picks = ("extractpick.star", "MicrographCoordsGroup.star.relion.reextract")
    # RELION 3.1 knows another kind of coordinate file
    return [particles] if dialect == "3.1" else [picks, particles]


def _refine_outputs(values: Values, dialect: Dialect) -> list[Output]:
    return [
        ("run_data.star", "ParticleGroupMetadata.star.relion.refine3d"),
        ("run_optimiser.star", "OptimiserData.star.relion.refine3d"),
        ("run_half1_class001_unfil.mrc", "DensityMap.mrc.relion.halfmap.refine3d"),
        ("run_class001.mrc", "DensityMap.mrc.relion.refine3d"),
    ]


def _mask_outputs(values: Values, dialect: Dialect) -> list[Output]:
    return [("mask.mrc", "Mask3D.mrc.relion")]


def _postprocess_outputs(values: Values, dialect: Dialect) -> list[Output]:
    return [
        ("postprocess.mrc", "DensityMap.mrc.relion.postprocess"),
        ("postprocess_masked.mrc", "DensityMap.mrc.relion.postprocess.masked"),
        ("logfile.pdf", "LogFile.pdf.relion.postprocess"),
        ("postprocess.star", "ProcessData.star.relion.postprocess"),
    ]


def _rescale_outputs(values: Values, dialect: Dialect) -> list[Output]:
    return [("rescaled.mrc", "DensityMap.mrc")]


def _import_outputs(values: Values, dialect: Dialect) -> list[Output]:
    if values["do_raw"] == "Yes":
        return [("micrographs.star", "MicrographGroupMetadata.star.relion")]
    name = values["fn_in_other"].rstrip("/").rpartition("/")[2]
    flag, label = NODE_TYPES[values["node_type"]]
    if flag == "--do_coordinates":
        suffix = name.rpartition("*")[2] if "*" in name else f"_{name}"
        return [(f"coords_suffix{suffix}", label)]
    if flag == "--do_halfmaps":
        first, second = ("half1", "half2") if "half1" in name else ("half2", "half1")
        return [(name, label), (name.replace(first, second), label)]
    return [(name, label)]


def _flags(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_COMMON_TABS = ("Expert", "Running")

JOB_TYPES: dict[str, JobType] = {
    job_type.name: job_type
    for job_type in (
        JobType(
            name="import",
            title="Import",
            summary="bring micrographs, particles, maps or coordinates into the project",
            folder="Import",
            label="relion.import",
            number=0,
            program="import",
            options=(*IMPORT_OPTIONS, *RUNNING_OPTIONS),
            tabs=("Movies/mics", "Others", "Running"),
            command_order=("--do", "--i"),
            fixed=(("--odir", "{out}"), ("--ofile", "{first_output}")),
            outputs=_import_outputs,
            sublabel=lambda values: ".movies" if values["do_raw"] == "Yes" else ".other",
            settings_file=".gui_importjob.star",
        ),
        JobType(
            name="extract",
            title="Particle extraction",
            summary="cut particles out of micrographs, or re-extract refined ones",
            folder="Extract",
            label="relion.extract",
            number=5,
            program="extract",
            options=(*EXTRACT_OPTIONS, MPI_OPTION, *RUNNING_OPTIONS),
            tabs=("I/O", "extract", *_COMMON_TABS),
            command_order=_flags(
                "--i --reextract_data_star --coord_list --coord_dir --reset_offsets "
                "--recenter --recenter_x --recenter_y --recenter_z --part_star --pick_star "
                "--part_dir --extract --extract_size --minimum_pick_fom --float16 --scale "
                "--norm --bg_radius --white_dust --black_dust --invert_contrast "
                "--only_do_unfinished"
            ),
            fixed=(
                ("--part_star", "{out}particles.star"),
                ("--pick_star", "{out}extractpick.star"),
                ("--part_dir", "{out}"),
                ("--extract",),
            ),
            outputs=_extract_outputs,
            sublabel=lambda values: ".reextract" if values["do_reextract"] == "Yes" else "",
            settings_file=".gui_extractjob.star",
            field_order=_flags(
                "star_mics coords_suffix do_reextract fndata_reextract do_reset_offsets "
                "do_recenter recenter_x recenter_y recenter_z do_float16 extract_size "
                "do_invert do_norm bg_diameter white_dust black_dust do_rescale rescale "
                "do_fom_threshold minimum_pick_fom nr_mpi"
            ),
            has_mpi=True,
        ),
        JobType(
            name="refine3d",
            title="3D auto-refine",
            summary="refine a map against particles until it converges",
            folder="Refine3D",
            label="relion.refine3d",
            number=10,
            program="refine",
            options=(*REFINE_OPTIONS, MPI_OPTION, *RUNNING_OPTIONS),
            tabs=(
                "I/O",
                "Reference",
                "CTF",
                "Optimisation",
                "Auto-sampling",
                "Compute",
                *_COMMON_TABS,
            ),
            command_order=_flags(
                "--continue --o --auto_refine --split_random_halves --i --ref "
                "--firstiter_cc --trust_ref_size --ini_high --dont_combine_weights_via_disc "
                "--no_parallel_disc_io --preread_images --scratch_dir --pool --pad "
                "--auto_ignore_angles --ctf --ctf_intact_first_peak --particle_diameter "
                "--flatten_solvent --zero_mask --solvent_mask --solvent_correct_fsc "
                "--oversampling --healpix_order --auto_local_healpix_order --offset_range "
                "--offset_step --sym --low_resol_join_halves --norm --scale --relax_sym --j "
                "--gpu"
            ),
            fixed=(
                ("--o", "{out}run"),
                ("--auto_refine",),
                ("--split_random_halves",),
                ("--flatten_solvent",),
                ("--oversampling", "1"),
                ("--low_resol_join_halves", "40"),
                ("--norm",),
                ("--scale",),
            ),
            outputs=_refine_outputs,
            settings_file=".gui_auto3djob.star",
            field_order=_flags(
                "fn_img fn_ref fn_mask fn_cont ref_correct_greyscale trust_ref_size "
                "ini_high sym_name ctf_corrected_ref do_ctf_correction "
                "ctf_intact_first_peak particle_diameter do_zero_mask do_solvent_fsc "
                "sampling offset_range offset_step auto_local_sampling relax_sym "
                "auto_faster do_parallel_discio nr_pool do_pad1 skip_gridding "
                "do_preread_images scratch_dir do_combine_thru_disc use_gpu gpu_ids nr_mpi "
                "nr_threads"
            ),
            has_mpi=True,
        ),
        JobType(
            name="maskcreate",
            title="Mask creation",
            summary="make a solvent mask from a map",
            folder="MaskCreate",
            label="relion.maskcreate",
            number=12,
            program="mask",
            options=(*MASK_OPTIONS, *RUNNING_OPTIONS),
            tabs=("I/O", "Mask", *_COMMON_TABS),
            command_order=_flags(
                "--i --o --lowpass --angpix --ini_threshold --extend_inimask --width_soft_edge --j"
            ),
            fixed=(("--o", "{out}mask.mrc"),),
            outputs=_mask_outputs,
            settings_file=".gui_maskcreatejob.star",
            field_order=_flags("fn_in lowpass_filter angpix"),
        ),
        JobType(
            name="postprocess",
            title="Post-processing",
            summary="measure the FSC of two half maps and sharpen their sum",
            folder="PostProcess",
            label="relion.postprocess",
            number=15,
            program="postprocess",
            options=(*POSTPROCESS_OPTIONS, *RUNNING_OPTIONS),
            tabs=("I/O", "Sharpen", *_COMMON_TABS),
            command_order=_flags(
                "--mask --i --o --angpix --mtf --mtf_angpix --auto_bfac --autob_lowres "
                "--adhoc_bfac --skip_fsc_weighting --low_pass"
            ),
            fixed=(("--o", "{out}postprocess"),),
            outputs=_postprocess_outputs,
            settings_file=".gui_postjob.star",
            field_order=_flags(
                "fn_in fn_mask angpix do_auto_bfac autob_lowres do_adhoc_bfac adhoc_bfac "
                "do_skip_fsc_weighting low_pass fn_mtf mtf_angpix"
            ),
        ),
        JobType(
            name="rescale",
            title="Map rescale",
            summary="bring a map to another pixel size and box",
            folder="External",
            label="relion.external",
            number=99,
            program="rescale",
            options=(*RESCALE_OPTIONS, *RUNNING_OPTIONS),
            tabs=("I/O", *_COMMON_TABS),
            command_order=("--o", "--in_3dref", "--rescale_angpix", "--new_box", "--j"),
            fixed=(("--o", "{out}"),),
            outputs=_rescale_outputs,
            sublabel=lambda values: ".rescale",
            settings_file=".gui_externaljob.star",
            field_order=_flags("in_3dref rescale_angpix new_box"),
        ),
    )
}


def find_job_type(text: str) -> JobType:
    """Return a job type by short name, title, folder or RELION's label.

    Raises
    ------
    OptionError
        If there is none; the message lists all.
    """
    wanted = text.strip().rstrip("/").lower()
    for job_type in JOB_TYPES.values():
        names = (job_type.name, job_type.title, job_type.folder, job_type.label, job_type.program)
        if wanted in (name.lower() for name in names):
            return job_type
    known = ", ".join(f"{job_type.name} ({job_type.title})" for job_type in JOB_TYPES.values())
    raise OptionError(f"there is no job type '{text}'; found are: {known}.")


def job_type_of(label: str) -> JobType | None:
    """Return the job type of RELION 5's label, suffixes ignored; None if it is not ours."""
    while label:
        for job_type in JOB_TYPES.values():
            if job_type.label == label:
                return job_type
        label = label.rpartition(".")[0]
    return None
