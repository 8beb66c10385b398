"""The example of docs/usage.md, run as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from aurefine.cli.main import run_command

USAGE = Path(__file__).resolve().parents[2] / "docs" / "usage.md"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Simulate a few particles and run the first Python block of the page beside them."""
    folder = tmp_path_factory.mktemp("api")
    example = re.search(r"^```python\n(.*?)^```", USAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert example is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert (
            run_command(["simulate", "--preset", "demo", "--n_particles", "100", "--o", "."]) == 0
        )
        variables: dict[str, object] = {}
        exec(compile(example.group(1), str(USAGE), "exec"), variables)
    return variables["result"], folder


def test_example_gives_a_converged_map(result):
    found, _ = result
    assert found.has_converged
    assert found.map.shape == (64, 64, 64)
    assert found.pixel_size == pytest.approx(3.54)
    assert len(found.half_maps) == 2


def test_result_says_how_good_the_map_is(result):
    found, _ = result
    assert found.fsc.shape == (33,)
    # 100 noisy particles: better than the 50 Å start, and no better than Nyquist
    assert 7.0 < found.resolution < 30.0


def test_result_holds_every_particle_and_iteration(result):
    found, _ = result
    assert len(found.particles) == 100
    assert {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"} <= set(found.particles.columns)
    assert list(found.history["iteration"]) == list(range(1, len(found.history) + 1))
    assert found.fsc_history.shape == (len(found.history), 33)
    assert np.isfinite(found.fsc_history).all()


def test_files_lie_where_the_result_says(result):
    found, folder = result
    assert (folder / f"{found.output_root}_class001.mrc").is_file()
