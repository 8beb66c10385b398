"""Names of micrographs and of their output."""

import pytest

from aurefine.jobs.extract_options import to_extract_settings
from aurefine.jobs.extract_rows import post_name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("MotionCorr/job002/Movies/mic001.mrc", "Movies/mic001.mrc"),
        ("/data/project/MotionCorr/job1234/a/b.mrc", "a/b.mrc"),
        ("Import/job001/Extract/job005/x.mrc", "Extract/job005/x.mrc"),
        ("Movies/mic001.mrc", "Movies/mic001.mrc"),
        ("Movies/job01/mic001.mrc", "Movies/job01/mic001.mrc"),
        ("Movies/job002x/mic001.mrc", "Movies/job002x/mic001.mrc"),
    ],
)
def test_post_name_is_the_part_after_the_job_directory(path, expected):
    assert post_name(path) == expected


def _settings(**given):
    values = {"micrographs": "m.star", "refined_particles": "p.star", "extract_size": 360}
    return to_extract_settings({**values, **given})


def test_output_folder_gets_a_slash():
    assert _settings(part_dir="Extract/job011").part_dir == "Extract/job011/"


def test_reset_wins_over_recentring_with_a_note():
    settings = _settings(reset_offsets=True, recentre=True)
    assert settings.recentring.reset_offsets
    assert "--recenter has no effect" in settings.notes[0]


def test_sizes_default_to_the_box():
    images = _settings().images
    assert images.output_size == 360
    assert images.background_radius is None


def test_numbers_of_a_point_are_read_in_single_precision():
    # RELION does so, and the last printed digit of the offsets can show it
    settings = _settings(reference_pixel_size=3.54)
    assert settings.recentring.point_pixel_size == 3.5399999618530273
