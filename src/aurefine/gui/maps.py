"""What the browser shows of a map: numbers, slices, and a small volume for the 3D surface."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aurefine.errors import ImageError
from aurefine.io import read_map

__all__ = ["MapFacts", "MapStore", "Volume"]

_LARGEST_SURFACE = 128  # voxels along an edge
_MAX_MAPS = 6  # kept in memory
_N_BINS = 64
_SURFACE_FRACTION = 0.025  # of the voxels of the box, at most, inside the first surface
_ABOVE_NOISE = 3.0  # standard deviations of the map

Map = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapFacts:
    """Numbers about one map; `pixel_size` in Å, None if the file does not say."""

    box: tuple[int, int, int]  # (z, y, x)
    pixel_size: float | None
    minimum: float
    maximum: float
    mean: float
    deviation: float
    threshold: float  # a first guess for the surface
    histogram: list[int]  # voxels between minimum and maximum

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Volume:
    """A map, if need be averaged over cubes of voxels, for the graphics card."""

    values: npt.NDArray[np.float16]  # (z, y, x), map values / scale
    scale: float  # standard deviation of the map
    pixel_size: float  # of the small map [Å]; 1 if unknown


@dataclass(frozen=True, slots=True)
class _Loaded:
    values: Map
    pixel_size: float | None
    facts: MapFacts


class MapStore:
    """Maps that were looked at last, so that sliders answer at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: OrderedDict[tuple[str, int, int], _Loaded] = OrderedDict()
        self._volumes: OrderedDict[tuple[str, int, int], Volume] = OrderedDict()

    def facts(self, path: Path) -> MapFacts:
        """Return the numbers about a map."""
        return self._load(path).facts

    def slice_png(self, path: Path, axis: int, index: int) -> bytes:
        """Draw one slice in grey.

        Parameters
        ----------
        path : Path
        axis : int
            0 for z, 1 for y, 2 for x.
        index : int
            From 0; moved into the box.
        """
        loaded = self._load(path)
        index = min(max(index, 0), loaded.values.shape[axis] - 1)
        image = np.take(loaded.values, index, axis=axis)
        facts = loaded.facts
        low = max(facts.minimum, facts.mean - 3 * facts.deviation)
        high = min(facts.maximum, facts.mean + 8 * facts.deviation)
        return grey_png(image, low, high)

    def volume(self, path: Path) -> Volume:
        """Return the small map for the 3D surface."""
        key = _key(path)
        with self._lock:
            known = self._volumes.get(key)
        if known is not None:
            return known
        loaded = self._load(path)
        factor = -(-max(loaded.values.shape) // _LARGEST_SURFACE)
        scale = loaded.facts.deviation or 1.0
        small = _averaged(loaded.values, factor) / np.float32(scale)
        limit = float(np.finfo(np.float16).max)
        volume = Volume(
            np.clip(small, -limit, limit).astype(np.float16),
            scale,
            (loaded.pixel_size or 1.0) * factor,
        )
        with self._lock:
            self._volumes[key] = volume
            while len(self._volumes) > 2 * _MAX_MAPS:
                self._volumes.popitem(last=False)
        return volume

    def _load(self, path: Path) -> _Loaded:
        key = _key(path)
        with self._lock:
            if key in self._maps:
                self._maps.move_to_end(key)
                return self._maps[key]
        values, pixel_size = read_map(path)
        if values.ndim != 3:
            raise ImageError(f"{path.name}: is not a map.")
        loaded = _Loaded(values, pixel_size, _facts(values, pixel_size))
        with self._lock:
            self._maps[key] = loaded
            while len(self._maps) > _MAX_MAPS:
                self._maps.popitem(last=False)
        return loaded


def grey_png(image: npt.NDArray[np.floating], low: float, high: float) -> bytes:
    """Draw an image with its first row at the bottom, black at `low` and white at `high`."""
    from PIL import Image

    width = high - low if high > low else 1.0
    grey = np.clip((image - low) * (255 / width), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey[::-1])).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def _facts(values: Map, pixel_size: float | None) -> MapFacts:
    low, high = float(values.min()), float(values.max())
    histogram, _ = np.histogram(values, bins=_N_BINS, range=(low, high if high > low else low + 1))
    is_mask = low >= 0 and high <= 1 and np.mean((values == 0) | (values == 1)) > 0.5
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return MapFacts(
        box=(values.shape[0], values.shape[1], values.shape[2]),
        pixel_size=pixel_size,
        minimum=low,
        maximum=high,
        mean=mean,
        deviation=deviation,
        threshold=0.5 if is_mask else _surface_threshold(values, mean, deviation),
        histogram=histogram.tolist(),
    )


def _surface_threshold(values: Map, mean: float, deviation: float) -> float:
    """Guess where the surface of the particle is: above the noise, and around the densest part."""
    dense = float(np.quantile(values[::2, ::2, ::2], 1 - _SURFACE_FRACTION))
    return min(max(dense, mean + _ABOVE_NOISE * deviation), 0.5 * (mean + float(values.max())))


def _averaged(values: Map, factor: int) -> Map:
    """Average over cubes of `factor` voxels; what does not fill a cube at the ends is left out."""
    if factor == 1:
        return values
    nz, ny, nx = (n // factor for n in values.shape)
    inner = values[: nz * factor, : ny * factor, : nx * factor]
    cubes = inner.reshape(nz, factor, ny, factor, nx, factor)
    return np.asarray(cubes.mean(axis=(1, 3, 5), dtype=np.float32))
