"""Reading and checking what a refinement starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import ImageError, OptionError, StarError
from aurefine.io import ParticleImages, ParticleTable, read_particles
from aurefine.io.stacks import find_stack
from aurefine.jobs.check_particles import without_bad_images
from aurefine.jobs.particle_copies import find_copies
from aurefine.jobs.refine_files import quantise_table
from aurefine.jobs.refine_groups import join_small_groups, scale_groups, warn_of_small_groups
from aurefine.optics.ctf import CtfParameters, check_ctf_columns
from aurefine.optics.groups import OpticsGroup, optics_groups_from_table
from aurefine.optics.mtf import MtfCurve, read_mtf
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.initialise import assign_halves
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.state import Poses

__all__ = [
    "Inputs",
    "check_diameter",
    "check_normalisation",
    "image_root",
    "inputs_from_table",
    "load_inputs",
]

Float = npt.NDArray[np.float64]
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Particles as the algorithm and as the files see them."""

    table: ParticleTable  # sorted by micrograph
    particles: ParticleSet
    poses: Poses
    group_names: tuple[str, ...]
    order: npt.NDArray[np.int64]  # row of the particle file that each row comes from

    @property
    def box_size(self) -> int:
        """Box [px] of the first optics group, which the model takes over."""
        return self.particles.optics_groups[0].box_size

    @property
    def pixel_size(self) -> float:
        """Pixel size [Å] of the first optics group."""
        return self.particles.optics_groups[0].pixel_size


def load_inputs(
    path: str,
    options: RefineOptions,
    seed: int,
    warn: Warn,
    *,
    bad_ones: WorkerPool | None = None,
) -> Inputs:
    """Read a particle file and open its stacks.

    Parameters
    ----------
    path : str
        Particle STAR file.
    options : RefineOptions
    seed : int
        Decides the halves of particles that have none.
    warn : callable
        Receives messages.
    bad_ones : WorkerPool, optional
        Looks for images with unusable pixels, which are then left out.

    Raises
    ------
    StarError, ImageError, MrcError
        With one message that names the file and what is wrong with it.
    """
    table = read_particles(path)
    root = image_root(table, path, warn)
    if bad_ones is not None:
        table = without_bad_images(table, root, bad_ones, warn)
    return inputs_from_table(table, root, options, seed, warn)


def inputs_from_table(
    table: ParticleTable, root: Path, options: RefineOptions, seed: int, warn: Warn
) -> Inputs:
    """Check the particles, sort them by micrograph and open their images."""
    path = table.path
    frame = table.particles
    if "rlnMicrographName" not in frame and "rlnGroupName" not in frame:
        raise StarError(
            f"{path}: data_particles: columns rlnMicrographName and rlnGroupName are both missing. "
            "One of them is needed to know which particles share an intensity scale."
        )
    _check_number(frame, path)
    images = ParticleImages.open([str(name) for name in frame["rlnImageName"]], root=root)
    table = quantise_table(_with_image_sizes(table, images.box_sizes))
    frame = table.particles.reset_index(drop=True)
    groups = optics_groups_from_table(table.optics, path)
    _check_boxes(groups, images.box_sizes, frame, path)
    _check_optics(groups, frame, path, options, warn)
    _check_given_poses(frame, path, options)

    order = np.arange(len(frame))
    if "rlnMicrographName" in frame:
        order = frame["rlnMicrographName"].sort_values(kind="stable").index.to_numpy()
        frame = frame.iloc[order].reset_index(drop=True)
        images = images.take(order)
    labels, group_names = scale_groups(frame)
    if options.minimum_group_size > 1:
        labels, group_names = join_small_groups(
            labels, group_names, frame, options.minimum_group_size, warn
        )
        frame = frame.assign(rlnGroupName=np.array(group_names, dtype=object)[labels])
    frame = frame.assign(rlnGroupNumber=labels + 1)
    table = ParticleTable(table.optics, frame, path)
    optics_rows = frame["rlnOpticsGroup"].to_numpy(np.int64) - 1
    n = len(frame)
    subset = frame["rlnRandomSubset"].to_numpy(np.int64) if "rlnRandomSubset" in frame else None
    needs_halves = subset is None or not np.any(subset)
    copies = find_copies(frame, table.optics) if needs_halves else None
    half = assign_halves(subset, n, seed, copies)
    if options.scale:
        warn_of_small_groups(labels, half, group_names, warn)

    def column(label: str, default: float) -> Float:
        return frame[label].to_numpy(float) if label in frame else np.full(n, default)

    particles = ParticleSet(
        images=images,
        optics_groups=groups,
        optics=optics_rows,
        ctf=CtfParameters.from_table(frame, path),
        micrograph_group=labels,
        noise_group=optics_rows,
        half=half,
        prior_offset=_offset_priors(frame),
        prior_angles=_angle_priors(frame),
        reconstruct_images=_reconstruct_images(frame, images, root, warn),
        mtf_curves=_mtf_curves(groups, root),
    )
    poses = Poses(
        rot=column("rlnAngleRot", 0.0),
        tilt=column("rlnAngleTilt", 0.0),
        psi=column("rlnAnglePsi", 0.0),
        offset_x=column("rlnOriginXAngst", 0.0),
        offset_y=column("rlnOriginYAngst", 0.0),
        class_number=np.zeros(n, np.int64),
        half=half,
        norm_correction=column("rlnNormCorrection", 1.0),
        log_likelihood=np.zeros(n),
        pmax=np.zeros(n),
        n_significant=np.zeros(n, np.int64),
    )
    return Inputs(table, particles, poses, group_names, order)


