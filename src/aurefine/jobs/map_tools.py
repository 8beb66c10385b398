"""The image handler: options to operations, images in, images out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError, OptionError
from aurefine.io.mrc import StackWriter, check_finite, write_map
from aurefine.io.stacks import split_image_name
from aurefine.jobs.image_source import (
    ImageSource,
    images_of_names,
    open_source,
    read_second,
)
from aurefine.jobs.job_control import run_controlled
from aurefine.jobs.map_report import show
from aurefine.jobs.map_tools_table import IMAGE_HANDLER_OPTIONS
from aurefine.jobs.options import check_values, with_defaults
from aurefine.maps.chain import ARITHMETIC, Operations, apply_operations
from aurefine.maps.operations import rescaled_size

if TYPE_CHECKING:
    from aurefine.jobs.image_star import StarSource

__all__ = ["IMAGE_HANDLER_OPTIONS", "run_image_handler", "to_operations"]

Pixels = npt.NDArray[np.float32]

_NO_EFFECT = {"multiply": 1.0, "divide": 1.0, "add": 0.0, "subtract": 0.0}
_MAP_SUFFIXES = (".mrc", ".mrcs", ".map")
_TOLERANCE = 1e-3  # relative difference of pixel sizes that needs no warning


def run_image_handler(given: Mapping[str, Any]) -> int:
    """Run the image handler with the given option values and return the exit code."""
    check_values(IMAGE_HANDLER_OPTIONS, given)
    values = with_defaults(IMAGE_HANDLER_OPTIONS, given)
    return run_controlled(values["pipeline_control"], lambda: _run(values))


def to_operations(values: Mapping[str, Any]) -> Operations:
    """Turn option values into operations; where only one is possible, the first wins."""
    arithmetic = [f"{name}_constant" for name in ARITHMETIC] + list(ARITHMETIC)
    wanted = [
        name
        for name in arithmetic
        if (values[name] != _NO_EFFECT[name[:-9]] if name.endswith("_constant") else values[name])
    ]
    flips = [
        (f"--{flag}", code)
        for name, flag, code in (
            ("flip_x", "flipX", "X"),
            ("flip_y", "flipY", "Y"),
            ("flip_z", "flipZ", "Z"),
            ("invert_hand", "invert_hand", "hand"),
        )
        if values[name]
    ]
    for chosen, ignored in (
        ([f"--{name}" for name in wanted[:1]], [f"--{name}" for name in wanted[1:]]),
        ([flag for flag, _ in flips[:1]], [flag for flag, _ in flips[1:]]),
    ):
        if ignored:
            _warn(f"only the first is done; ignored: {', '.join(ignored)} (done: {chosen[0]}).")
    first = wanted[0] if wanted else ""
    is_constant = first.endswith("_constant")
    above, below = values["threshold_above"], values["threshold_below"]
    return Operations(
        transpose="flipXY" if values["flip_xy"] else "flipmXY" if values["flip_mxy"] else "",
        replace_nan=values["replace_nan"] if values["remove_nan"] else None,
        randomise_phases_at=_length(values["phase_randomise"]),
        constant=(first[:-9], values[first]) if is_constant else None,
        other="" if is_constant else first,
        bfactor=values["bfactor"],
        lowpass=_length(values["lowpass"]),
        highpass=_length(values["highpass"]),
        edge_shells=values["filter_edge"],
        flip=flips[0][1] if flips else "",
        shift_to_centre_of_mass=values["shift_com"],
        shift=(values["shift_x"], values["shift_y"], values["shift_z"]),
        rescale_to=_length(values["rescale_pixel_size"]),
        new_box=values["new_box"] if values["new_box"] > 0 else None,
        symmetry=values["symmetry"],
        clamp_above=above if above != 999.0 else None,
        clamp_below=below if below != -999.0 else None,
    )


def _length(value: float) -> float | None:
    return value if value > 0 else None


def _warn(message: str) -> None:
    sys.stderr.write(f" WARNING: {message}\n")


def _run(values: Mapping[str, Any]) -> None:
    name = values["input"]
    star = _open_star(name) if name.endswith(".star") else None
    source = open_source(name) if star is None else images_of_names(star.names)
    if show(values, source, lambda: _pixel_size(values, source, star)):
        return
    if not values["output"]:
        raise OptionError(
            "option --o is missing: name the file to write (or use --stats, --com, --fsc or "
            "--power to print something)."
        )
    task = _plan(values, source, star)
    if values["average"]:
        _write_average(task, source)
    elif star is not None:
        _write_listed(task, star)
    elif source.is_stack:
        _write_stack(task, source, _stack_name(name, values["output"]))
    else:
        _write_single(task, source)


def _open_star(name: str) -> StarSource:
    from aurefine.jobs.image_star import open_star  # slow to import: not needed for maps

    return open_star(name)


def _pixel_size(values: Mapping[str, Any], source: ImageSource, star: StarSource | None) -> float:
    """Pixel size for filters: the option, the optics table, or the header [Å]."""
    if values["pixel_size"] > 0:
        return float(values["pixel_size"])
    if star is not None and "optics" in star.star:
        optics = star.star.table("optics")
        if "rlnImagePixelSize" in optics:
            sizes = sorted(set(optics["rlnImagePixelSize"]))
            if len(sizes) > 1:
                raise ImageError(
                    f"{star.star.path}: the optics groups have different pixel sizes ("
                    f"{', '.join(f'{size:g}' for size in sizes)} Å). Handle them one by one, or "
                    "give one pixel size for all with --angpix."
                )
            return float(sizes[0])
    if source.pixel_size is None:
        raise OptionError(
            f"{source.names[0]}: the header does not say the pixel size; give it with --angpix."
        )
    _warn(
        "--angpix is not given. The pixel size in the image header, "
        f"{source.pixel_size:g} Å, is used."
    )
    return source.pixel_size


def _stack_name(name: str, output: str) -> str:
    """Name of the stack made from stack `name`."""
    if output.endswith(".mrcs"):
        return output
    if "/" in output or output.endswith(_MAP_SUFFIXES):
        raise OptionError(
            f"option --o: found '{output}', expected the name of a stack (.mrcs), or a text "
            "without folder and extension that is inserted into the names of the input."
        )
    path = Path(name.removesuffix(":mrcs"))
    return str(path.with_name(f"{path.stem}_{output}.mrcs"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What is done to each image; pixel sizes in Å."""

    output: str
    operations: Operations
    pixel_size: float  # before
    header_pixel_size: float  # for the header, after
    rescaled_pixel_size: float | None
    other: Pixels | None
    as_images: bool
    float16: bool
    n_threads: int
    rng: np.random.Generator


