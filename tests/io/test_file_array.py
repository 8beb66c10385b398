import os

import numpy as np
import psutil
import pytest

from aurefine.errors import OutputError
from aurefine.io.file_array import array_in_file, release_pages


def test_an_array_in_a_file_keeps_its_values_and_can_be_changed(tmp_path):
    values = np.random.default_rng(1).normal(size=(5, 7, 3)).astype(np.float32)
    kept = array_in_file(values, tmp_path)
    assert kept.dtype == values.dtype
    assert np.array_equal(kept, values)
    kept[2] += 1
    release_pages(kept)
    assert np.array_equal(kept[2], values[2] + 1)
    assert np.array_equal(kept[3], values[3])


def test_the_file_has_no_name(tmp_path):
    kept = array_in_file(np.ones(1000), tmp_path)
    assert kept.sum() == 1000
    assert os.listdir(tmp_path) == []


def test_its_memory_is_given_back(tmp_path):
    kept = array_in_file(np.ones(8 << 20), tmp_path)  # 64 MiB
    kept += 1
    before = psutil.Process().memory_info().rss
    release_pages(kept)
    assert before - psutil.Process().memory_info().rss > 60 << 20
    assert kept.min() == kept.max() == 2


def test_other_arrays_are_left_alone():
    values = np.arange(4)
    release_pages(values)
    assert values.tolist() == [0, 1, 2, 3]


def test_an_empty_array_needs_no_file(tmp_path):
    assert array_in_file(np.zeros((0, 3)), tmp_path / "missing").shape == (0, 3)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match="missing"):
        array_in_file(np.ones(4), tmp_path / "missing")