def image_root(table: ParticleTable, path: str, warn: Warn) -> Path:
    """Folder that image names count from: the working one, else one above the STAR file.

    Raises
    ------
    ImageError
        If the first stack is in none of them.
    """
    if "rlnImageName" not in table.particles or not len(table.particles):
        return Path()
    name = str(table.particles["rlnImageName"].iloc[0])
    first = name.rpartition("@")[2]
    if find_stack(first, Path()).exists():
        return Path()
    for folder in Path(path).resolve().parents:
        if find_stack(first, folder).exists():
            warn(
                f"{first} is not below the working directory; images are read relative to "
                f"{folder}. Run from there to make the output usable by other programs"
            )
            return folder
    raise ImageError(
        f"{path}: data_particles, row 1: {first} does not exist, neither below the working "
        f"directory ({Path.cwd()}) nor below a folder above the STAR file. Run from the project "
        "directory, from which image names count, or correct rlnImageName."
    )


def _check_number(frame: pd.DataFrame, path: str) -> None:
    """Make sure that both halves can have a particle."""
    n = len(frame)
    if n < 2:
        raise StarError(
            f"{path}: found {n} particle, expected at least 2: each of the two half sets needs one."
        )
    if "rlnRandomSubset" not in frame:
        return
    subset = frame["rlnRandomSubset"].to_numpy(np.int64)
    if not subset.any():  # RELION's way of saying that none is assigned
        return
    wrong = np.flatnonzero(~np.isin(subset, (1, 2)))
    if len(wrong):
        raise StarError(
            f"{path}: data_particles, row {wrong[0] + 1}: rlnRandomSubset is {subset[wrong[0]]}, "
            "expected 1 or 2 in every row. Give every particle a half set, or remove the column."
        )
    if len(np.unique(subset)) == 1:
        raise StarError(
            f"{path}: data_particles: rlnRandomSubset is {subset[0]} in every row, so that half "
            f"{3 - subset[0]} is empty. Use particles of both half sets, or remove the column."
        )


