"""`aurefine relion-shims DIR`: scripts with RELION's program names that call aurefine."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from aurefine.cli.parser import OptionParser
from aurefine.errors import OutputError

__all__ = ["SHIMS", "run", "write_shims"]

# RELION's program and the command that replaces it
SHIMS: dict[str, str] = {
    "relion_refine": "refine",
    "relion_refine_mpi": "refine",
    "relion_image_handler": "image-handler",
    "relion_preprocess": "extract",
    "relion_preprocess_mpi": "extract",
    "relion_mask_create": "mask",
    "relion_postprocess": "postprocess",
}

_WITH_MPI = ("extract", "refine")


def run(argv: Sequence[str]) -> int:
    """Write the scripts into the directory that the command line names."""
    parser = OptionParser(
        prog="aurefine relion-shims",
        description="Write scripts named relion_refine, relion_refine_mpi, ... that call aurefine "
        "with the same arguments. Put the directory first in PATH to use them in a pipeline.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("directory", metavar="DIR", help="where to write; made if it is missing")
    directory = Path(parser.parse_args(argv).directory)
    for path in write_shims(directory):
        sys.stdout.write(f"wrote {path}\n")
    sys.stdout.write(f"To use them:  export PATH={shlex.quote(str(directory.resolve()))}:$PATH\n")
    return 0


def write_shims(directory: Path, python: str = sys.executable) -> list[Path]:
    """Write one executable script for each program of `SHIMS`.

    Parameters
    ----------
    directory : Path
        Made if it is missing; existing scripts are replaced.
    python : str
        Interpreter that aurefine is installed for.

    Returns
    -------
    paths : list of Path

    Raises
    ------
    OutputError
        If the directory or a script can not be written.
    """
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, command in SHIMS.items():
            path = directory / name
            path.write_text(_script(name, command, python))
            path.chmod(0o755)
            paths.append(path)
    except OSError as error:
        raise OutputError(f"{error.filename or directory}: {error.strerror}.") from None
    return paths


def _script(name: str, command: str, python: str) -> str:
    """Return the text of one script.

    Launched by mpirun with several processes, only the first one works, unless the command
    divides the work itself.
    """
    lines = ["#!/bin/sh", f"# {name}: calls aurefine {command} with the same arguments"]
    if command not in _WITH_MPI:
        lines += [
            'rank="${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${PMIX_RANK:-${SLURM_PROCID:-0}}}}"',
            'if [ "$rank" != 0 ]; then exit 0; fi',
        ]
    lines.append(f'exec {shlex.quote(python)} -m aurefine {command} "$@"')
    return "\n".join(lines) + "\n"
