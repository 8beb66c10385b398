"""Time and memory of rescaling maps: aurefine image-handler against relion_image_handler.

    python benchmarks/rescale_speed.py

Both programs rescale the same map of noise and put it into a new box. The whole command is timed,
start-up included; runs alternate, and medians are shown. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from aurefine.io.mrc import read_map, write_map
from measuring import publish, surroundings

PROGRAMS = {
    "RELION": ["relion_image_handler"],
    "aurefine": [sys.executable, "-m", "aurefine", "image-handler"],
}
# box and pixel size, new pixel size and box
CASES = ((64, 3.54, 1.244, 256), (256, 1.244, 3.54, 64), (256, 1.0, 0.8, 256), (256, 1.0, 1.3, 256))


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return wall time [s], CPU time [s] and peak memory [MB]."""
    done = subprocess.run(
        ["/usr/bin/time", "-f", "%e %U %S %M measured", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"(\S+) (\S+) (\S+) (\S+) measured", done.stderr)
    if done.returncode or match is None:
        raise SystemExit(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    wall, user, system, kilobytes = (float(text) for text in match.groups())
    return wall, user + system, kilobytes / 1024


def compare(case: tuple[int, float, float, int], work: Path, repeats: int, threads: int) -> str:
    """Run both programs in turn and return a line of the table."""
    n, pixel_size, requested, box = case
    source = work / "map.mrc"
    rng = np.random.default_rng(1)
    write_map(source, rng.standard_normal((n, n, n), dtype=np.float32), pixel_size)
    costs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(repeats):
        for name, program in PROGRAMS.items():
            options = ["--i", str(source), "--o", str(work / f"{name}.mrc")]
            options += ["--angpix", str(pixel_size), "--rescale_angpix", str(requested)]
            options += ["--new_box", str(box)]
            if name == "aurefine":
                options += ["--j", str(threads)]
            costs[name].append(measure([*program, *options]))
    maps = [read_map(work / f"{name}.mrc")[0] for name in PROGRAMS]
    difference = float(np.std(maps[1] - maps[0]) / np.std(maps[0]))
    relion, ours = (np.median(costs[name], axis=0) for name in PROGRAMS)
    cells = [
        f"{n}³ of {pixel_size:g} Å to {requested:g} Å, box {box}",
        *(f"{value:.2f}" for value in (relion[0], ours[0])),
        f"**{relion[0] / ours[0]:.1f}**",
        *(f"{value:.2f}" for value in (relion[1], ours[1])),
        *(f"{value:.0f}" for value in (relion[2], ours[2])),
        f"{ours[2] / relion[2]:.2f}",
        f"{difference:.0e}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--o", type=Path, help="file for the table")
    arguments = parser.parse_args()
    heads = (
        "map", "RELION [s]", "aurefine [s]", "ratio", "RELION CPU [s]", "aurefine CPU [s]",
        "RELION [MB]", "aurefine [MB]", "ratio", "relative rms difference",
    )  # fmt: skip
    where = surroundings(sys.argv)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    with tempfile.TemporaryDirectory(prefix="rescale-speed-") as name:
        for case in CASES:
            lines.append(compare(case, Path(name), arguments.repeats, arguments.threads))
            print(lines[-1], flush=True)
    text = "\n".join(["# Time of rescaling maps", "", *where, "", *lines])
    print()
    publish(text, arguments.o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