def _check_given_poses(frame: pd.DataFrame, path: str, options: RefineOptions) -> None:
    """Refuse to start from orientations that the file does not have."""
    needs = {
        "--skip_align": options.skip_align,
        "--skip_rotate": options.skip_rotate,
        "--relax_sym": bool(options.relax_symmetry),
        "--sigma_ang": options.sigma_angle > 0 and _angle_priors(frame) is None,
    }
    missing = [name for name in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi") if name not in frame]
    for flag, is_needed in needs.items():
        if is_needed and missing:
            raise StarError(
                f"{path}: data_particles: column {missing[0]} is missing, but {flag} starts from "
                "given orientations. Give a file with poses, such as run_data.star of a "
                "refinement, or leave the option out."
            )


def _offset_priors(frame: pd.DataFrame) -> Float | None:
    labels = ["rlnOriginXPriorAngst", "rlnOriginYPriorAngst"]
    if not all(label in frame for label in labels):
        return None
    return frame[labels].to_numpy(float)


def _angle_priors(frame: pd.DataFrame) -> Float | None:
    labels = ["rlnAngleRotPrior", "rlnAngleTiltPrior", "rlnAnglePsiPrior"]
    if not all(label in frame for label in labels):
        return None
    return frame[labels].to_numpy(float)


def _reconstruct_images(
    frame: pd.DataFrame, images: ParticleImages, root: Path, warn: Warn
) -> ParticleImages | None:
    """Open the images that replace those of the alignment in the last map (spec 5.9)."""
    if "rlnReconstructImageName" not in frame:
        return None
    names = [str(name) for name in frame["rlnReconstructImageName"]]
    others = ParticleImages.open(names, root=root, expected_box=images.box_sizes)
    warn("the last map is made from the images of rlnReconstructImageName")
    return others


def _mtf_curves(groups: tuple[OpticsGroup, ...], root: Path) -> dict[str, MtfCurve]:
    """Read the detector curves, unless all groups share one, which postprocessing corrects."""
    names = {group.mtf_file for group in groups}
    if len(names) == 1:
        return {}
    return {name: read_mtf(root / name) for name in sorted(names) if name}


def _with_image_sizes(table: ParticleTable, boxes: npt.NDArray[np.int64]) -> ParticleTable:
    """Take a missing rlnImageSize from the image headers."""
    if "rlnImageSize" in table.optics:
        return table
    optics_rows = table.particles["rlnOpticsGroup"].to_numpy(np.int64) - 1
    sizes = [
        int(boxes[optics_rows == g][0]) if np.any(optics_rows == g) else int(boxes[0])
        for g in range(len(table.optics))
    ]
    return ParticleTable(table.optics.assign(rlnImageSize=sizes), table.particles, table.path)


def _check_boxes(
    groups: tuple[OpticsGroup, ...],
    boxes: npt.NDArray[np.int64],
    frame: pd.DataFrame,
    path: str,
) -> None:
    optics_rows = frame["rlnOpticsGroup"].to_numpy(np.int64) - 1
    stated = np.array([group.box_size for group in groups])[optics_rows]
    wrong = np.flatnonzero(stated != boxes)
    if len(wrong):
        row = int(wrong[0])
        raise ImageError(
            f"{path}: data_particles, row {row + 1}: {frame['rlnImageName'].iloc[row]} has a box "
            f"of {boxes[row]} px, but rlnImageSize of optics group {optics_rows[row] + 1} says "
            f"{stated[row]} px. Re-extract the particles or correct the optics table."
        )
    odd = [group for group in groups if group.box_size % 2]
    if odd:
        raise ImageError(
            f"{path}: data_optics, group {odd[0].number}: the box is {odd[0].box_size} px, but it "
            "must be even. Re-extract the particles with an even box."
        )


def _check_optics(
    groups: tuple[OpticsGroup, ...],
    frame: pd.DataFrame,
    path: str,
    options: RefineOptions,
    warn: Warn,
) -> None:
    """Check the CTF parameters, and say what is not corrected."""
    if options.ctf:
        check_ctf_columns(frame, groups, path)
        for group in groups:
            if group.is_ctf_corrected:
                warn(
                    f"optics group {group.number} ({group.name}) is flagged as CTF-corrected: "
                    "no CTF is applied to its particles"
                )
    elif "rlnDefocusU" in frame:
        warn("the particles have CTF parameters, but CTF correction is off; switch it on by --ctf")


def check_normalisation(
    inputs: Inputs, diameter: float, warn: Warn, *, n_particles: int = 200
) -> None:
    """Warn if the background of the images is not normalised to mean 0 and deviation 1."""
    from aurefine.imaging import normalisation_statistics

    group = inputs.particles.optics_groups[0]
    radius = np.floor(diameter / (2 * group.pixel_size) + 0.5)
    rows = np.flatnonzero(inputs.particles.optics == 0)[:n_particles]
    if not len(rows) or radius >= group.box_size * 0.7:
        return
    statistics = normalisation_statistics(inputs.particles.images.read(rows), float(radius))
    std = statistics.std
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(statistics.mean / std)
    bad = (ratio > 0.5) | (std < 0.5) | (std > 2)
    if bad.any():
        row = int(rows[np.argmax(bad)])
        warn(
            f"{int(bad.sum())} of the first {len(rows)} particles are not normalised: row "
            f"{row + 1} has a background of mean {statistics.mean[np.argmax(bad)]:.3g} and "
            f"standard deviation {std[np.argmax(bad)]:.3g}, expected 0 and 1. "
            "Re-extract them with normalisation"
        )


def check_diameter(options: RefineOptions, box: int, pixel_size: float) -> None:
    """Make sure that the particle mask fits into the box.

    Raises
    ------
    OptionError
        If the diameter is larger than the box.
    """
    if options.particle_diameter > box * pixel_size:
        raise OptionError(
            f"option --particle_diameter: found {options.particle_diameter:g} Å, but the box is "
            f"only {box * pixel_size:g} Å wide ({box} px at {pixel_size:g} Å/px). "
            "Give a smaller diameter, or re-extract in a larger box."
        )
