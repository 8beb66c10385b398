"""*Symmetry* shows a point group; *Align symmetry* brings a map to its axes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurefine.errors import ImageError, OptionError
from aurefine.geometry.axes import asymmetric_unit_corners, axis_and_angle, symmetry_axes
from aurefine.geometry.euler import angles_from_direction, euler_from_matrix
from aurefine.geometry.symmetry import PointGroup, point_group
from aurefine.io.mrc import check_finite, read_map, write_map
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import check_values, with_defaults
from aurefine.jobs.symmetry_table import ALIGN_OPTIONS, SYMMETRY_OPTIONS
from aurefine.maps.axes import align_to_axes, average_mates, move_map

__all__ = ["ALIGN_OPTIONS", "SYMMETRY_OPTIONS", "run_align_symmetry", "run_symmetry"]


def run_symmetry(given: Mapping[str, Any]) -> int:
    """Print a point group, plot it if asked to, and return the exit code."""
    check_values(SYMMETRY_OPTIONS, given)
    values = with_defaults(SYMMETRY_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _show(values))


def run_align_symmetry(given: Mapping[str, Any]) -> int:
    """Bring a map to the axes of its symmetry and return the exit code."""
    check_values(ALIGN_OPTIONS, given)
    values = with_defaults(ALIGN_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _align(values))


def _say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")


def _show(values: Mapping[str, Any]) -> None:
    group = point_group(values["symmetry"])
    _say(f" Point group {group.name}: {group.n_operators} operators")
    _say()
    for number, matrix in enumerate(group.matrices, start=1):
        axis, angle = axis_and_angle(matrix)
        about = "" if number == 1 else f": {angle:g}° about ({', '.join(_short(c) for c in axis)})"
        _say(f" R({number}){about or ': identity'}")
        for row in matrix:
            _say("   " + " ".join(f"{value + 0.0:12.8f}" for value in row))
    _say()
    axes = symmetry_axes(group)
    if axes:
        _say(" Axes (direction; rot, tilt):")
    for axis_ in axes:
        rot, tilt = angles_from_direction(axis_.direction)
        direction = ", ".join(f"{value + 0.0:9.6f}" for value in axis_.direction)
        _say(f"   {axis_.fold}-fold  ({direction})  {float(rot):8.2f} {float(tilt):7.2f}")
    _say(f" Asymmetric unit of viewing directions: {_unit(group)}")
    if values["output"]:
        _write(values["output"], group)


def _short(value: float) -> str:
    return f"{value + 0.0:.4g}" if abs(value) > 1e-9 else "0"


def _unit(group: PointGroup) -> str:
    share = f"1/{group.n_operators} of the sphere"
    if group.n_operators == 1:
        return "the whole sphere"
    kind, n = group.name[0], group.name[1:]
    if kind == "C":
        return f"{share}, rot from {-180 / int(n):g} to {180 / int(n):g} degrees"
    if kind == "D":
        if n == "1":
            return f"{share}, tilt up to 90 degrees"
        low, high = 90 - 180 / int(n), 90 + 180 / int(n)
        return f"{share}, rot from {low:g} to {high:g} and tilt up to 90 degrees"
    corners = []
    for corner in asymmetric_unit_corners(group):
        rot, tilt = angles_from_direction(corner)
        corners.append(f"({float(rot):.2f}, {float(tilt):.2f})")
    return f"{share}, the triangle between (rot, tilt) = {', '.join(corners)} degrees"


def _write(root: str, group: PointGroup) -> None:
    import pandas as pd

    from aurefine.io.star import write_star
    from aurefine.report.symmetry import plot_symmetry

    Path(root).parent.mkdir(parents=True, exist_ok=True)
    paths = [str(path) for path in plot_symmetry(group, root)]
    rot, tilt, psi = euler_from_matrix(group.matrices)
    table = pd.DataFrame({"rlnAngleRot": rot, "rlnAngleTilt": tilt, "rlnAnglePsi": psi})
    write_star(f"{root}.star", {"symmetry_operators": table})
    _say(f" Written: {', '.join([*paths, f'{root}.star'])}")


def _align(values: Mapping[str, Any]) -> None:
    name, group = values["input"], point_group(values["symmetry"])
    data, header = read_map(name)
    check_finite(data, name)
    n = len(data)
    if data.shape != (n, n, n) or n % 2:
        raise ImageError(
            f"{name}: {' x '.join(str(size) for size in data.shape[::-1])} px, expected a cubic "
            "map of even size. Cut it with the image handler's --new_box."
        )
    if data.std() == 0:
        raise ImageError(f"{name}: the map is constant, so there is nothing to align.")
    pixel_size = values["pixel_size"] if values["pixel_size"] > 0 else header
    if not pixel_size:
        raise OptionError(f"{name}: the header does not say the pixel size; give --angpix.")
    found = align_to_axes(
        data,
        pixel_size,
        group,
        diameter=values["particle_diameter"],
        keeps_centre=values["keep_centre"],
    )
    _, angle = axis_and_angle(found.rotation)
    rot, tilt, psi = (float(a) for a in euler_from_matrix(found.rotation))
    x, y, z = (-found.rotation @ found.centre / pixel_size).tolist()
    _say(f" Correlation with the {group.name} symmetry mates: {found.before:.3f} before,")
    _say(
        f" {found.after:.3f} after a turn by {angle:.2f}° (rot {rot:.2f}, tilt {tilt:.2f}, psi "
        f"{psi:.2f})"
    )
    _say(f" and a move by ({x:.2f}, {y:.2f}, {z:.2f}) px")
    if found.after < 0.7:
        sys.stderr.write(
            f" WARNING: {name} has no {group.name} symmetry about any axes: the best correlation "
            f"is {found.after:.2f}\n"
        )
    moved = move_map(data, pixel_size, found)
    if values["apply"]:
        moved = average_mates(moved, group)
    write_map(values["output"], moved, pixel_size)
    _say(f" Written: {values['output']}")
