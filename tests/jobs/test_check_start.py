"""What is said of a comparison with the reference."""

import numpy as np
import pytest

from aurefine.jobs.check_findings import Finding
from aurefine.jobs.check_reference import ReferenceReport
from aurefine.jobs.check_start import report_lines

FINDING = Finding(
    level="warning", topic="pixel_size", numbers={}, found="f", meaning="m", remedy="r"
)


def line(**values):
    (text,) = report_lines([ReferenceReport(100, 20.0, **{"evidence": 9.0} | values)])
    return text


def test_a_size_that_is_told_well_is_given_alone():
    text = line(slope=1.0, size=1.004, size_error=0.006, size_tolerance=0.03)
    assert text.endswith("greyscale factor 1, size 1.004 ± 0.006")


def test_users_are_told_how_much_would_not_be_noticed():
    values = {"slope": 1.0, "size": 0.98, "size_error": 0.03, "size_tolerance": 0.09}
    assert "wrong by less than 9 % would not be noticed" in line(**values)
    assert "noticed" not in line(**values, findings=(FINDING,))


def test_users_are_told_of_a_reference_without_detail():
    assert line(slope=1.0).endswith("too little detail to measure the size")


@pytest.mark.parametrize(("evidence", "contrast"), [(-8.0, "inverted"), (1.0, "right")])
def test_no_size_is_mentioned_where_nothing_was_compared(evidence, contrast):
    text = line(evidence=evidence, size_tolerance=np.inf)
    assert text.endswith(f"contrast {contrast} (evidence {evidence:.0f})")
