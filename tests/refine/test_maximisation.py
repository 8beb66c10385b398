from dataclasses import replace

import numpy as np
import pytest

from aurefine.fourier import fsc_of_maps
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.symmetry import point_group
from aurefine.kernels.fixed_point import insert_slices
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.exact_volume import VolumeScales, add_carries
from aurefine.refine.gold_standard import gold_standard_fsc, unpadded_average
from aurefine.refine.links import SAME_PROCESS
from aurefine.refine.maximisation import (
    group_scales,
    low_resolution,
    map_spectra,
    noise_spectra,
    reconstruct,
    replace_low_resolution,
    symmetrise,
)
from aurefine.refine.options import RefineOptions
from aurefine.refine.pixels import fourier_pixels
from aurefine.refine.projector import padded_size
from aurefine.refine.sums import add_sums, complete_sums, empty_sums

BOX, PIXEL = 32, 4.0
NO_PRIOR = np.zeros(BOX // 2 + 1)
ONE_ZONE = VolumeScales(*(np.full(n, 2.0**16, np.float32) for n in (0, 1, 1)))


def sums_of_views(source, *, n=700, padding=2.0, symmetry="C1", seed=0, noise=0.0, r_max=16):
    """Back-project exact slices of the blobs at random poses, symmetrised."""
    rng = np.random.default_rng(seed)
    matrices = matrix_from_euler(
        rng.uniform(-180, 180, n),
        np.rad2deg(np.arccos(rng.uniform(-1, 1, n))),
        rng.uniform(-180, 180, n),
    )
    pixels = fourier_pixels(BOX, 2 * r_max)
    effective = padded_size(BOX, padding) / BOX
    plane = np.stack([pixels.x, pixels.y], axis=1)
    values = source.transform(plane @ matrices[:, :2] / (BOX * PIXEL))
    values += noise * (rng.normal(size=values.shape) + 1j * rng.normal(size=values.shape))
    slices = np.stack([values.real, values.imag, np.ones(values.shape)], axis=1).astype(np.float32)
    sums = empty_sums(
        radius=int(np.floor(effective * r_max + 0.5)),
        scales=ONE_ZONE,
        padding=effective,
        box=BOX,
        n_noise_groups=1,
        n_groups=1,
        n_directions=1,
    )
    x, y = (np.float32(effective) * axis.astype(np.float32) for axis in (pixels.x, pixels.y))
    words = sums.exact.words
    volume = words.reshape(-1), len(words)
    add_carries(
        sums.exact,
        *insert_slices(
            volume, ONE_ZONE.arrays, matrices.astype(np.float32), x, y, slices, 0, len(x)
        ),
    )
    with WorkerPool(1) as pool:
        return complete_sums(sums, pool)


def correlation(a, b, radius=13):
    axis = np.arange(BOX) - BOX // 2
    r2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    return np.polyfit(b[r2 < radius**2], a[r2 < radius**2], 1)[0]


# pad 1 interpolates between few voxels; symmetrising interpolates once more
@pytest.mark.parametrize(
    "padding, gridding, lowest", [(1.0, False, 0.99), (2.0, False, 0.999), (2.0, True, 0.999)]
)
def test_views_at_known_poses_give_the_map_back(padding, gridding, lowest, blobs, pool):
    source = blobs()
    options = RefineOptions(padding=padding, iterative_gridding=gridding)
    sums = sums_of_views(source, n=1500, padding=padding)
    symmetrise(sums, point_group("C1"), pool)
    found = reconstruct(sums, BOX, 16, NO_PRIOR, options, pool)
    assert fsc_of_maps(found, source.density())[:13].min() > lowest
    assert correlation(found, source.density()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("symmetry", ["C3", "D2", "T", "O"])
@pytest.mark.parametrize("padding, lowest, error", [(1.0, 0.93, 0.1), (2.0, 0.995, 0.03)])
def test_symmetric_map_from_few_views(symmetry, padding, lowest, error, blobs, pool):
    """Each view counts for all operators, so that a few hundred fill the transform."""
    source, group = blobs(symmetry), point_group(symmetry)
    sums = sums_of_views(source, n=1800 // len(group.matrices), padding=padding)
    symmetrise(sums, group, pool)
    found = reconstruct(sums, BOX, 16, NO_PRIOR, RefineOptions(padding=padding), pool)
    assert fsc_of_maps(found, source.density())[:13].min() > lowest
    assert correlation(found, source.density()) == pytest.approx(1, abs=error)


def test_symmetrising_completes_the_plane_x_0(blobs, pool):
    sums = sums_of_views(blobs(), n=50)
    before = sums.volume[:, :, 0].copy()
    symmetrise(sums, point_group("C1"), pool)
    plane, centre = sums.volume[:, :, 0], len(before) // 2
    conjugate = np.array([1, -1, 1], np.float32)
    assert np.array_equal(plane[centre, centre], before[centre, centre])
    plane[centre, centre, 1] = 0
    assert np.array_equal(plane, plane[::-1, ::-1] * conjugate)
    other = np.ones(plane.shape[:2], bool)
    other[centre, centre] = False
    assert np.array_equal(plane[other], (before + before[::-1, ::-1] * conjugate)[other])


def test_symmetry_sums_over_the_operators(blobs, pool):
    """A sum, not an average: the search was restricted to an asymmetric unit."""
    sums = sums_of_views(blobs("O"), n=200)
    symmetrise(sums, point_group("C1"), pool)
    density = sums.volume[..., 2].mean(dtype=float)
    symmetrise(sums, point_group("O"), pool)
    # the plane x = 0, one in 34, is completed once more
    assert sums.volume[..., 2].mean(dtype=float) / density == pytest.approx(24, rel=0.05)


@pytest.mark.parametrize("padding, shell", [(1.0, 4), (2.0, 4), (2.0, 0), (2.0, 16)])
def test_low_resolution_is_averaged(padding, shell, blobs):
    first, second = (
        sums_of_views(blobs(), n=40, seed=s, padding=padding, noise=1e-3) for s in (1, 2)
    )
    a, b = first.volume.copy(), second.volume.copy()
    copies = [low_resolution(sums, shell) for sums in (first, second)]
    for sums in (first, second):
        replace_low_resolution(sums, shell, (copies[0] + copies[1]) / 2)
    edge = len(a)
    axis = np.arange(edge) - edge // 2
    r2 = axis[:, None, None] ** 2 + axis[:, None] ** 2 + np.arange(a.shape[2]) ** 2
    inside = r2 <= (padding * shell) ** 2
    assert np.array_equal(first.volume[inside], ((a + b) / 2)[inside])
    assert np.array_equal(second.volume[inside], first.volume[inside])
    assert np.array_equal(first.volume[~inside], a[~inside])
    assert np.array_equal(second.volume[~inside], b[~inside])


def brute_force_fsc(first, second, padding, r_max):
    """Average by whole voxels of the unpadded grid, then correlate shells."""
    averages = []
    for sums in (first, second):
        edge = len(sums.volume)
        index = np.moveaxis(np.indices(sums.volume.shape[:3]), 0, -1) - [edge // 2, edge // 2, 0]
        q = np.sign(index) * np.floor(np.abs(index) / padding + 0.5)
        cells = {}
        for key, value in zip(
            map(tuple, q.reshape(-1, 3)), sums.volume.reshape(-1, 3), strict=True
        ):
            cells[key] = cells.get(key, 0) + value.astype(float)
        averages.append(cells)
    shells = np.zeros((3, BOX // 2 + 1))
    for key in averages[0]:
        r = np.sqrt(sum(k * k for k in key))
        if r <= r_max:
            a, b = (
                complex(v[0], v[1]) / v[2] if v[2] > 0 else 0
                for v in (averages[0][key], averages[1][key])
            )
            s = int(r + 0.5)
            shells[:, s] += (a * np.conj(b)).real, abs(a) ** 2, abs(b) ** 2
    power = np.sqrt(shells[1] * shells[2])
    fsc = np.divide(shells[0], power, out=np.zeros_like(power), where=power > 0)
    fsc[0] = 1
    return fsc


@pytest.mark.parametrize("padding", [1.0, 2.0])
def test_gold_standard_fsc_equals_its_definition(padding, blobs, pool):
    halves = []
    for seed in (1, 2):
        sums = sums_of_views(blobs(), n=60, seed=seed, noise=3e-3, padding=padding, r_max=9)
        symmetrise(sums, point_group("C1"), pool)
        halves.append(sums)
    averages = tuple(unpadded_average(sums, 9, pool) for sums in halves)
    found = gold_standard_fsc(averages, 9, BOX // 2 + 1, pool)
    assert found == pytest.approx(brute_force_fsc(*halves, padding, 9), abs=1e-4)
    assert not found[10:].any()
    assert 0.1 < found[8] < 0.99


@pytest.mark.parametrize("fudge", [1.0, 2.0])
@pytest.mark.parametrize("is_joined", [False, True])
def test_spectra_follow_from_the_fsc(fudge, is_joined, blobs, pool):
    sums = sums_of_views(blobs(), n=60)
    symmetrise(sums, point_group("C1"), pool)
    fsc = np.linspace(1.2, -0.2, BOX // 2 + 1)
    found = map_spectra(sums, fsc, RefineOptions(tau2_fudge=fudge), pool, is_joined=is_joined)
    f = np.maximum(fsc, 0.001)
    if is_joined:
        f = np.sqrt(2 * f / (1 + f))
    f = np.minimum(f, 0.999)
    assert found.data_vs_prior == pytest.approx(fudge * f / (1 - f))
    assert found.tau2 == pytest.approx(found.data_vs_prior * found.sigma2_map)
    # all slices have weight one: 60 of them over a shell of 4 pi r^2 padded voxels, half of
    # which are stored, each slice pixel standing for pad^2 of them
    shells = np.arange(4, 15)
    expected = 2 * shells / 60 / 1.0
    assert found.sigma2_map[4:15] == pytest.approx(expected, rel=0.2)
    inverse = np.divide(1, 8 * fudge * found.tau2, out=np.zeros(17), where=found.tau2 > 0)
    inverse[:5] = 0
    assert found.inverse_prior == pytest.approx(inverse)
    assert 0 <= found.fourier_coverage.min() <= found.fourier_coverage.max() <= 1


def test_the_prior_can_be_switched_off(blobs, pool):
    found = map_spectra(
        sums_of_views(blobs(), n=5), NO_PRIOR, RefineOptions(no_map=True), pool, is_joined=False
    )
    assert not found.inverse_prior.any()


def test_the_prior_damps_noisy_shells(blobs, pool):
    source = blobs()
    sums = sums_of_views(source, noise=0.02)
    symmetrise(sums, point_group("C1"), pool)
    plain = reconstruct(sums, BOX, 16, NO_PRIOR, RefineOptions(), pool)
    fsc = np.where(np.arange(BOX // 2 + 1) < 8, 0.99, 0.01)
    prior = map_spectra(sums, fsc, RefineOptions(), pool, is_joined=False).inverse_prior
    damped = reconstruct(sums, BOX, 16, prior, RefineOptions(), pool)
    truth = source.density()
    assert np.std(damped - truth) < 0.8 * np.std(plain - truth)


def test_noise_spectra_divide_by_the_pixels():
    sums = empty_sums(
        radius=2, scales=ONE_ZONE, padding=2.0, box=8, n_noise_groups=3, n_groups=1, n_directions=1
    )
    sums.noise[:] = [[8, 4, 2, 0, 6], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    sums.noise_pixels[:] = [[1, 2, 2, 2, 3], [1, 1, 1, 0, 1], [0, 0, 0, 0, 0]]
    found = noise_spectra(sums, np.full((3, 5), 7.0))
    assert found[0] == pytest.approx([4, 1, 0.5, 0.5, 1])  # an empty shell takes the previous one
    assert found[1] == pytest.approx(0.5)
    assert found[2] == pytest.approx(7)  # a group without particles keeps its spectrum


@pytest.mark.parametrize(
    "cross, power, counts, expected",
    [
        ([2, 4, 3], [2, 2, 2], [1, 1, 1], [2 / 3, 4 / 3, 1]),
        ([2, 4, 3], [2, 2, 0], [2, 1, 1], [1 / 1.25, 2 / 1.25, 1 / 1.25]),  # no power: 1
        ([100, 1, 1], [1, 1, 1], [1, 1, 1], [5 * 3 / 7, 3 / 7, 3 / 7]),  # clipped to 5 medians
        ([0, 1, 1], [1, 1, 1], [0, 1, 1], [0.2, 1, 1]),  # and to a fifth
    ],
)
def test_group_scales(cross, power, counts, expected):
    sums = empty_sums(
        radius=2, scales=ONE_ZONE, padding=2.0, box=8, n_noise_groups=1, n_groups=3, n_directions=1
    )
    sums.scale_cross[:], sums.scale_power[:] = cross, power
    assert group_scales(sums, np.array(counts)) == pytest.approx(expected)


def test_added_sums_hold_all_particles(blobs):
    first, second = sums_of_views(blobs(), n=3), sums_of_views(blobs(), n=4, seed=1)
    second = replace(second, weight=2.0, pmax=1.0, norm=3.0, offset2=4.0, log_likelihood=5.0)
    expected = first.volume + second.volume
    joined = replace(first, weight=1.0)
    add_sums({1: joined, 2: second}, SAME_PROCESS.add)
    assert np.array_equal(joined.volume, expected)
    totals = joined.weight, joined.pmax, joined.norm, joined.offset2, joined.log_likelihood
    assert totals == (3.0, 1.0, 3.0, 4.0, 5.0)
