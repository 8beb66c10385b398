"""Reading images from scratch or memory changes nothing but where they come from."""

import os

import pytest

RESULT = "run_it001_half1_class001.mrc"


@pytest.mark.parametrize("way", ["--scratch_dir", "--preread_images"])
def test_results_do_not_depend_on_where_images_are(refine, finished, tmp_path, way, capsys):
    scratch = tmp_path / "scratch"
    options = [way, str(scratch), "--keep_free_scratch", "0"]
    if way == "--preread_images":
        options = [way]
    assert refine(tmp_path / "run", "--auto_iter_max", "1", *options) == 0
    assert (tmp_path / RESULT).read_bytes() == (finished / RESULT).read_bytes()
    data = (tmp_path / "run_it001_data.star").read_text()
    assert data == (finished / "run_it001_data.star").read_text()
    out = capsys.readouterr().out
    if way == "--scratch_dir":
        assert os.listdir(scratch) == []
        assert "Copied 80 of 80 particle images" in out
    else:
        assert "Read 80 particle images into memory" in out
