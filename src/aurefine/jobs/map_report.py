"""What the image handler prints: statistics, centre of mass, FSC, power spectrum."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.fourier import fsc_of_maps, rfft_images, rfft_map, ring_index, sum_by_shell
from aurefine.jobs.image_source import ImageSource, read_second
from aurefine.maps.curves import working_dtype
from aurefine.maps.operations import centre_of_mass

__all__ = ["shell_columns", "show"]

Pixels = npt.NDArray[np.float32]

_AT_ORIGIN = 999.0  # Å, stands for the infinite resolution of shell 0


def shell_columns(n: int, pixel_size: float) -> dict[str, npt.NDArray[Any]]:
    """First columns of tables by shell.

    Parameters
    ----------
    n : int
        Box size [px].
    pixel_size : float
        [Å].

    Returns
    -------
    dict
        Columns ``rlnSpectralIndex``, ``rlnResolution`` [1/Å] and ``rlnAngstromResolution`` [Å]
        for shells 0 to n // 2; shell 0 is given as 999 Å.
    """
    shell = np.arange(n // 2 + 1)
    resolution = np.full(len(shell), _AT_ORIGIN)
    resolution[1:] = n * pixel_size / shell[1:]
    return {
        "rlnSpectralIndex": shell,
        "rlnResolution": 1.0 / resolution,
        "rlnAngstromResolution": resolution,
    }


def show(values: Mapping[str, Any], source: ImageSource, pixel_size: Callable[[], float]) -> bool:
    """Print what was asked for; return whether anything was.

    Parameters
    ----------
    values : mapping
        Option values.
    source : ImageSource
        Images as they are in the file.
    pixel_size : callable
        Gives the pixel size [Å] if it is needed.
    """
    if values["stats"]:
        for name, item in _items(source):
            _write(_statistics(name, item, source.pixel_size or 1.0))
    elif values["com"]:
        for name, item in _items(source):
            _write(_centre(name, item))
    elif values["fsc"]:
        _print_fsc(values["fsc"], source, pixel_size())
    elif values["power"]:
        size = pixel_size()
        for _, item in _items(source):
            _print_power(item, size)
    else:
        return False
    return True


def _items(source: ImageSource) -> Iterator[tuple[str, Pixels]]:
    """Yield the map, or image after image, with names."""
    if source.is_map:
        yield source.names[0], source.read_map()
        return
    for names, images in source.batches():
        yield from zip(names, images, strict=True)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _statistics(name: str, item: Pixels, pixel_size: float) -> str:
    nz, ny, nx = (1,) * (3 - item.ndim) + item.shape
    mean = float(item.mean(dtype=np.float64))
    # by planes: no second copy of a large map in double precision
    square = sum(float(np.sum((plane - mean) ** 2, dtype=np.float64)) for plane in item)
    deviation = float(np.sqrt(square / item.size))
    return (
        f"{name} : (x,y,z,n)= {nx} x {ny} x {nz} x 1 ; avg= {mean:g} stddev= {deviation:g} "
        f"minval= {float(item.min()):g} maxval= {float(item.max()):g}; angpix = {pixel_size:g}"
    )


def _centre(name: str, item: Pixels) -> str:
    x, y, z = centre_of_mass(item)
    text = f"{name} : center of mass (relative to XmippOrigin) x {x:g} y {y:g}"
    return text if item.ndim == 2 else f"{text} z {z:g}"


def _print_fsc(other_name: str, source: ImageSource, pixel_size: float) -> None:
    other = read_second(other_name, source)
    n = source.shape[-1]
    if source.shape != (n, n, n) or n % 2:
        raise ImageError(f"{source.names[0]}: --fsc needs cubic maps of even size.")
    dtype = working_dtype(n)
    curve = fsc_of_maps(
        source.read_map().astype(dtype, copy=False),
        other.astype(dtype, copy=False),
        hermitian=False,
    )
    _print_table("fsc", n, pixel_size, "rlnFourierShellCorrelation", curve)


def _print_power(item: Pixels, pixel_size: float) -> None:
    n = item.shape[-1]
    if len(set(item.shape)) > 1:
        raise ImageError("--power needs square images or cubic maps.")
    values = item.astype(working_dtype(n), copy=False)
    transform = rfft_map(values) if item.ndim == 3 else rfft_images(values)
    power = transform.real**2 + transform.imag**2
    if item.ndim == 3:
        count = sum_by_shell(np.broadcast_to(np.float32(1), power.shape), hermitian=False)
        mean = sum_by_shell(power, hermitian=False) / count
    else:
        ring = ring_index(n).ravel()
        mean = (np.bincount(ring, power.ravel()) / np.bincount(ring))[: n // 2 + 1]
    mean /= float(item.size) ** 2
    _print_table("power", n, pixel_size, "rlnReferenceSpectralPower", mean)


def _print_table(
    block: str, n: int, pixel_size: float, label: str, column: npt.NDArray[np.float64]
) -> None:
    from aurefine.jobs.image_star import print_table  # slow to import: not needed for maps

    print_table(block, {**shell_columns(n, pixel_size), label: column})
