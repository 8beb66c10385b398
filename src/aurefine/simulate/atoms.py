"""Atom sets: reading, symmetry expansion, electron scattering, and exact density maps."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from aurefine.errors import AurefineError
from aurefine.geometry.symmetry import point_group
from aurefine.simulate.spreading import (
    kernel_table,
    kernel_transform,
    spread_3d,
)

__all__ = ["AtomSet", "map_from_atoms", "read_atoms", "scattering_factor"]

# Elastic electron scattering factors of neutral atoms for s up to 2 1/Å:
# Peng, Ren, Dudarev & Whelan (1996), Acta Cryst. A52, 257-276, table 1: a [Å], b [Å²].
_PENG = {
    "H": (
        (0.0349, 0.1201, 0.1970, 0.0573, 0.1195),
        (0.5347, 3.5867, 12.3471, 18.9525, 38.6269),
    ),
    "C": (
        (0.0893, 0.2563, 0.7570, 1.0487, 0.3575),
        (0.2465, 1.7100, 6.4094, 18.6113, 50.2523),
    ),
    "N": (
        (0.1022, 0.3219, 0.7982, 0.8197, 0.1715),
        (0.2451, 1.7481, 6.1925, 17.3894, 48.1431),
    ),
    "O": (
        (0.0974, 0.2921, 0.6910, 0.6990, 0.2039),
        (0.2067, 1.3815, 4.6943, 12.7105, 32.4726),
    ),
    "NA": (
        (0.2142, 0.6853, 0.7692, 1.6589, 1.4482),
        (0.3334, 2.3446, 10.0830, 48.3037, 138.2700),
    ),
    "MG": (
        (0.2314, 0.6866, 0.9677, 2.1882, 1.1339),
        (0.3278, 2.2720, 10.9241, 39.2898, 101.9748),
    ),
    "P": (
        (0.2548, 0.6106, 1.4541, 2.3204, 0.8477),
        (0.2908, 1.8740, 8.5176, 24.3434, 63.2996),
    ),
    "S": (
        (0.2497, 0.5628, 1.3899, 2.1865, 0.7715),
        (0.2681, 1.6711, 7.0267, 19.5377, 50.3888),
    ),
}
_CODES = ("C", "N", "O", "S")  # the integer codes of the `element` array of an atom set
_WATER = frozenset({"HOH", "WAT", "DOD"})


@dataclass(frozen=True, slots=True)
class AtomSet:
    """Atoms of a whole particle, sorted by element.

    Attributes
    ----------
    coordinates : ndarray, shape (n_atoms, 3), float64
        (x, y, z) from the centre of the map [Å].
    elements : tuple of str
        The elements that occur, upper case.
    first_of_element : ndarray, shape (n_elements + 1,), int64
        Where the atoms of each element begin.
    symmetry : str
        Point group about RELION's axes.
    """

    coordinates: npt.NDArray[np.float64]
    elements: tuple[str, ...]
    first_of_element: npt.NDArray[np.int64]
    symmetry: str = "C1"

    @property
    def max_radius(self) -> float:
        """Distance of the farthest atom from the centre [Å]."""
        return float(np.sqrt((self.coordinates**2).sum(axis=1).max()))

    @classmethod
    def from_arrays(
        cls,
        coordinates: npt.ArrayLike,
        elements: Sequence[str],
        *,
        symmetry: str = "C1",
        expand: bool = False,
    ) -> AtomSet:
        """Make an atom set, optionally completing the asymmetric unit.

        Parameters
        ----------
        coordinates : array, shape (n_atoms, 3)
            (x, y, z) from the centre [Å].
        elements : sequence of str, length n_atoms
            Symbols such as ``"C"``.
        symmetry : str
            Point group.
        expand : bool
            Whether the atoms are one asymmetric unit, to be copied by the point group.

        Raises
        ------
        ValueError
            If shapes or elements make no sense.
        """
        points = np.asarray(coordinates, dtype=np.float64)
        symbols = np.char.upper(np.char.strip(np.asarray(elements, dtype=np.str_)))
        if points.ndim != 2 or points.shape[1] != 3 or not len(points):
            raise ValueError(f"expected coordinates of shape (n_atoms, 3), found {points.shape}")
        if symbols.shape != points.shape[:1]:
            raise ValueError(f"{len(points)} atoms, but {symbols.size} elements")
        if not np.isfinite(points).all():
            raise ValueError("a coordinate is not a finite number")
        unknown = sorted(set(symbols.tolist()) - set(_PENG))
        if unknown:
            raise ValueError(
                f"no scattering factor for element {', '.join(unknown)}; "
                f"known are {', '.join(_PENG)}. Remove these atoms"
            )
        if expand:
            operators = np.asarray(point_group(symmetry).matrices, dtype=np.float64)
            points = np.einsum("gij,nj->gni", operators, points).reshape(-1, 3)
            symbols = np.tile(symbols, len(operators))
        order = np.argsort(symbols, kind="stable")
        present, counts = np.unique(symbols, return_counts=True)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(np.ascontiguousarray(points[order]), tuple(present.tolist()), first, symmetry)


def scattering_factor(
    element: str, frequency_squared: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the electron scattering factor of a neutral atom.

    Parameters
    ----------
    element : str
        Symbol, e.g. ``"C"``.
    frequency_squared : ndarray
        Squared spatial frequency [1/Å²].

    Returns
    -------
    factor : ndarray, shape of `frequency_squared`, float64
        Scattering amplitude [Å].

    Notes
    -----
    Sum of five Gaussians (Peng et al. 1996, Acta Cryst. A52, 257).
    """
    heights, widths = _PENG[element.upper()]
    total = np.zeros(np.shape(frequency_squared))
    for height, width in zip(heights, widths, strict=True):
        total += height * np.exp(-0.25 * width * np.asarray(frequency_squared, dtype=np.float64))
    return total


