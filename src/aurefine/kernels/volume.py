"""Loops over the voxels of half volumes: symmetry, averages, Wiener filter (spec 4.2-4.6).

Sums are interleaved (real, imaginary, weight) arrays of shape (edge, edge, (edge + 1) // 2, 3),
origin of z and y at edge // 2.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = [
    "add_mirror_images",
    "average_unpadded",
    "crop_transform",
    "floor_sums",
    "shell_sums",
    "symmetrise_planes",
    "wiener_transform",
]


@njit(nogil=True, cache=True)
def add_mirror_images(sums, first_plane, last_plane):
    """Add to voxels with x = 0 what the opposite ones hold, the conjugate, in place.

    Parameters
    ----------
    sums : float32, shape (edge, edge, (edge + 1) // 2, 3)
    first_plane, last_plane : int
        Up to the middle plane, edge // 2; the planes opposite to them are done with them.
    """
    edge = sums.shape[0]
    centre = edge // 2
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(centre if iz == centre else edge):
            y = iy - centre
            if y * y + z * z > (centre + 1) ** 2:
                continue
            a = sums[iz, iy, 0]
            b = sums[edge - 1 - iz, edge - 1 - iy, 0]
            re, im, weight = a[0] + b[0], a[1] - b[1], a[2] + b[2]
            a[0], a[1], a[2] = re, im, weight
            b[0], b[1], b[2] = re, -im, weight


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _add_row(sums, operator, y, z, n_inside, total):
    """Add to the first voxels of a row what an operator turns them to, by interpolation."""
    centre = sums.shape[0] // 2
    for ix in range(n_inside):
        x = float(ix)
        px = operator[0, 0] * x + operator[0, 1] * y + operator[0, 2] * z
        py = operator[1, 0] * x + operator[1, 1] * y + operator[1, 2] * z
        pz = operator[2, 0] * x + operator[2, 1] * y + operator[2, 2] * z
        sign = 1.0
        if px < 0:
            px, py, pz, sign = -px, -py, -pz, -1.0
        jx = math.floor(px)
        jy = math.floor(py)
        jz = math.floor(pz)
        fx = px - jx
        fy = py - jy
        fz = pz - jz
        jy += centre
        jz += centre
        re, im, we = total[0, ix], total[1, ix], total[2, ix]
        for dz in range(2):
            wz = fz if dz else 1.0 - fz
            if wz == 0:
                continue
            for dy in range(2):
                wy = wz * (fy if dy else 1.0 - fy)
                if wy == 0:
                    continue
                for dx in range(2):
                    w = wy * (fx if dx else 1.0 - fx)
                    if w == 0:
                        continue
                    v = sums[jz + dz, jy + dy, jx + dx]
                    re += w * v[0]
                    im += sign * w * v[1]
                    we += w * v[2]
        total[0, ix], total[1, ix], total[2, ix] = re, im, we


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _add_exact_row(sums, operator, y, z, n_inside, components, total):
    """Like `_add_row` for some components, for operators that take voxels to voxels."""
    edge, n_x = sums.shape[1:3]
    flat = sums.reshape(-1)
    px = operator[0, 1] * y + operator[0, 2] * z
    py = operator[1, 1] * y + operator[1, 2] * z
    pz = operator[2, 1] * y + operator[2, 2] * z
    start = (pz * edge + py) * n_x + px
    step = (operator[2, 0] * edge + operator[1, 0]) * n_x + operator[0, 0]
    middle = (edge // 2) * (edge + 1) * n_x
    # the sign of the x component is that of one of the two terms, the other one is zero
    for first, last, is_mirrored in (
        (0, min(1, n_inside), px < 0),
        (1, n_inside, px + operator[0, 0] < 0),
    ):
        sign = -1 if is_mirrored else 1
        for c in range(*components):
            begin = 3 * (middle + sign * (start + step * first)) + c
            source, out = flat[begin :: 3 * sign * step], total[c, first:last]
            factor = float(sign) if c == 1 else 1.0
            for x in range(len(out)):
                out[x] += factor * source[x]


@njit(nogil=True, cache=True, error_model="numpy")
def symmetrise_planes(sums, operators, radius, first_plane, last_plane, first_component, out):
    """Write the sum over all operators R of sums(R k) for planes first_plane <= z < last_plane.

    Parameters
    ----------
    sums : float32, shape (edge, edge, (edge + 1) // 2, 3)
    operators : float64, shape (n, 3, 3)
        The identity first.
    radius : int
        Voxels with \\|k\\| > radius are copied unchanged.
    first_plane, last_plane : int
    first_component : int
        Which components of the sums go to `out`: as many as that has, from this one on.
    out : float32, shape (edge, edge, (edge + 1) // 2, n_components)
        Zero on entry; rows farther out than edge // 2 + 1 are left alone.
    """
    edge, n_x = sums.shape[0], sums.shape[2]
    centre = edge // 2
    whole = np.rint(operators).astype(np.int64)
    is_exact = np.array([(operators[o] == whole[o]).all() for o in range(len(operators))])
    components = first_component, first_component + out.shape[3]
    total = np.empty((3, n_x))  # of one row
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(edge):
            y = iy - centre
            if y * y + z * z > (centre + 1) ** 2:
                continue
            for ix in range(n_x):
                for c in range(3):
                    total[c, ix] = sums[iz, iy, ix, c]
            rest = radius * radius - y * y - z * z
            n_inside = min(int(math.sqrt(rest)) + 1, n_x) if rest >= 0 else 0
            for o in range(1, len(operators)):
                if is_exact[o]:
                    _add_exact_row(sums, whole[o], y, z, n_inside, components, total)
                else:
                    _add_row(sums, operators[o], y, z, n_inside, total)
            for ix in range(n_x):
                for c in range(out.shape[3]):
                    out[iz, iy, ix, c] = total[first_component + c, ix]


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _round(x):
    return math.floor(x + 0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def shell_sums(sums, padding, radius, n_shells, limits, first_plane, last_plane):
    """Sum the weights of the voxels inside `radius`, shell by shell.

    Parameters
    ----------
    sums : float32, shape (edge, edge, (edge + 1) // 2, 3)
    padding : float
    radius : int
    n_shells : int
    limits : float64, shape (n_shells,)
        A voxel is covered if its weight is at least this.
    first_plane, last_plane : int

    Returns
    -------
    ndarray, shape (3, n_shells), float64
        Numbers of voxels, sums of weights, numbers of covered voxels.
    """
    edge = sums.shape[0]
    centre = edge // 2
    total = np.zeros((3, n_shells))
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(edge):
            y = iy - centre
            if y * y + z * z >= radius * radius:
                continue
            for x in range(sums.shape[2]):
                r2 = x * x + y * y + z * z
                if r2 >= radius * radius:
                    break
                s = _round(math.sqrt(float(r2)) / padding)
                if s >= n_shells:
                    break
                w = sums[iz, iy, x, 2]
                total[0, s] += 1
                total[1, s] += w
                if w >= limits[s]:
                    total[2, s] += 1
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def floor_sums(sums, padding, radius, inverse_prior, n_rings, first_plane, last_plane):
    """Sum the regularised weight over the rings floor(\\|k\\| / padding).

    Returns
    -------
    ndarray, shape (2, n_rings), float64
        Numbers of voxels and sums of weights.
    """
    edge = sums.shape[0]
    centre = edge // 2
    total = np.zeros((2, n_rings))
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(edge):
            y = iy - centre
            if y * y + z * z >= radius * radius:
                continue
            for x in range(sums.shape[2]):
                r2 = x * x + y * y + z * z
                if r2 >= radius * radius:
                    break
                r = math.sqrt(float(r2)) / padding
                ring = int(r)
                if ring >= n_rings:
                    break
                s = min(_round(r), inverse_prior.size - 1)
                total[0, ring] += 1
                total[1, ring] += sums[iz, iy, x, 2] + inverse_prior[s]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def average_unpadded(sums, bounds, bounds_x, lowest, r_max, first_plane, last_plane, out):
    """Average the voxels of the padded grid that make up one of the unpadded grid.

    Parameters
    ----------
    sums : float32, shape (edge, edge, (edge + 1) // 2, 3)
    bounds : int64, shape (n + 1,)
        Row i of the unpadded grid, along z and y, is made from rows bounds[i] to bounds[i + 1].
    bounds_x : int64, shape (n_x + 1,)
        The same along x, from the origin.
    lowest : int
        Frequency of row 0.
    r_max : int
        Voxels farther out than this shell are left alone.
    first_plane, last_plane : int
        Of the unpadded grid.
    out : complex64, shape (n, n, n_x)
        Zero on entry.
    """
    for iz in range(first_plane, last_plane):
        z = iz + lowest
        for iy in range(bounds.size - 1):
            y = iy + lowest
            for x in range(bounds_x.size - 1):
                if x * x + y * y + z * z > r_max * r_max:
                    break
                re = im = weight = 0.0
                for jz in range(bounds[iz], bounds[iz + 1]):
                    for jy in range(bounds[iy], bounds[iy + 1]):
                        for jx in range(bounds_x[x], bounds_x[x + 1]):
                            re += sums[jz, jy, jx, 0]
                            im += sums[jz, jy, jx, 1]
                            weight += sums[jz, jy, jx, 2]
                if weight > 0:
                    out[iz, iy, x] = np.complex64(complex(re / weight, im / weight))


@njit(nogil=True, cache=True, error_model="numpy")
def wiener_transform(sums, padding, radius, inverse_prior, floor, first_plane, last_plane, out):
    """Divide the sums by their regularised weights, in the layout of `rfft2` plane by plane.

    Parameters
    ----------
    sums : float32, shape (edge, edge, (edge + 1) // 2, 3)
    padding : float
    radius : int
        Voxels with \\|k\\| >= radius stay zero.
    inverse_prior : float64, shape (n_shells,)
        What is added to the weight in each shell.
    floor : float64, shape (n_rings,)
        Smallest regularised weight in each ring; the last value holds beyond.
    first_plane, last_plane : int
        Planes of `sums` to convert.
    out : complex64, shape (last_plane - first_plane, n, n_x)
        Zero on entry; n_x is n // 2 + 1, or less if it exceeds the radius. Centred on voxel n / 2
        by alternating signs.
    """
    edge = sums.shape[0]
    centre = edge // 2
    n = out.shape[1]
    half = n // 2
    for iz in range(first_plane, last_plane):
        z = iz - centre
        if abs(z) > half or z == half:
            continue
        for iy in range(edge):
            y = iy - centre
            if abs(y) > half or y == half:
                continue
            for x in range(min(sums.shape[2], out.shape[2])):
                r2 = x * x + y * y + z * z
                if r2 >= radius * radius:
                    break
                r = math.sqrt(float(r2)) / padding
                s = min(_round(r), inverse_prior.size - 1)
                w = sums[iz, iy, x, 2] + inverse_prior[s]
                w = max(w, floor[min(int(r), floor.size - 1)])
                if w <= 0:
                    continue
                sign = 1.0 if (x + y + z) % 2 == 0 else -1.0
                out[iz - first_plane, y % n, x] = np.complex64(
                    complex(sign * sums[iz, iy, x, 0] / w, sign * sums[iz, iy, x, 1] / w)
                )


@njit(nogil=True, cache=True, error_model="numpy")
def crop_transform(transform, radius, inner_radius, scale, first_plane, last_plane, out):
    """Copy the sphere of a centred transform into a flat half volume.

    Parameters
    ----------
    transform : complex64, shape (n, n, n // 2 + 1)
        `rfftn` of a map whose origin is voxel n / 2.
    radius, inner_radius : float
        Voxels with inner_radius < \\|k\\| <= radius are kept (inner_radius < 0 keeps the origin).
    scale : float
    first_plane, last_plane : int
    out : float32, shape (edge, edge, (edge + 1) // 2, 2)
        Zero on entry; rows farther out than edge // 2 + 1 are left alone.
    """
    edge = out.shape[0]
    centre = edge // 2
    n = transform.shape[0]
    half = n // 2
    for iz in range(first_plane, last_plane):
        z = iz - centre
        for iy in range(edge):
            y = iy - centre
            if y * y + z * z > (centre + 1) ** 2:
                continue
            for x in range(out.shape[2]):
                r2 = float(x * x + y * y + z * z)
                keep = r2 <= radius * radius and x <= half and abs(y) <= half and abs(z) <= half
                if inner_radius >= 0 and r2 <= inner_radius * inner_radius:
                    keep = False
                if keep:
                    sign = scale if (x + y + z) % 2 == 0 else -scale
                    v = transform[z % n, y % n, x]
                    out[iz, iy, x, 0] = sign * v.real
                    out[iz, iy, x, 1] = sign * v.imag
                else:
                    out[iz, iy, x, 0] = 0.0
                    out[iz, iy, x, 1] = 0.0
