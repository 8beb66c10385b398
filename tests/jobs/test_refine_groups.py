import numpy as np
import pandas as pd
import pytest

from aurefine.jobs.refine_groups import join_small_groups, scale_groups, warn_of_small_groups


@pytest.fixture
def messages():
    return []


def table(sizes, defocus, optics=None):
    optics = [1] * len(sizes) if optics is None else optics
    rows = [
        {"rlnMicrographName": f"mic{i}.mrc", "rlnDefocusU": d, "rlnOpticsGroup": g}
        for i, (n, d, g) in enumerate(zip(sizes, defocus, optics, strict=True))
        for _ in range(n)
    ]
    return pd.DataFrame(rows)


def joined(frame, minimum, messages):
    return join_small_groups(*scale_groups(frame), frame, minimum, messages.append)


def test_large_groups_stay_as_they_are(messages):
    frame = table([5, 6], [1e4, 2e4])
    labels, names = joined(frame, 5, messages)
    assert names == ("mic0.mrc", "mic1.mrc")
    assert (labels == np.repeat([0, 1], [5, 6])).all()
    assert not messages


def test_small_groups_are_joined_by_defocus(messages):
    frame = table([2, 2, 2, 2, 9], [1e4, 3e4, 1.1e4, 2.9e4, 2e4])
    labels, names = joined(frame, 4, messages)
    assert labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, *[2] * 9]
    assert names == ("mic0.mrc_and_1_more", "mic1.mrc_and_1_more", "mic4.mrc")
    assert "5 groups of micrographs are joined into 3" in messages[0]


def test_a_rest_goes_to_the_group_of_nearest_defocus(messages):
    frame = table([9, 1, 9], [1e4, 2.8e4, 3e4])
    labels, names = joined(frame, 4, messages)
    assert labels.tolist() == [0] * 9 + [1] * 10
    assert names == ("mic0.mrc", "mic2.mrc_and_1_more")


def test_optics_groups_are_not_mixed(messages):
    frame = table([2, 2, 9], [1e4, 1e4, 1e4], optics=[1, 2, 2])
    labels, _ = joined(frame, 4, messages)
    assert labels.tolist() == [0, 0] + [1] * 11


def test_small_groups_are_told(messages):
    labels, half = np.repeat([0, 1], [10, 6]), np.array([1, 2] * 8)
    warn_of_small_groups(labels, half, ("a", "b"), messages.append)
    assert (
        "1 of 2 groups have fewer than 5 particles in a half, such as b with 3 and 3" in messages[0]
    )
    warn_of_small_groups(labels, half, ("a",), messages.append)
    assert len(messages) == 1
