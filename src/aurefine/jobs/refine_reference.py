"""Reading and checking the maps that a refinement starts from: reference and solvent mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aurefine.errors import MrcError
from aurefine.fourier import fourier_resize_map, lowpass_filter, window_map
from aurefine.io import read_map
from aurefine.io.mrc import check_finite
from aurefine.jobs.refine_options import RunSettings
from aurefine.maps.matching import match_grid
from aurefine.maps.operations import rescaled_size

__all__ = ["load_mask", "load_references", "symmetry_correlation"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Warn = Callable[[str], None]

_PIXEL_TOLERANCE = 0.001  # Å
_COMPARED_BOX = 32  # px, of the maps that symmetry mates are compared in, at least
_ROUND = 1e-4  # share of the variance below which a map is a sphere


def load_references(
    settings: RunSettings, box: int, pixel_size: float, warn: Warn, say: Warn | None = None
) -> tuple[Float32, Float32]:
    """Read the starting map of each half (spec 2.4).

    `warn` receives messages that the user should look at, `say` the others (`warn` by default).

    Returns
    -------
    pair of ndarray, shape (box, box, box), float32
        The same map twice, unless the name contains half1 or half2.

    Raises
    ------
    MrcError
        If box or pixel size do not fit the particles.
    """
    say = say or warn
    name = Path(settings.reference).name
    if "half1" in name or "half2" in name:
        parent = Path(settings.reference).parent
        paths = [
            str(parent / name.replace("half2", "half1")),
            str(parent / name.replace("half1", "half2")),
        ]
        first, second = (_load_map(p, settings, box, pixel_size, warn, say) for p in paths)
        return first, second
    reference = _load_map(settings.reference, settings, box, pixel_size, warn, say)
    return reference, reference


def _load_map(
    path: str, settings: RunSettings, box: int, pixel_size: float, warn: Warn, say: Warn
) -> Float32:
    values, header_pixel = _read_cube(path)
    own_pixel = settings.reference_pixel_size
    if own_pixel <= 0:
        own_pixel = header_pixel or 0.0
    if own_pixel <= 0:
        raise MrcError(
            f"{path}: the header gives no pixel size. Say it by --ref_angpix, in Å per pixel."
        )
    n = len(values)
    if values.std() == 0:
        raise MrcError(f"{path}: the map is constant, so there is nothing to align to.")
    if n == box and abs(own_pixel - pixel_size) <= _PIXEL_TOLERANCE:
        return values
    if settings.rescale_reference:
        say(
            f" {path}: rescaled from {n} px at {own_pixel:g} Å/px to {box} px at {pixel_size:g} "
            "Å/px, as the particles have"
        )
        matched: Float32 = match_grid(values, own_pixel, box=box, wanted=pixel_size)
        return matched
    if not settings.trust_reference_size:
        raise MrcError(
            f"{path}: the map has a box of {n} px and {own_pixel:g} Å/px, but the particles have "
            f"{box} px and {pixel_size:g} Å/px. {_remedy(path, n, own_pixel, box, pixel_size)}"
        )
    size = 2 * (int(np.floor(n * own_pixel / pixel_size + 0.5)) // 2)
    if size == box == n:
        warn(f"{path}: taken as it is: {own_pixel:g} Å/px stand for {pixel_size:g} Å/px")
        return values
    warn(
        f"{path}: rescaled from {n} px at {own_pixel:g} Å/px to {box} px at "
        f"{n * own_pixel / size:g} Å/px (particles: {pixel_size:g} Å/px)"
    )
    resized: Float32 = window_map(fourier_resize_map(values, size), box).astype(np.float32)
    return resized


def _remedy(path: str, n: int, own_pixel: float, box: int, pixel_size: float) -> str:
    """Say what brings a map onto the grid of the particles."""
    _, reached = rescaled_size(n, own_pixel, pixel_size)
    if abs(reached - pixel_size) > _PIXEL_TOLERANCE:
        return (
            f"Run the same command with --rescale_ref, which rescales it to exactly {pixel_size:g} "
            f"Å/px; aurefine image-handler --rescale_angpix rounds the box and reaches {reached:g} "
            "Å/px."
        )
    return (
        "Run the same command with --rescale_ref, or rescale it first:\n"
        f"  aurefine image-handler --i {path} --angpix {own_pixel:g} --rescale_angpix "
        f"{pixel_size:g} --new_box {box} --o {Path(path).stem}_box{box}.mrc"
    )


def _read_cube(path: str) -> tuple[Float32, float | None]:
    values, pixel_size = read_map(path)
    if len(set(values.shape)) != 1 or values.ndim != 3:
        raise MrcError(
            f"{path}: found a map of {' x '.join(map(str, values.shape))} voxels, expected a cube."
        )
    check_finite(values, path)
    return values.astype(np.float32), pixel_size


def load_mask(path: str, box: int, pixel_size: float, warn: Warn) -> Float32 | None:
    """Read a solvent mask and fit it to the particles (spec 2.4); None for an empty name.

    Raises
    ------
    MrcError
        If the file is not a map, or nothing is inside the mask.
    """
    if not path:
        return None
    values, own_pixel = _read_cube(path)
    changed = []
    if own_pixel and abs(own_pixel - pixel_size) > _PIXEL_TOLERANCE:
        size = 2 * (int(np.floor(len(values) * own_pixel / pixel_size + 0.5)) // 2)
        values = fourier_resize_map(values, size)
        changed.append(f"rescaled from {own_pixel:g} to {pixel_size:g} Å/px")
    if len(values) != box:
        values = window_map(values, box)
        changed.append(f"windowed to {box} px")
    low, high = float(values.min()), float(values.max())
    if high <= 0:
        raise MrcError(f"{path}: the mask is empty: no value is above 0.")
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

    Notes
    -----
    The mean over each sphere is taken off first: any rotation keeps it, and in round particles
    it is nearly everything at low resolution.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    factor = max(1, len(reference) // _COMPARED_BOX)
    resolution = max(resolution, 4 * factor * pixel_size)
    filtered = lowpass_filter(reference, pixel_size, resolution)
    small = filtered[::factor, ::factor, ::factor].astype(np.float64)
    n = len(small)
    centre = np.full(3, (len(filtered) // 2) / factor)
    axis = np.arange(n) - centre[0]
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    inside = radius < n / 2 - 1
    total = small[inside].var()
    shell = np.rint(radius).astype(np.int64)  # (n, n, n)
    count = np.maximum(np.bincount(shell.ravel()), 1)  # a shell off the grid may be empty
    mean = np.bincount(shell.ravel(), small.ravel()) / count
    steps = np.arange(len(mean))
    small -= np.interp(radius, steps, mean)
    if small[inside].var() < _ROUND * total:
        return 1.0
    splines = spline_filter(small)
    # every other voxel is enough, as there are four to a period
    points = np.argwhere(inside[::2, ::2, ::2]) * 2  # (n_points, 3)
    values, from_centre = small[tuple(points.T)], points - centre
    lowest = 1.0
    for matrix in matrices[1:]:
        zyx = matrix[::-1, ::-1]  # matrices act on (x, y, z), arrays are (z, y, x)
        turned = from_centre @ zyx.T + centre
        rotated = map_coordinates(splines, turned.T, prefilter=False)
        lowest = min(lowest, float(np.corrcoef(values, rotated)[0, 1]))
    return lowest
