"""Exact-to-1e-5 Fourier sums of scattered points: the gridding kernel and its hot loops.

Points are spread on a grid twice as fine as the box (or values are gathered from one) with a
compact kernel whose transform is known, which is then divided out: a non-uniform fast Fourier
transform.  Barnett, Magland & af Klinteberg (2019), SIAM J. Sci. Comput. 41, C479.
"""

from __future__ import annotations

import functools

import numba
import numpy as np
import numpy.typing as npt

__all__ = [
    "KERNEL_WIDTH",
    "gather_slice",
    "kernel_table",
    "kernel_transform",
    "spread_2d",
    "spread_3d",
]

KERNEL_WIDTH = 6  # grid points; relative error about 1e-5 on a twice finer grid
_BETA = 2.30 * KERNEL_WIDTH
_TABLE_STEPS = 512


def _kernel(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(1.0 - (2.0 * x / KERNEL_WIDTH) ** 2, 0.0, None)
    return np.exp(_BETA * (np.sqrt(inside) - 1.0))


@functools.lru_cache(maxsize=1)
def kernel_table() -> npt.NDArray[np.float32]:
    """Return the kernel at its grid points, for each position of a point between two of them.

    Returns
    -------
    table : ndarray, shape (steps + 2, KERNEL_WIDTH), float32
        Row ``t * steps`` holds the weights of the grid points at distances
        ``t - KERNEL_WIDTH / 2 + j``; rows between are interpolated linearly.
    """
    fraction = np.arange(_TABLE_STEPS + 2) / _TABLE_STEPS
    distance = fraction[:, None] - KERNEL_WIDTH / 2 + np.arange(KERNEL_WIDTH)
    return _kernel(distance).astype(np.float32)


def kernel_transform(index: npt.NDArray[np.integer], n_grid: int) -> npt.NDArray[np.float64]:
    """Return the Fourier transform of the kernel at ``index / n_grid`` cycles per grid point.

    Parameters
    ----------
    index : ndarray of int
        Fourier indices (or, for gathering, positions).
    n_grid : int
        Points of the fine grid.

    Returns
    -------
    transform : ndarray, shape of `index`, float64
    """
    nodes, weights = np.polynomial.legendre.leggauss(64)
    x = nodes * KERNEL_WIDTH / 2
    values = weights * _kernel(x) * KERNEL_WIDTH / 2
    phase = 2 * np.pi * np.asarray(index, dtype=np.float64)[..., None] * x / n_grid
    return np.asarray(np.cos(phase) @ values)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc,untyped-decorator,unused-ignore]
def spread_2d(
    coordinates: npt.NDArray[np.float64],
    first_of_element: npt.NDArray[np.int64],
    projection: npt.NDArray[np.float64],
    table: npt.NDArray[np.float32],
    grid: npt.NDArray[np.float32],
) -> None:
    """Add the projection of all atoms to a periodic grid, one layer per element.

    Parameters
    ----------
    coordinates : ndarray, shape (n_atoms, 3), float64
        Atoms [Å], sorted by element.
    first_of_element : ndarray, shape (n_elements + 1,), int64
        Where each element begins in `coordinates`.
    projection : ndarray, shape (2, 3), float64
        Takes coordinates to x and y in grid points from the origin (grid point 0).
    table : ndarray
        `kernel_table()`.
    grid : ndarray, shape (n_elements, n_grid, n_grid), float32
        (element, y, x); added to in place.
    """
    n_grid = grid.shape[1]
    width = table.shape[1]
    steps = table.shape[0] - 2
    weight_x = np.empty(width, dtype=np.float32)
    for element in range(first_of_element.size - 1):
        for atom in range(first_of_element[element], first_of_element[element + 1]):
            cx, cy, cz = coordinates[atom, 0], coordinates[atom, 1], coordinates[atom, 2]
            x = projection[0, 0] * cx + projection[0, 1] * cy + projection[0, 2] * cz
            y = projection[1, 0] * cx + projection[1, 1] * cy + projection[1, 2] * cz
            x -= 0.5 * width
            y -= 0.5 * width
            ix = int(np.ceil(x))
            iy = int(np.ceil(y))
            tx = (ix - x) * steps
            ty = (iy - y) * steps
            kx = int(tx)
            ky = int(ty)
            fx = np.float32(tx - kx)
            fy = np.float32(ty - ky)
            ix %= n_grid
            iy %= n_grid
            for j in range(width):
                weight_x[j] = table[kx, j] + fx * (table[kx + 1, j] - table[kx, j])
            for j in range(width):
                weight_y = table[ky, j] + fy * (table[ky + 1, j] - table[ky, j])
                row = iy + j
                if row >= n_grid:
                    row -= n_grid
                if ix + width <= n_grid:
                    for i in range(width):
                        grid[element, row, ix + i] += weight_y * weight_x[i]
                else:
                    for i in range(width):
                        column = ix + i
                        if column >= n_grid:
                            column -= n_grid
                        grid[element, row, column] += weight_y * weight_x[i]


