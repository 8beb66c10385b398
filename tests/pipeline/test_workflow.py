"""The steps of a project, as the script in examples runs them on micrographs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aurefine.io.mrc import read_map
from aurefine.io.star import read_star

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "workflow_d2.sh"


@pytest.mark.slow
def test_extraction_to_a_sharpened_map(shared_data, tmp_path):
    data = shared_data / "d2-micrographs"
    program = Path(sys.executable).parent / "aurefine"
    subprocess.run(
        [SCRIPT, data, tmp_path / "project"],
        check=True,
        capture_output=True,
        env={**os.environ, "AUREFINE": str(program), "SIZE": "90"},
    )
    project = tmp_path / "project"
    log = (project / "Refine3D/job012/run.out").read_text()
    assert "Refinement has converged" in log
    assert len(read_star(project / "Extract/job011/particles.star").table("particles")) == 220
    general = read_star(project / "PostProcess/job014/postprocess.star").blocks["general"]
    # RELION 3.1.3 reaches 7.3 Å on these particles; Nyquist is 7.08 Å
    assert float(general["rlnFinalResolution"]) < 7.6
    sharpened, pixel_size = read_map(project / "PostProcess/job014/postprocess_masked.mrc")
    assert sharpened.shape == (90, 90, 90)
    assert pixel_size == pytest.approx(3.54)
