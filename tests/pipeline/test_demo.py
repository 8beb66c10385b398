"""The demo of the README, from nothing to a map."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """Run the demo; return the folder it ran in and what it printed."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    folder = tmp_path_factory.mktemp("demo")
    program = Path(sys.executable).parent / "aurefine"
    environment = os.environ | {"AUREFINE": str(program), "THREADS": "2", "MPLBACKEND": "Agg"}
    done = subprocess.run(
        ["bash", str(ROOT / "examples" / "demo.sh"), "out"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return folder, done.stdout


def test_demo_reaches_the_resolution_of_its_data(demo):
    _, text = demo
    match = re.search(r"^  resolution +([\d.]+) Å", text, flags=re.MULTILINE)
    assert match is not None
    # 400 particles at this noise reach 8.7 Å; Nyquist is 7.1 Å, and a failed search stays at 20 Å
    assert 7.0 < float(match.group(1)) < 10.0


def test_every_file_that_the_demo_names_exists(demo):
    folder, text = demo
    summary = text[text.index("\ndone in") :]
    names = re.findall(r"out/[\w./-]+\w", summary)
    assert len(names) >= 9
    assert not [name for name in names if not (folder / name).is_file()]
