"""Reading and checking what a refinement starts from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from aurefine.errors import ImageError, MrcError, OptionError, StarError
from aurefine.fourier import fourier_resize_map, lowpass_filter, window_map
from aurefine.io import ParticleImages, ParticleTable, read_map, read_particles
from aurefine.io.mrc import check_finite
from aurefine.jobs.refine_files import quantise_table
from aurefine.jobs.refine_options import RunSettings
from aurefine.optics.ctf import CtfParameters, check_ctf_columns
from aurefine.optics.groups import OpticsGroup, optics_groups_from_table
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
    "load_mask",
    "load_references",
    "symmetry_correlation",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Warn = Callable[[str], None]

_PIXEL_TOLERANCE = 0.001  # Å


@dataclass(frozen=True, slots=True)
class Inputs:
    """Particles as the algorithm and as the files see them."""

    table: ParticleTable  # sorted by micrograph
    particles: ParticleSet
    poses: Poses
    group_names: tuple[str, ...]

    @property
    def box_size(self) -> int:
        """Box [px] of the first optics group, which the model takes over."""
        return self.particles.optics_groups[0].box_size

    @property
    def pixel_size(self) -> float:
        """Pixel size [Å] of the first optics group."""
        return self.particles.optics_groups[0].pixel_size


def load_inputs(path: str, options: RefineOptions, seed: int, warn: Warn) -> Inputs:
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

    Raises
    ------
    StarError, ImageError, MrcError
        With one message that names the file and what is wrong with it.
    """
    table = read_particles(path)
    root = image_root(table, path, warn)
    return inputs_from_table(table, root, options, seed, warn)


def inputs_from_table(
    table: ParticleTable, root: Path, options: RefineOptions, seed: int, warn: Warn
) -> Inputs:
    """Sort the particles by micrograph, check them and open their images."""
    path = table.path
    frame = table.particles
    if "rlnMicrographName" in frame:
        frame = frame.sort_values("rlnMicrographName", kind="stable").reset_index(drop=True)
    elif "rlnGroupName" not in frame:
        raise StarError(
            f"{path}: data_particles: columns rlnMicrographName and rlnGroupName are both missing. "
            "One of them is needed to know which particles share an intensity scale."
        )
    labels, group_names = _groups(frame)
    frame = frame.assign(rlnGroupNumber=labels + 1)
    table = quantise_table(ParticleTable(table.optics, frame, path))
    frame = table.particles
    images = ParticleImages.open([str(name) for name in frame["rlnImageName"]], root=root)
    boxes = images.box_sizes
    optics_rows = frame["rlnOpticsGroup"].to_numpy(np.int64) - 1
    table = _with_image_sizes(table, optics_rows, boxes)
    groups = optics_groups_from_table(table.optics, path)
    _check_boxes(groups, optics_rows, boxes, frame, path)
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
    n = len(frame)
    if n < 2:
        raise StarError(
            f"{path}: found {n} particle, expected at least 2: each of the two half sets needs one."
        )
    subset = frame["rlnRandomSubset"].to_numpy(np.int64) if "rlnRandomSubset" in frame else None
    half = assign_halves(subset, n, seed)

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
    return Inputs(table, particles, poses, group_names)


def image_root(table: ParticleTable, path: str, warn: Warn) -> Path:
    """Folder that image names count from: the working one, else that of the STAR file."""
    if "rlnImageName" not in table.particles or not len(table.particles):
        return Path()
    first = str(table.particles["rlnImageName"].iloc[0]).partition("@")[2]
    beside = Path(path).parent
    if first and not os.path.exists(first) and (beside / first).exists():
        warn(
            f"{first} is not below the working directory; images are read relative to {beside}. "
            "Run from the project directory to make the output usable by other programs"
        )
        return beside
    return Path()