@numba.njit(cache=True, nogil=True)  # type: ignore[misc,untyped-decorator,unused-ignore]
def spread_3d(
    points: npt.NDArray[np.float64],
    table: npt.NDArray[np.float32],
    grid: npt.NDArray[np.float32],
) -> None:
    """Add unit points to a periodic 3D grid.

    Parameters
    ----------
    points : ndarray, shape (n_points, 3), float64
        (x, y, z) in grid points from the origin (grid point 0).
    table : ndarray
        `kernel_table()`.
    grid : ndarray, shape (n_grid, n_grid, n_grid), float32
        (z, y, x); added to in place.
    """
    n_grid = grid.shape[0]
    width = table.shape[1]
    steps = table.shape[0] - 2
    start = np.empty(3, dtype=np.int64)
    weight = np.empty((3, width), dtype=np.float32)
    for point in range(points.shape[0]):
        for axis in range(3):
            p = points[point, axis] - 0.5 * width
            start[axis] = int(np.ceil(p))
            t = (start[axis] - p) * steps
            k = int(t)
            f = np.float32(t - k)
            for j in range(width):
                weight[axis, j] = table[k, j] + f * (table[k + 1, j] - table[k, j])
        for jz in range(width):
            z = (start[2] + jz) % n_grid
            for jy in range(width):
                y = (start[1] + jy) % n_grid
                w = weight[2, jz] * weight[1, jy]
                for jx in range(width):
                    grid[z, y, (start[0] + jx) % n_grid] += w * weight[0, jx]


@numba.njit(cache=True, nogil=True)  # type: ignore[misc,untyped-decorator,unused-ignore]
def gather_slice(
    transform: npt.NDArray[np.complex64],
    n_ghost: int,
    vectors: npt.NDArray[np.float64],
    max_radius: float,
    table: npt.NDArray[np.float32],
    out: npt.NDArray[np.complex64],
) -> None:
    """Evaluate a transform on a plane through its origin.

    Parameters
    ----------
    transform : ndarray, shape (n_grid, n_grid, n_columns), complex64
        Fine 3D transform, (z, y, x) with DC at (0, 0, n_ghost); the x axis begins at
        ``-n_ghost`` and has the columns that points with x >= 0 can touch.
    n_ghost : int
        Columns before x = 0.
    vectors : ndarray, shape (2, 3), float64
        The (x, y, z) steps on the fine grid for one index of the slice in x and in y.
    max_radius : float
        Points farther from the origin [fine grid points] are 0.
    table : ndarray
        `kernel_table()`.
    out : ndarray, shape (n, n // 2 + 1), complex64
        The slice in `rfft2` layout.
    """
    n_grid = transform.shape[0]
    width = table.shape[1]
    steps = table.shape[0] - 2
    n = out.shape[0]
    position = np.empty(3)
    start = np.empty(3, dtype=np.int64)
    weight = np.empty((3, width), dtype=np.float32)
    for row in range(n):
        v = row if row < n // 2 else row - n
        for u in range(out.shape[1]):
            for axis in range(3):
                position[axis] = u * vectors[0, axis] + v * vectors[1, axis]
            if np.sqrt((position**2).sum()) > max_radius:
                out[row, u] = 0
                continue
            is_mirrored = position[0] < 0
            for axis in range(3):
                p = -position[axis] if is_mirrored else position[axis]
                p -= 0.5 * width
                start[axis] = int(np.ceil(p))
                t = (start[axis] - p) * steps
                k = int(t)
                f = np.float32(t - k)
                for j in range(width):
                    weight[axis, j] = table[k, j] + f * (table[k + 1, j] - table[k, j])
            real = np.float32(0)
            imag = np.float32(0)
            x0 = start[0] + n_ghost
            for jz in range(width):
                z = (start[2] + jz) % n_grid
                for jy in range(width):
                    y = (start[1] + jy) % n_grid
                    line_real = np.float32(0)
                    line_imag = np.float32(0)
                    for jx in range(width):
                        value = transform[z, y, x0 + jx]
                        line_real += weight[0, jx] * value.real
                        line_imag += weight[0, jx] * value.imag
                    w = weight[2, jz] * weight[1, jy]
                    real += w * line_real
                    imag += w * line_imag
            out[row, u] = complex(real, -imag) if is_mirrored else complex(real, imag)
