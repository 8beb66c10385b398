"""Grids, image sizes and tables shared by all batches of one iteration (spec 3.1, 3.4-3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from aurefine.geometry import sampling as grids
from aurefine.geometry.directions import DirectionGrid
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import PointGroup
from aurefine.optics.aberrations import antisymmetric_phase
from aurefine.optics.groups import OpticsGroup
from aurefine.optics.mtf import MtfCurve, mtf_correction
from aurefine.refine.options import RefineOptions
from aurefine.refine.pixels import FourierPixels, fourier_pixels, phase_ramps
from aurefine.refine.state import Poses, SamplingState

__all__ = [
    "ImageGeometry",
    "IterationPlan",
    "coarse_image_size",
    "current_image_size",
    "make_plan",
    "model_shells",
    "scored_geometry",
    "with_given_poses",
]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


def current_image_size(group: OpticsGroup, box: int, pixel_size: float, current_size: int) -> int:
    """Image size [px] of an optics group for a model size `current_size` (spec 3.1)."""
    ratio = group.box_size * group.pixel_size / (box * pixel_size)
    return min(group.box_size, 2 * int(np.ceil(0.5 * ratio * current_size - 1e-6)))


def coarse_image_size(
    group: OpticsGroup,
    box: int,
    pixel_size: float,
    current_size: int,
    angular_step: float,
    particle_diameter: float,
    options: RefineOptions,
) -> int:
    """Image size [px] of the first pass, from the coarse angular step [degrees] (spec 3.1)."""
    size = current_image_size(group, box, pixel_size, current_size)
    ratio = group.box_size * group.pixel_size / (box * pixel_size)
    if options.strict_highres_exp > 0:
        coarse = 2 * int(np.floor(ratio * box * pixel_size / options.strict_highres_exp + 0.5))
    elif options.oversampling > 0:
        limit = group.box_size
        if options.coarse_size_px > 0:
            limit = int(ratio * options.coarse_size_px)
        arc = np.pi * particle_diameter * (angular_step / 360) / 1.2
        coarse = min(limit, 2 * int(np.ceil(ratio * box * pixel_size / arc)))
    else:
        coarse = size
    return min(size, max(2, coarse))


def model_shells(group: OpticsGroup, box: int, pixel_size: float) -> npt.NDArray[np.int64]:
    """Model shell of each image shell 0..box_size // 2 of an optics group (spec 1.6)."""
    ratio = box * pixel_size / (group.box_size * group.pixel_size)
    shells = np.floor(np.arange(group.box_size // 2 + 1) * ratio + 0.5).astype(np.int64)
    clipped: npt.NDArray[np.int64] = np.minimum(shells, box // 2)
    return clipped


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """Pixels, slice coordinates and phase ramps of the optics groups with one image geometry."""

    group_rows: tuple[int, ...]  # rows of the optics table
    box: int  # px
    pixel_size: float  # Å
    pixels: FourierPixels
    n_scored: int  # leading pixels of the second pass
    n_coarse: int  # leading pixels of the first pass
    n_inner: int  # leading pixels that score well enough to see which orientations are likely
    slice_x: Float32  # (n_pixels,), padded model coordinates
    slice_y: Float32
    valid: Float32  # (n_pixels,), 0 where a pixel lies outside the model's sphere
    model_shell: npt.NDArray[np.int64]  # (box // 2 + 1,)
    frequency_x: Float  # (n_pixels,), 1/Å
    frequency_y: Float
    scale: dict[int, npt.NDArray[np.complex64]]  # by group: 1/box², centring, aberrations, MTF
    power_gain: dict[int, Float]  # by group: (box // 2 + 1,), what the MTF does to the power
    coarse_ramps: tuple[Float32, Float32]  # (n_offsets, n_coarse)
    fine_ramps: tuple[Float32, Float32]  # (n_offsets * n_child_offsets, n_pixels)


@dataclass(frozen=True, slots=True)
class IterationPlan:
    """Everything about an iteration that does not depend on the half or the particle."""

    box: int
    pixel_size: float
    current_size: int
    group: PointGroup
    grid: DirectionGrid  # sampled directions, also the rows of the direction prior
    psi: Float  # (n_psi,) degrees
    sampling: SamplingState
    perturbation: Float  # (3, 3)
    coarse_offsets: Float  # (n_offsets, 2) Å, without perturbation
    fine_offsets: Float  # (n_offsets * n_child_offsets, 2) Å, with perturbation
    geometries: tuple[ImageGeometry, ...]
    options: RefineOptions
    particle_diameter: float
    use_correlation: bool  # normalised cross-correlation, winner takes all
    reference_has_ctf: bool  # whether the reference is multiplied by the CTF and the scale
    is_last: bool = False  # the iteration that joins the halves
    given_rotations: Float | None = None  # (n_particles, 3, 3), if orientations are kept
    reuses_poses: bool = False  # particles with known poses are searched around them only
    has_pose_prior: bool = True  # whether local searches prefer the last pose

    @property
    def n_child_offsets(self) -> int:
        """Fine offsets per coarse offset."""
        return 1 if self.options.skip_align else int(4**self.sampling.oversampling)

    @property
    def n_children(self) -> int:
        """Fine orientations per coarse orientation."""
        return 1 if self.keeps_rotations else int(8**self.sampling.oversampling)

    @property
    def uses_angle_priors(self) -> bool:
        """Whether local searches go around prior angles, not around the last poses (spec 3.8)."""
        options = self.options
        return options.sigma_angle > 0 and self.sampling.order < options.auto_local_healpix_order

    @property
    def centres_exactly(self) -> bool:
        """Whether offsets are searched around the last ones, not around these in whole pixels.

        Local searches have ranges that do not reach from one whole pixel to the next, unless they
        stand for a search of all orientations, without a preference for the last pose.
        """
        options = self.options
        is_narrow = self.sampling.is_local and self.has_pose_prior
        return options.skip_align or (is_narrow and not options.quirk_whole_pixels)

    @property
    def keeps_rotations(self) -> bool:
        """Whether particles keep their orientations."""
        return self.options.skip_rotate or self.options.skip_align


def make_plan(
    *,
    box: int,
    pixel_size: float,
    current_size: int,
    coarse_step: float,
    group: PointGroup,
    grid: DirectionGrid,
    sampling: SamplingState,
    optics_groups: tuple[OpticsGroup, ...],
    padding: float,
    options: RefineOptions,
    particle_diameter: float,
    use_correlation: bool,
    reference_has_ctf: bool,
    mtf_curves: Mapping[str, MtfCurve] = MappingProxyType({}),
    is_last: bool = False,
    scored_size: int | None = None,
    reuses_poses: bool = False,
    with_ramps: bool = True,
) -> IterationPlan:
    """Build the tables of one iteration.

    Parameters
    ----------
    box, pixel_size, current_size : int [px], float [Å], int [px]
        Of the model.
    coarse_step : float
        Angular step that the image size of the first pass is derived from [degrees].
    padding : float
        Effective padding factor of the projector.
    mtf_curves : mapping
        Detector curves by file name, if images are to be brought to a common MTF.
    scored_size : int, optional
        Model size that poses are scored on [px]; `current_size` by default.
    reuses_poses : bool
        Whether particles with known poses are searched around them only.
    with_ramps : bool
        Whether images will be shifted; if not, the phase ramps are left out.
    """
    scored_size = current_size if scored_size is None else scored_size
    coarse = grids.coarse_offsets(sampling.offset_range, sampling.offset_step)
    shift = sampling.perturbation * sampling.offset_step
    fine = grids.oversampled_offsets(coarse, sampling.offset_step, sampling.oversampling)
    coarse_searched = coarse + shift
    fine_offsets = fine.reshape(-1, 2) + shift
    if options.skip_align:
        coarse = coarse_searched = fine_offsets = np.zeros((1, 2))
    n_ramps = None if with_ramps else 0
    geometries: dict[tuple[object, ...], list[int]] = {}
    for row, optics in enumerate(optics_groups):
        key = (optics.box_size, optics.pixel_size, tuple(np.ravel(optics.magnification)))
        geometries.setdefault(key, []).append(row)
    made = []
    for rows in geometries.values():
        first = optics_groups[rows[0]]
        size = current_image_size(first, box, pixel_size, current_size)
        scored = current_image_size(first, box, pixel_size, scored_size)
        coarse_size = coarse_image_size(
            first, box, pixel_size, current_size, coarse_step, particle_diameter, options
        )
        coarse_size = min(coarse_size, scored)
        inner_size = coarse_size // 2
        pixels = fourier_pixels(first.box_size, size, (inner_size, coarse_size, scored))
        n_coarse = pixels.n_within(coarse_size)
        extent = first.box_size * first.pixel_size
        x, y = np.asarray(first.magnification, float) @ np.stack([pixels.x, pixels.y])
        radius = np.hypot(x, y) * (box * pixel_size / extent)
        edge = current_size / 2
        valid = radius <= edge + 1e-6
        # pixels beyond the reference have no weight, and stay at its edge: insertion goes by radius
        factor = padding * box * pixel_size / extent * (edge / np.maximum(radius, edge))
        made.append(
            ImageGeometry(
                group_rows=tuple(rows),
                box=first.box_size,
                pixel_size=first.pixel_size,
                pixels=pixels,
                n_scored=pixels.n_within(scored),
                n_coarse=n_coarse,
                n_inner=pixels.n_within(inner_size),
                slice_x=(x * factor).astype(np.float32),
                slice_y=(y * factor).astype(np.float32),
                valid=valid.astype(np.float32),
                model_shell=model_shells(first, box, pixel_size),
                frequency_x=pixels.x / extent,
                frequency_y=pixels.y / extent,
                scale={row: _pixel_scale(optics_groups, mtf_curves, row, pixels) for row in rows},
                power_gain={row: _ring_gain(optics_groups, mtf_curves, row) ** 2 for row in rows},
                coarse_ramps=phase_ramps(
                    pixels, coarse_searched[:n_ramps] / first.pixel_size, n_coarse
                ),
                fine_ramps=phase_ramps(
                    pixels, fine_offsets[:n_ramps] / first.pixel_size, pixels.n_pixels
                ),
            )
        )
    return IterationPlan(
        box=box,
        pixel_size=pixel_size,
        current_size=current_size,
        group=group,
        grid=grid,
        psi=grids.psi_angles(sampling.psi_step),
        sampling=sampling,
        perturbation=grids.perturbation_rotation(
            sampling.perturbation, grids.angular_step(sampling.order)
        ),
        coarse_offsets=coarse,
        fine_offsets=fine_offsets,
        geometries=tuple(made),
        options=options,
        particle_diameter=particle_diameter,
        use_correlation=use_correlation,
        reference_has_ctf=reference_has_ctf,
        is_last=is_last,
        reuses_poses=reuses_poses,
    )


def scored_geometry(geometry: ImageGeometry) -> ImageGeometry:
    """Return the geometry of the second pass: the leading `n_scored` pixels."""
    n = geometry.n_scored
    if n == geometry.pixels.n_pixels:
        return geometry
    cosines, sines = geometry.fine_ramps
    return replace(
        geometry,
        pixels=geometry.pixels.leading(n),
        slice_x=geometry.slice_x[:n],
        slice_y=geometry.slice_y[:n],
        valid=geometry.valid[:n],
        fine_ramps=(
            np.ascontiguousarray(cosines[:, :n]),
            np.ascontiguousarray(sines[:, :n]),
        ),
    )


def with_given_poses(plan: IterationPlan, poses: Poses) -> IterationPlan:
    """Let particles keep the orientations that they have, if the options say so."""
    if not plan.keeps_rotations:
        return plan
    return replace(plan, given_rotations=matrix_from_euler(poses.rot, poses.tilt, poses.psi))


def _pixel_scale(
    groups: tuple[OpticsGroup, ...],
    mtf_curves: Mapping[str, MtfCurve],
    row: int,
    pixels: FourierPixels,
) -> npt.NDArray[np.complex64]:
    """Factor of each pixel after the FFT: normalisation, centring, odd aberrations, detector."""
    group = groups[row]
    extent = group.box_size * group.pixel_size
    phase = antisymmetric_phase(group, pixels.x / extent, pixels.y / extent)
    scale = pixels.sign / group.box_size**2 * np.exp(-1j * phase)
    scale *= _ring_gain(groups, mtf_curves, row)[pixels.shell]
    factors: npt.NDArray[np.complex64] = scale.astype(np.complex64)
    return factors


def _ring_gain(
    groups: tuple[OpticsGroup, ...], mtf_curves: Mapping[str, MtfCurve], row: int
) -> Float:
    """Factor of each ring of a group's images that brings them to the MTF of all groups."""
    group = groups[row]
    rings = np.arange(group.box_size // 2 + 1) / (group.box_size * group.pixel_size)
    gain = mtf_correction(groups, mtf_curves, row, rings) if mtf_curves else None
    return np.ones(len(rings)) if gain is None else gain
