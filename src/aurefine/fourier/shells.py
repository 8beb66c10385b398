"""Shell and ring numbers of half-complex transforms, and sums over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

__all__ = [
    "hermitian_weight",
    "radius_squared",
    "rfft_slabs",
    "ring_index",
    "shell_index",
    "sum_by_shell",
    "sum_pairs_by_shell",
]

_SLAB_VOXELS = 1 << 22  # voxels per slab: keeps float64 temporaries below some 100 MB


def _frequencies(n: int) -> npt.NDArray[np.int32]:
    """Integer frequencies of a full axis: 0 .. n // 2, then the negative ones."""
    k = np.arange(n, dtype=np.int32)
    return np.where(k <= n // 2, k, k - n).astype(np.int32)


def radius_squared(n: int, ndim: int = 3) -> npt.NDArray[np.int32]:
    """Squared length of the frequency index of every coefficient.

    Parameters
    ----------
    n : int
        Box size [px].
    ndim : {2, 3}
        Images or maps.

    Returns
    -------
    ndarray, int32
        Shape (n, n // 2 + 1) or (n, n, n // 2 + 1), DC in the corner.
    """
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, got {ndim}")
    full = _frequencies(n) ** 2
    half = np.arange(n // 2 + 1, dtype=np.int32) ** 2
    plane = full[:, None] + half[None, :]  # (n, n // 2 + 1)
    return plane if ndim == 2 else full[:, None, None] + plane[None]


def _rounded_root_table(maximum: int) -> npt.NDArray[np.int32]:
    # The root of an integer is never a half-integer, so that no tie has to be broken.
    return np.rint(np.sqrt(np.arange(maximum + 1, dtype=np.float64))).astype(np.int32)


def shell_index(n: int) -> npt.NDArray[np.int32]:
    """Shell number of every coefficient of a map: the rounded length of its frequency index.

    Parameters
    ----------
    n : int
        Box size [px].

    Returns
    -------
    ndarray, shape (n, n, n // 2 + 1), int32
        Corners have numbers above ``n // 2``.
    """
    return _rounded_root_table(3 * (n // 2) ** 2)[radius_squared(n)]


def ring_index(n: int) -> npt.NDArray[np.int32]:
    """Ring number of every coefficient of an image; shape (n, n // 2 + 1), int32."""
    return _rounded_root_table(2 * (n // 2) ** 2)[radius_squared(n, ndim=2)]


def hermitian_weight(n: int, ndim: int = 3) -> npt.NDArray[np.float32]:
    """How often a stored coefficient stands in the full transform: 1 or 2.

    Parameters
    ----------
    n : int
        Box size [px].
    ndim : {2, 3}
        Images or maps.

    Returns
    -------
    ndarray, float32
        Read-only view, shape (n, n // 2 + 1) or (n, n, n // 2 + 1): 1 on the self-conjugate
        columns ``kx = 0`` and, for even `n`, ``kx = n / 2``; else 2.
    """
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, got {ndim}")
    column = np.full(n // 2 + 1, 2, dtype=np.float32)
    column[0] = 1
    if n % 2 == 0:
        column[-1] = 1
    return np.broadcast_to(column, (n,) * (ndim - 1) + (n // 2 + 1,))


def rfft_slabs(n: int) -> Iterator[tuple[slice, npt.NDArray[np.int32]]]:
    """Walk through a half-complex map in slabs along z.

    Parameters
    ----------
    n : int
        Box size [px].

    Yields
    ------
    slab : slice
        Range of z indices.
    r2 : ndarray, shape (slab, n, n // 2 + 1), int32
        Squared length of the frequency index.
    """
    plane = radius_squared(n, ndim=2)
    kz2 = _frequencies(n) ** 2
    step = max(1, _SLAB_VOXELS // plane.size)
    for start in range(0, n, step):
        slab = slice(start, min(n, start + step))
        yield slab, kz2[slab, None, None] + plane[None]


def _sum_slabs(
    n: int,
    terms: Callable[[slice], tuple[npt.NDArray[np.floating], ...]],
    n_terms: int,
    hermitian: bool,
) -> npt.NDArray[np.float64]:
    table = _rounded_root_table(3 * (n // 2) ** 2)
    total = np.zeros((n_terms, len(table)), dtype=np.float64)
    weight = hermitian_weight(n, ndim=2)[None]
    for slab, r2 in rfft_slabs(n):
        shell = table[r2].ravel()
        for row, values in zip(total, terms(slab), strict=True):
            weighted = (values * weight if hermitian else values).ravel()
            sums = np.bincount(shell, weights=weighted)
            row[: len(sums)] += sums
    return total[:, : n // 2 + 1]


def sum_by_shell(
    values: npt.NDArray[np.floating], *, hermitian: bool = True
) -> npt.NDArray[np.float64]:
    """Sum a real quantity over the shells of a half-complex map.

    Parameters
    ----------
    values : ndarray, shape (n, n, n // 2 + 1), real
        One value per stored coefficient.
    hermitian : bool
        Count coefficients as often as they stand in the full transform; else once as stored.

    Returns
    -------
    ndarray, shape (n // 2 + 1,), float64
        Sums for shells 0 .. n // 2; the corners beyond are left out.
    """
    sums = _sum_slabs(values.shape[0], lambda slab: (values[slab],), 1, hermitian)
    return sums.reshape(-1)


def _power(values: npt.NDArray[np.complexfloating]) -> npt.NDArray[np.floating]:
    power: npt.NDArray[np.floating] = values.real**2 + values.imag**2
    return power


def sum_pairs_by_shell(
    half1: npt.NDArray[np.complexfloating],
    half2: npt.NDArray[np.complexfloating],
    *,
    hermitian: bool = True,
) -> npt.NDArray[np.float64]:
    """Sums over shells of the cross term and of the powers of two transforms.

    Parameters
    ----------
    half1, half2 : ndarray, shape (n, n, n // 2 + 1), complex
        Transforms of two maps.
    hermitian : bool
        As in `sum_by_shell`.

    Returns
    -------
    ndarray, shape (3, n // 2 + 1), float64
        Real part of half1 times conjugate half2, power of half1, power of half2.
    """

    def terms(slab: slice) -> tuple[npt.NDArray[np.floating], ...]:
        a, b = half1[slab], half2[slab]
        return a.real * b.real + a.imag * b.imag, _power(a), _power(b)

    return _sum_slabs(half1.shape[0], terms, 3, hermitian)