def _plan(values: Mapping[str, Any], source: ImageSource, star: StarSource | None) -> _Task:
    operations = to_operations(values)
    pixel_size = source.pixel_size or 1.0
    if operations.needs_pixel_size:
        pixel_size = _pixel_size(values, source, star)
    rescaled = None
    if operations.rescale_to is not None:
        rescaled = _foresee_rescaling(source, pixel_size, operations.rescale_to)
    header_pixel_size: float = values["header_pixel_size"]
    if header_pixel_size <= 0:
        if rescaled is None and source.pixel_size is None:
            _warn(f"{source.names[0]}: the header has no pixel size; 1 Å is written.")
        header_pixel_size = rescaled or source.pixel_size or 1.0
    return _Task(
        output=values["output"],
        operations=operations,
        pixel_size=pixel_size,
        header_pixel_size=header_pixel_size,
        rescaled_pixel_size=rescaled,
        other=read_second(values[operations.other], source) if operations.other else None,
        as_images=not source.is_map,
        float16=values["float16"],
        n_threads=values["n_threads"],
        rng=np.random.default_rng(values["random_seed"]),
    )


def _foresee_rescaling(source: ImageSource, pixel_size: float, requested: float) -> float:
    """Pixel size after rescaling [Å]; warn if it is not the requested one."""
    try:
        _, rescaled = rescaled_size(max(source.shape[-2:]), pixel_size, requested)
    except ValueError as error:
        raise ImageError(f"{source.names[0]}: {error}.") from None
    if abs(rescaled - requested) / requested > _TOLERANCE:
        _warn(
            f"the new pixel size is {rescaled:g} Å instead of the requested {requested:g} Å, "
            "because the box is rounded to an even number. The header has the true value; "
            "--force_header_angpix overrides it."
        )
    return rescaled


