import re

import pytest

from aurefine.io.labels import label_kind, may_be_infinite, may_be_undefined


@pytest.mark.parametrize(
    "label, kind",
    [
        ("rlnAngleRot", "double"),
        ("rlnOpticsGroup", "int"),
        ("rlnIsFlip", "bool"),
        ("rlnOddZernike", "vector"),
        ("rlnImageName", "string"),
        ("rlnSmallestChangesClasses", "int"),
        ("rlnChangesOptimalClasses", "double"),
        ("labNote", "string"),
        ("rlnangleRot", "string"),  # labels are case-sensitive
    ],
)
def test_kind_of_a_label(label, kind):
    assert label_kind(label) == kind


def test_only_figures_of_merit_may_be_undefined():
    assert may_be_undefined("rlnCtfMaxResolution")
    assert not may_be_undefined("rlnDefocusU")


def test_only_resolutions_without_an_estimate_may_be_infinite():
    assert may_be_infinite("rlnCurrentResolution")
    assert not may_be_infinite("rlnVoltage")


def test_every_label_of_the_reference_files_is_known(shared_data):
    from aurefine.io.labels import _KINDS

    texts = [path.read_text() for path in shared_data.rglob("*.star")]
    found = {label for text in texts for label in re.findall(r"^_(rln\w+)", text, re.MULTILINE)}
    assert len(found) > 200
    assert found <= set(_KINDS)
