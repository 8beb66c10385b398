"""The kernels that are compiled beforehand are those that a refinement runs."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from aurefine.cli.main import run_command
code = run_command(["refine", *sys.argv[1:]])
from aurefine.kernels.signatures import LATER_KERNELS
found = {
    kernel.py_func.__qualname__: [
        [str(kind) for kind in types],
        [[str(kind) for kind in signature] for signature in kernel.signatures],
    ]
    for kernel, types in LATER_KERNELS
}
sys.stderr.write(json.dumps(found))
sys.exit(code)
"""


def test_a_refinement_runs_the_kernels_of_the_table_with_its_types(
    project, standard_options, tmp_path
):
    words = ["--i", "particles.star", "--ref", "reference.mrc", *standard_options, "--j", "2"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words, "--o", str(tmp_path / "run")],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stderr)
    assert len(found) > 10
    for name, (listed, used) in found.items():
        assert used == [listed], name
