import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from aurefine.refine.exact_volume import empty_volume
from aurefine.refine.maximisation import reconstruct
from aurefine.refine.memory import (
    RunSize,
    batch_size,
    disk_need,
    memory_need,
    padded_map_bytes,
    projector_bytes,
    smaller,
    sums_bytes,
    sums_wait_in_file,
    table_limit,
)
from aurefine.refine.options import RefineOptions
from aurefine.refine.projector import build_projector

SIZE = RunSize(
    box=512, padding=2.0, memory_budget=1.0, n_threads=4, n_particles=10**5, n_fine_offsets=84,
    has_symmetry=True,
)  # fmt: skip


@pytest.mark.parametrize(("box", "padding", "r_max"), [(24, 2.0, 12), (32, 1.0, 9), (20, 1.5, 7)])
def test_sizes_are_those_of_the_arrays(box, padding, r_max, pool):
    projector = build_projector(np.ones((box,) * 3, np.float32), r_max, padding, pool)
    assert projector.flat.nbytes == projector_bytes(box, padding, r_max)
    volume = empty_volume(projector.radius, None)
    assert volume.words.nbytes == sums_bytes(box, padding, r_max)


def peak_of(function, *arguments):
    """Largest sum of arrays that exist at one time while a function runs."""
    function(*arguments)  # compile
    tracemalloc.start()
    function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("r_max", [24, 48])
def test_a_reference_takes_what_is_expected(pool, r_max):
    box = 96
    reference = np.ones((box,) * 3, np.float32)
    peak = peak_of(lambda: build_projector(reference, r_max, 2.0, pool))
    # all of the padded map counts here, though half of its planes are never touched
    padded, one_map = padded_map_bytes(box, 2.0), 4 * box**3
    projector = projector_bytes(box, 2.0, r_max)
    expected = max(2 * padded + 2 * one_map, padded + projector)
    assert peak == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("r_max", [24, 48])
def test_a_reconstruction_takes_what_is_expected(pool, r_max, monkeypatch):
    from aurefine.refine import memory
    from aurefine.refine.sums import HalfSums

    box = 96
    words = empty_volume(2 * r_max, None).words
    words[..., 2] = 1
    nothing = np.zeros(1)
    sums = HalfSums(
        None, words.astype(np.float32), 2 * r_max, 2.0, nothing, nothing, nothing, nothing, nothing
    )
    options, prior = RefineOptions(), np.zeros(box // 2 + 1)
    peak = peak_of(lambda: reconstruct(sums, box, r_max, prior, options, pool))
    size = replace(SIZE, box=box, halves_here=1, n_particles=0)
    need = memory_need(size, r_max, is_last=False)
    always = memory._PROGRAM + 3 * 4 * box**3  # maps of the state, another new map
    expected = need.stages["reconstruction"] / memory._HEAP - always - sums_bytes(box, 2.0, r_max)
    assert peak == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("box", [64, 96, 128, 192, 256, 384, 512, 800])
@pytest.mark.parametrize("has_symmetry", [False, True])
@pytest.mark.parametrize("padding", [1.0, 2.0])
@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("n_fine_offsets", [84, 324])
@pytest.mark.parametrize("uses_mask", [False, True])
def test_the_last_iteration_needs_little_more_than_the_one_before(
    box, has_symmetry, padding, halves, n_fine_offsets, uses_mask
):
    """With so few particles that little hides the difference."""
    size = replace(
        SIZE, box=box, has_symmetry=has_symmetry, padding=padding, halves_here=halves,
        memory_budget=RefineOptions().memory_budget, n_particles=1000,
        n_fine_offsets=n_fine_offsets, uses_mask=uses_mask, corrects_fsc=uses_mask,
    )  # fmt: skip
    last = memory_need(size, box // 2, is_last=True).peak
    for share in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        before = memory_need(size, int(share * box / 2), is_last=False).peak
        assert before / 1.05 < last <= 1.5 * before


def test_large_boxes_fit_into_small_machines():
    small = replace(SIZE, n_threads=2, n_particles=10**4, has_symmetry=False)
    assert memory_need(replace(small, box=256), 128, is_last=True).peak < 4e9
    assert memory_need(small, 256, is_last=True).peak < 20e9


def test_sums_wait_in_a_file_only_near_nyquist():
    assert sums_wait_in_file(256, 2.0, 100)
    assert not sums_wait_in_file(256, 2.0, 80)
    assert not sums_wait_in_file(48, 2.0, 24)


def test_smaller_runs_need_less():
    size = replace(SIZE, preread_bytes=10**10)
    full = memory_need(size, 256, is_last=True).peak
    changes = smaller(size)
    assert [name.split()[-2] for name, _ in changes] == [
        "without", "--memory_budget", "--j", "--pad",
    ]  # fmt: skip
    assert all(memory_need(change, 256, is_last=True).peak <= full for _, change in changes)


def test_disk_of_the_last_iteration_includes_waiting_sums():
    one_map = 4 * 512**3
    last, before = (disk_need(SIZE, r, is_last=r == 256) for r in (256, 128))
    assert last > 2 * sums_bytes(512, 2.0, 256) + 3 * one_map
    assert 2 * one_map < before < 3 * one_map


def test_batches_follow_the_budget():
    assert batch_size(64, 1608, 84, 1.0) > batch_size(64, 1608, 84, 0.2)
    assert batch_size(64, 1608, 84, 0.001) == 8
    assert batch_size(512, 10**5, 84, 0.01) == 4


def test_searches_of_all_orientations_can_be_the_peak():
    small = replace(SIZE, box=64, memory_budget=0.4, n_particles=1000)
    assert memory_need(small, 32, is_last=True).moment == "the last iteration"
    searching = replace(small, n_orientations=36864, search_shell=21)
    need = memory_need(searching, 32, is_last=True)
    assert need.moment == "a search of all orientations"
    assert need.peak < memory_need(small, 32, is_last=True).peak + 1.5 * table_limit(0.4)