def _apply(task: _Task, values: Pixels, name: str) -> npt.NDArray[np.floating]:
    if task.operations.needs_pixel_size and task.operations.replace_nan is None:
        check_finite(values, name)
    try:
        return apply_operations(
            values,
            task.pixel_size,
            task.operations,
            other=task.other,
            as_images=task.as_images,
            rng=task.rng,
            workers=task.n_threads,
        )[0]
    except (ImageError, ValueError) as error:
        raise ImageError(f"{name}: {error}") from error


def _write(task: _Task, path: str, data: npt.NDArray[np.floating]) -> None:
    write_map(path, data, task.header_pixel_size, half_precision=task.float16)


def _single_output(task: _Task) -> str:
    if not task.output.endswith(_MAP_SUFFIXES):
        raise OptionError(
            f"option --o: found '{task.output}', expected a name that ends in "
            f"{', '.join(_MAP_SUFFIXES)}."
        )
    return task.output


def _write_single(task: _Task, source: ImageSource) -> None:
    """Handle one map or one image."""
    output = _single_output(task)
    if source.is_map:
        _write(task, output, _apply(task, source.read_map(), source.names[0]))
        return
    names, images = next(source.batches())
    _write(task, output, _apply(task, images, names[0])[0])


def _write_average(task: _Task, source: ImageSource) -> None:
    """Write the average of all images as they are."""
    if source.is_map:
        raise ImageError(f"{source.names[0]}: --average is for images, not for a map.")
    total = np.zeros(source.shape, dtype=np.float64)
    for _, images in source.batches():
        total += images.sum(axis=0, dtype=np.float64)
    _write(task, _single_output(task), (total / len(source)).astype(np.float32))


def _write_stack(task: _Task, source: ImageSource, path: str) -> int:
    """Handle all images of a source and write them as one stack; return their width [px]."""
    results = (_apply(task, images, names[0]) for names, images in source.batches())
    first = next(results)
    ny, nx = first.shape[-2:]
    if ny != nx:
        _write(task, path, np.concatenate([first, *results]))
        return int(nx)
    with StackWriter(
        path, len(source), nx, task.header_pixel_size, half_precision=task.float16
    ) as writer:
        writer.append(first)
        for result in results:
            writer.append(result)
    return int(nx)


def _write_listed(task: _Task, star: StarSource) -> None:
    """Handle the images of a STAR file; write one stack or several, and a new STAR file."""
    from aurefine.jobs.image_star import write_new_star  # as `_open_star`

    names = star.names
    input_star = Path(star.star.path)
    if task.output.endswith(".mrcs"):
        box = _write_stack(task, images_of_names(names), task.output)
        new_names = [f"{i:06d}@{task.output}" for i in range(1, len(names) + 1)]
        output = Path(task.output)
        folder = output.parent if len(output.parts) > 1 else input_star.parent
        new_star = folder / f"{input_star.stem}_{output.name}.star"
    else:
        new_names = [""] * len(names)
        rows_of_stack: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            rows_of_stack.setdefault(split_image_name(name)[1], []).append(row)
        targets = {path: _stack_name(path, task.output) for path in rows_of_stack}
        boxes = set()
        for path, rows in rows_of_stack.items():
            listed = images_of_names([names[row] for row in rows])
            boxes.add(_write_stack(task, listed, targets[path]))
            for number, row in enumerate(rows, 1):
                new_names[row] = f"{number:06d}@{targets[path]}"
        if len(boxes) > 1:
            raise ImageError(
                f"{star.star.path}: images of different sizes ({sorted(boxes)} px) can not share "
                "one STAR file; give a common size with --new_box."
            )
        box = boxes.pop()
        new_star = input_star.with_name(f"{input_star.stem}_{task.output}.star")
    is_rescaled = task.rescaled_pixel_size is not None
    write_new_star(
        star,
        new_star,
        new_names,
        box=box if is_rescaled or task.operations.new_box is not None else None,
        pixel_size=task.rescaled_pixel_size,
    )
    sys.stdout.write(f" Written out new STAR file: {new_star}\n")
