"""What the benchmarks share: running programs, and saying where and with what they ran."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aurefine.cli.main import program_version

OURS = [sys.executable, "-m", "aurefine", "refine"]

# the options of an ordinary job; both programs get them
JOB_OPTIONS = (
    "--auto_refine --split_random_halves --firstiter_cc --ctf --norm --scale --flatten_solvent "
    "--zero_mask --low_resol_join_halves 40 --oversampling 1 --healpix_order 2 "
    "--auto_local_healpix_order 4 --offset_range 5 --offset_step 2 --pad 2"
)


def relion_mpi(processes: int) -> list[str]:
    """Return the beginning of a command that runs relion_refine_mpi."""
    # the launcher that RELION is made for, not one of the Python environment
    folders = [f for f in os.get_exec_path() if Path(f) != Path(sys.executable).parent]
    mpirun = shutil.which("mpirun", path=os.pathsep.join(folders)) or "mpirun"
    return [mpirun, "--oversubscribe", "-n", str(processes), "relion_refine_mpi"]


@dataclass(frozen=True)
class Usage:
    """What a job used, the processes that it started included."""

    wall: float  # s
    cpu: float  # s, user and system
    memory: int  # bytes, the largest resident set of one process


def run_job(command: list[str], options: list[str], folder: Path, root: Path) -> float:
    """Run a refinement and return its wall time in seconds; see `measured_job`."""
    return measured_job(command, options, folder, root).wall


def measured_job(command: list[str], options: list[str], folder: Path, root: Path) -> Usage:
    """Run a refinement in the folder of its data; its output goes to run.out and run.err.

    Parameters
    ----------
    command : list of str
        The program.
    options : list of str
        All options but ``--o``.
    folder : Path
        Where the names in the particle table start.
    root : Path
        Of the output names.

    Returns
    -------
    Usage
        Of the whole command.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    full = [*command, *options, "--o", str(root.resolve())]
    (root.parent / "command.txt").write_text(shlex.join(full) + "\n")
    out, err = root.parent / "run.out", root.parent / "run.err"
    start = time.perf_counter()
    with out.open("w") as stdout, err.open("w") as stderr:
        started = subprocess.Popen(full, cwd=folder, stdout=stdout, stderr=stderr, env=environment)
        _, status, used = os.wait4(started.pid, 0)
    wall = time.perf_counter() - start
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{shlex.join(full)} failed:\n{out.read_text()[-2000:]}{err.read_text()}")
    return Usage(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss * 1024)


def crossing(fsc: npt.NDArray[np.floating], threshold: float, extent: float) -> float:
    """Resolution [Å] where a curve falls below a threshold, interpolated between shells.

    Parameters
    ----------
    fsc : ndarray, shape (n_shells,)
    threshold : float
    extent : float
        Box size times pixel size [Å].
    """
    below = np.flatnonzero(fsc < threshold)
    if len(below) == 0:
        return extent / (len(fsc) - 1)
    k = int(below[0])
    if k == 0:
        return float("inf")
    return extent / (k - 1 + (fsc[k - 1] - threshold) / (fsc[k - 1] - fsc[k]))


def relion_version() -> str:
    """Return the version of the RELION programs in PATH."""
    try:
        done = subprocess.run(["relion_refine", "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        return "not installed"
    match = re.search(r"version:?\s*(\S+)", done.stdout + done.stderr)
    return match.group(1) if match else "unknown"


def machine() -> str:
    """Return the model of the processor and the number of cores that can be used."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        match = re.search(r"model name\s*:\s*(.+)", information.read_text())
        model = match.group(1) if match else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


def surroundings(arguments: list[str]) -> list[str]:
    """Return lines that say which versions ran where, and how busy the machine was."""
    return [
        f"aurefine {program_version()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; RELION {relion_version()}.",
        f"Machine: {machine()}; load at the start {os.getloadavg()[0]:.1f}.",
        f"Command: `python {shlex.join([Path(arguments[0]).as_posix(), *arguments[1:]])}`.",
    ]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def publish(text: str, path: Path | None) -> None:
    """Print a report, and write it to a file if there is to be one."""
    print(text)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
