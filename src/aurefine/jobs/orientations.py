"""*Orientations*: how evenly particles are seen, and what that did to the map."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine import __version__
from aurefine.errors import ImageError, OptionError, StarError
from aurefine.geometry.euler import angles_from_direction, direction_from_angles
from aurefine.geometry.symmetry import point_group
from aurefine.io import read_particles
from aurefine.io.atomic import write_text_atomic
from aurefine.io.mrc import check_finite, read_map
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.options import check_values, with_defaults
from aurefine.jobs.orientations_table import ORIENTATIONS_OPTIONS
from aurefine.validate.directional_fsc import DirectionalFsc, directional_fsc
from aurefine.validate.orientations import (
    FourierSampling,
    fourier_sampling,
    orientation_efficiency,
    point_spread_widths,
)

__all__ = ["ORIENTATIONS_OPTIONS", "read_half_map", "run_orientations"]

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_RESOLUTION = 10.0  # Å, of interest if nothing says more


def run_orientations(given: Mapping[str, Any]) -> int:
    """Analyse orientations and half maps, and return the exit code."""
    check_values(ORIENTATIONS_OPTIONS, given)
    values = with_defaults(ORIENTATIONS_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _run(values))


def _run(values: Mapping[str, Any]) -> None:
    if not values["particles"] and not values["half_map"]:
        raise OptionError("give particles (--i), half maps (--half1), or both.")
    numbers: dict[str, float] = {}
    cones = _cones(values) if values["half_map"] else None
    resolution = values["resolution"]
    if cones is not None:
        numbers |= {
            "best_resolution": float(cones.resolution.min()),
            "worst_resolution": float(cones.resolution.max()),
            "mean_resolution": float(cones.resolution.mean()),
            "sd_resolution": float(cones.resolution.std()),
            "sphericity": cones.sphericity,
            "area_ratio": cones.area_ratio,
        }
        _say(
            f" Directional FSC ({values['threshold']:g}, cones of {values['cone_angle']:g} "
            f"degrees): {numbers['best_resolution']:.2f} to {numbers['worst_resolution']:.2f} Å, "
            f"mean {numbers['mean_resolution']:.2f} ± {numbers['sd_resolution']:.2f} Å"
        )
        _say(
            f" Sphericity {cones.sphericity:.3f}, ratio of areas under the curves "
            f"{cones.area_ratio:.3f} (1: isotropic)"
        )
        resolution = resolution if resolution > 0 else numbers["mean_resolution"]
    resolution = resolution if resolution > 0 else _RESOLUTION
    sampling = None
    if values["particles"]:
        sampling = _sampling(values, resolution)
        _, widths = point_spread_widths(
            sampling, diameter=values["particle_diameter"], resolution=resolution
        )
        numbers |= {
            "efficiency": orientation_efficiency(widths),
            "scf": sampling.scf,
            "empty_fraction": sampling.empty_fraction,
        }
        _say(
            f" Orientation efficiency {numbers['efficiency']:.3f} (1: even; below 0.5: the map is "
            "badly smeared)"
        )
        _say(
            f" Sampling at {resolution:.1f} Å: compensation factor {sampling.scf:.3f} (1: even), "
            f"{100 * sampling.empty_fraction:.1f} % of the directions not seen"
        )
    if values["output"]:
        _write(values["output"], numbers, sampling, cones)


def _sampling(values: Mapping[str, Any], resolution: float) -> FourierSampling:
    path = values["particles"]
    frame = read_particles(path).particles
    missing = [label for label in ("rlnAngleRot", "rlnAngleTilt") if label not in frame]
    if missing:
        raise StarError(
            f"{path}: data_particles has no column {missing[0]}. Give a file with orientations, "
            "such as run_data.star of a refinement."
        )
    views = direction_from_angles(
        frame["rlnAngleRot"].to_numpy(float), frame["rlnAngleTilt"].to_numpy(float)
    )
    ring = max(1, round(values["particle_diameter"] / resolution))
    _say(f" {len(views)} particles, symmetry {point_group(values['symmetry']).name}")
    return fourier_sampling(views, point_group(values["symmetry"]), ring=ring)


def _cones(values: Mapping[str, Any]) -> DirectionalFsc:
    first = values["half_map"]
    second = values["other_half_map"]
    if not second:
        folder, name = Path(first).parent, Path(first).name
        if "half1" not in name:
            raise OptionError(f"option --half1: no half1 in {name!r}; give the other by --half2.")
        second = str(folder / name.replace("half1", "half2"))
    (a, pixel_size), (b, _) = read_half_map(first), read_half_map(second)
    if a.shape != b.shape:
        raise ImageError(f"{second}: a box of {len(b)} px, but {first} has {len(a)} px.")
    pixel_size = values["pixel_size"] if values["pixel_size"] > 0 else pixel_size
    if not pixel_size:
        raise OptionError(f"{first}: the header does not say the pixel size; give --angpix.")
    if values["mask"]:
        mask, _ = read_half_map(values["mask"])
        if mask.shape != a.shape:
            raise ImageError(f"{values['mask']}: a box of {len(mask)} px, expected {len(a)} px.")
        a, b = a * mask, b * mask
    return directional_fsc(
        a, b, pixel_size, half_angle=values["cone_angle"], threshold=values["threshold"]
    )


def read_half_map(name: str) -> tuple[Float32, float | None]:
    """Return a cubic map of even size with finite values, and its pixel size [Å] if it is known."""
    data, pixel_size = read_map(name)
    check_finite(data, name)
    if len(set(data.shape)) > 1 or len(data) % 2:
        raise ImageError(f"{name}: expected a cubic map of even size, found {data.shape}.")
    return data, pixel_size


def _write(
    root: str,
    numbers: Mapping[str, float],
    sampling: FourierSampling | None,
    cones: DirectionalFsc | None,
) -> None:
    import pandas as pd

    from aurefine.io.star import write_star
    from aurefine.report.anisotropy import draw_directional_fsc, draw_sampling
    from aurefine.report.saving import save_figure

    Path(root).parent.mkdir(parents=True, exist_ok=True)
    content = {"program": f"aurefine {__version__}", **numbers}
    write_text_atomic(f"{root}.json", json.dumps(content, indent=1) + "\n")
    written = [f"{root}.json"]
    tables: dict[str, pd.DataFrame | dict[str, object]] = {}
    if sampling is not None:
        paths = save_figure(draw_sampling(sampling), f"{root}_sampling")
        written += [str(path) for path in paths]
        tables["sampling"] = _table(sampling.directions, aurSampling=sampling.sampling)
    if cones is not None:
        paths = save_figure(draw_directional_fsc(cones), f"{root}_directional_fsc")
        written += [str(path) for path in paths]
        tables["directional_resolution"] = _table(cones.directions, aurResolution=cones.resolution)
    write_star(f"{root}.star", tables)
    _say(f" Written: {', '.join([*written, f'{root}.star'])}")


def _table(directions: Float, **columns: Float) -> Any:
    import pandas as pd

    rot, tilt = angles_from_direction(directions)
    text = {name: [f"{value:.6f}" for value in values] for name, values in columns.items()}
    return pd.DataFrame({"rlnAngleRot": rot, "rlnAngleTilt": tilt, **text})


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