def _groups(frame: pd.DataFrame) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Intensity-scale group of each particle and the names of the groups (spec 1.7)."""
    if "rlnGroupName" in frame:
        names = frame["rlnGroupName"].astype(str)
    else:
        names = (
            frame["rlnMicrographName"].astype(str).str.replace(r"^.*?job\d{3,}/", "", regex=True)
        )
    labels, unique = pd.factorize(names)
    return labels.astype(np.int64), tuple(str(name) for name in unique)


def _offset_priors(frame: pd.DataFrame) -> Float | None:
    labels = ["rlnOriginXPriorAngst", "rlnOriginYPriorAngst"]
    if not all(label in frame for label in labels):
        return None
    return frame[labels].to_numpy(float)


def _with_image_sizes(
    table: ParticleTable, optics_rows: npt.NDArray[np.int64], boxes: npt.NDArray[np.int64]
) -> ParticleTable:
    """Take a missing rlnImageSize from the image headers."""
    if "rlnImageSize" in table.optics:
        return table
    sizes = [
        int(boxes[optics_rows == g][0]) if np.any(optics_rows == g) else int(boxes[0])
        for g in range(len(table.optics))
    ]
    return ParticleTable(table.optics.assign(rlnImageSize=sizes), table.particles, table.path)


def _check_boxes(
    groups: tuple[OpticsGroup, ...],
    optics_rows: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.int64],
    frame: pd.DataFrame,
    path: str,
) -> None:
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


def load_references(
    settings: RunSettings, box: int, pixel_size: float, warn: Warn
) -> tuple[Float32, Float32]:
    """Read the starting map of each half (spec 2.4).

    Returns
    -------
    pair of ndarray, shape (box, box, box), float32
        The same map twice, unless the name contains half1 or half2.

    Raises
    ------
    MrcError
        If box or pixel size do not fit the particles.
    """
    name = Path(settings.reference).name
    if "half1" in name or "half2" in name:
        parent = Path(settings.reference).parent
        paths = [
            str(parent / name.replace("half2", "half1")),
            str(parent / name.replace("half1", "half2")),
        ]
        first, second = (_load_map(p, settings, box, pixel_size, warn) for p in paths)
        return first, second
    reference = _load_map(settings.reference, settings, box, pixel_size, warn)
    return reference, reference


def _load_map(path: str, settings: RunSettings, box: int, pixel_size: float, warn: Warn) -> Float32:
    values, header_pixel = read_map(path)
    check_finite(values, path)
    own_pixel = settings.reference_pixel_size
    if own_pixel <= 0:
        own_pixel = header_pixel or 0.0
    if own_pixel <= 0:
        raise MrcError(
            f"{path}: the header gives no pixel size. Say it by --ref_angpix, in Å per pixel."
        )
    if len(set(values.shape)) != 1 or values.ndim != 3:
        raise MrcError(
            f"{path}: found a map of {' x '.join(map(str, values.shape))} voxels, expected a cube."
        )
    n = len(values)
    if values.std() == 0:
        raise MrcError(f"{path}: the map is constant, so there is nothing to align to.")
    if n == box and abs(own_pixel - pixel_size) <= _PIXEL_TOLERANCE:
        return values
    if not settings.trust_reference_size:
        raise MrcError(
            f"{path}: the map has a box of {n} px and {own_pixel:g} Å/px, but the particles have "
            f"{box} px and {pixel_size:g} Å/px. Rescale it first:\n"
            f"  aurefine image-handler --i {path} --angpix {own_pixel:g} --rescale_angpix "
            f"{pixel_size:g} --new_box {box} --o {Path(path).stem}_box{box}.mrc\n"
            "or give --trust_ref_size to have it rescaled here."
        )
    size = 2 * (int(np.floor(n * own_pixel / pixel_size + 0.5)) // 2)
    warn(
        f"{path}: rescaled from {n} px at {own_pixel:g} Å/px to {box} px at "
        f"{n * own_pixel / size:g} Å/px (particles: {pixel_size:g} Å/px)"
    )
    resized: Float32 = window_map(fourier_resize_map(values, size), box).astype(np.float32)
    return resized


def load_mask(path: str, box: int, pixel_size: float, warn: Warn) -> Float32 | None:
    """Read a solvent mask and fit it to the particles (spec 2.4); None for an empty name.

    Raises
    ------
    MrcError
        If the file is not a map.
    """
    if not path:
        return None
    values, own_pixel = read_map(path)
    check_finite(values, path)
    changed = []
    if own_pixel and abs(own_pixel - pixel_size) > _PIXEL_TOLERANCE:
        size = 2 * (int(np.floor(len(values) * own_pixel / pixel_size + 0.5)) // 2)
        values = fourier_resize_map(values, size)
        changed.append(f"rescaled from {own_pixel:g} to {pixel_size:g} Å/px")
    if len(values) != box:
        values = window_map(values, box)
        changed.append(f"windowed to {box} px")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        changed.append(f"clipped from [{low:g}, {high:g}] to [0, 1]")
        values = np.clip(values, 0, 1)
    if changed:
        warn(f"{path}: the mask was {', '.join(changed)}")
    return values.astype(np.float32)


def symmetry_correlation(
    reference: Float32, pixel_size: float, matrices: Float, resolution: float
) -> float:
    """Correlation of a low-passed map with itself after symmetry: 1 if it has the symmetry.

    Parameters
    ----------
    reference : ndarray, shape (n, n, n)
    pixel_size : float
        Å.
    matrices : ndarray, shape (n_operators, 3, 3)
    resolution : float
        Low-pass filter [Å].

    Returns
    -------
    float
        The lowest correlation of all operators.
    """
    from scipy.ndimage import affine_transform

    filtered = lowpass_filter(reference, pixel_size, max(resolution, 4 * pixel_size))
    factor = max(1, len(filtered) // 32)
    small = filtered[::factor, ::factor, ::factor].astype(np.float64)
    n = len(small)
    centre = np.full(3, (len(filtered) // 2) / factor)
    axis = np.arange(n) - centre[0]
    inside = (
        axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
        < (n / 2 - 1) ** 2
    )
    lowest = 1.0
    for matrix in matrices[1:]:
        zyx = matrix[::-1, ::-1]  # matrices act on (x, y, z), arrays are (z, y, x)
        rotated = affine_transform(small, zyx, offset=centre - zyx @ centre, order=1)
        lowest = min(lowest, float(np.corrcoef(small[inside], rotated[inside])[0, 1]))
    return lowest


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