def read_atoms(path: str | Path) -> AtomSet:
    """Read an atom set.

    Parameters
    ----------
    path : path
        ``.npz`` with `coords` (n, 3) [Å from the centre], `element` (codes 0-3 for C, N, O, S)
        or `elements` (symbols) and `sym`; the atoms are one asymmetric unit.  Or a ``.pdb``,
        whose first model is used without waters and centred on its mean.

    Returns
    -------
    atoms : AtomSet
        The whole particle.

    Raises
    ------
    AurefineError
        If the file can not be read or understood.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".pdb", ".ent"):
            return _read_pdb(path)
        return _read_npz(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = f"array {error} is missing" if isinstance(error, KeyError) else str(error)
        raise AurefineError(
            f"{path}: can not be used as an atom set: {reason}. Expected a .npz file with coords, "
            "element and sym, or a .pdb file."
        ) from error


def _read_npz(path: Path) -> AtomSet:
    with np.load(path, allow_pickle=False) as data:
        if "elements" in data:
            symbols = data["elements"].astype(np.str_).tolist()
        else:
            codes = data["element"].astype(np.int64)
            if codes.min() < 0 or codes.max() >= len(_CODES):
                raise ValueError(f"element codes must be 0-{len(_CODES) - 1} ({', '.join(_CODES)})")
            symbols = [_CODES[code] for code in codes]
        symmetry = str(data["sym"].item()) if "sym" in data else "C1"
        return AtomSet.from_arrays(data["coords"], symbols, symmetry=symmetry, expand=True)


def _read_pdb(path: Path) -> AtomSet:
    coordinates, symbols = [], []
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("ENDMDL"):
            break
        is_atom = line.startswith(("ATOM", "HETATM"))
        if not is_atom or line[16] not in " A" or line[17:20].strip() in _WATER:
            continue
        coordinates.append([float(line[k : k + 8]) for k in (30, 38, 46)])
        symbols.append(line[76:78].strip() or line[12:14].strip(" 0123456789")[:1])
    if not coordinates:
        raise ValueError("no atoms found")
    points = np.array(coordinates)
    return AtomSet.from_arrays(points - points.mean(axis=0), symbols)


def map_from_atoms(
    atoms: AtomSet, box: int, pixel_size: float, *, bfactor: float = 0.0
) -> npt.NDArray[np.float32]:
    """Sample the exact transform of an atom set and return it as a map.

    Parameters
    ----------
    atoms : AtomSet
        The particle; atoms outside the box wrap around.
    box : int
        Even box size [px].
    pixel_size : float
        Pixel size [Å].
    bfactor : float
        Blur ``exp(-bfactor * s**2 / 4)`` [Å²].

    Returns
    -------
    density : ndarray, shape (box, box, box), float32
        (z, y, x) with the centre at index ``box // 2``.  Its sum is the sum of the scattering
        factors at zero frequency, and its sums along an axis are projections on the same scale.
        The Nyquist planes are 0.
    """
    if box % 2 or box < 4:
        raise ValueError(f"box size must be even and at least 4, found {box}")
    half = box // 2
    index = np.fft.fftfreq(box, 1 / box).astype(np.int64)
    columns = np.arange(half + 1)
    transform = np.zeros((box, box, half + 1), dtype=np.complex64)
    in_plane = index[:, None] ** 2 + columns[None, :] ** 2
    scale = 1.0 / (box * pixel_size) ** 2
    for number, element in enumerate(atoms.elements):
        begin, end = atoms.first_of_element[number : number + 2]
        part = _transform_of_points(atoms.coordinates[begin:end] / pixel_size, box)
        for layer, z in enumerate(index):
            s2 = (in_plane + z * z) * scale
            weight = scattering_factor(element, s2) * np.exp(-0.25 * bfactor * s2)
            transform[layer] += part[layer] * weight.astype(np.float32)
    sign = np.where(np.arange(box) % 2, -1, 1).astype(np.float32)
    transform *= sign[:, None, None] * sign[None, :, None] * sign[None, None, : half + 1]
    transform[half] = 0
    transform[:, half] = 0
    transform[:, :, half] = 0
    density = scipy.fft.irfftn(transform, s=(box,) * 3, overwrite_x=True)
    return np.asarray(density, dtype=np.float32)


def _transform_of_points(points: npt.NDArray[np.float64], box: int) -> npt.NDArray[np.complex64]:
    """Fourier sums of unit points [px from the origin] on the `rfftn` indices of a box."""
    n_grid = 2 * box
    half = box // 2
    index = np.fft.fftfreq(box, 1 / box).astype(np.int64)
    keep = index % n_grid
    grid = np.zeros((n_grid,) * 3, dtype=np.float32)
    spread_3d(2.0 * points, kernel_table(), grid)
    # Axis by axis, keeping only the frequencies of the box
    transform = scipy.fft.rfft(grid, axis=2)[:, :, : half + 1]  # (2 box, 2 box, half + 1)
    del grid
    transform = scipy.fft.fft(transform, axis=1)[:, keep]
    transform = scipy.fft.fft(transform, axis=0)[keep]
    kernel = kernel_transform(index, n_grid).astype(np.float32)
    transform /= kernel[:, None, None] * kernel[None, :, None] * kernel[None, None, : half + 1]
    return np.asarray(transform)
