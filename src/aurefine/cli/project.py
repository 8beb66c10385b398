"""`aurefine project`: make a folder a project, show it, translate it between RELION versions."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from aurefine.cli.parser import OptionParser
from aurefine.project import init_project, open_project

__all__ = ["run"]

_EXAMPLES = """examples:
  aurefine project init                 make this folder a project
  aurefine project init --relion 5.0 P  make the folder P a project for RELION 5
  aurefine project show                 number of jobs in each state
  aurefine project convert 5.0          let RELION 5 read the types of all files
"""


def run(argv: Sequence[str]) -> int:
    """Run one of the actions on a project."""
    parser = OptionParser(
        prog="aurefine project",
        description="Make and show project folders. A project of RELION works as it is.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=OptionParser)
    make = actions.add_parser("init", help="make a folder a project")
    make.add_argument("folder", nargs="?", default=".", metavar="DIR")
    make.add_argument(
        "--relion", choices=("3.1", "5.0"), default="3.1", dest="dialect",
        help="version of RELION that must be able to open it: 3.1 (later ones can, too; the "
        "default), or 5.0, which keeps the types of files for RELION 4 and 5 [3.1]",
    )  # fmt: skip
    show = actions.add_parser("show", help="show how many jobs are in each state")
    show.add_argument("folder", nargs="?", default=".", metavar="DIR")
    convert = actions.add_parser("convert", help="rewrite the pipeline file for another RELION")
    convert.add_argument("dialect", choices=("3.1", "5.0"))
    convert.add_argument("folder", nargs="?", default=".", metavar="DIR")
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    given = parser.parse_args(argv)
    if given.action == "init":
        project = init_project(given.folder, dialect=given.dialect)
        sys.stdout.write(f"{project.path} is a project with {len(project.jobs())} jobs.\n")
    elif given.action == "convert":
        project = open_project(given.folder)
        with project.edit("converting the project") as pipeline:
            old, pipeline.dialect = pipeline.dialect, given.dialect
        sys.stdout.write(f"{project.path}: from RELION {old} to {given.dialect}.\n")
    else:
        _show(given.folder)
    return 0


def _show(folder: str) -> None:
    project = open_project(folder)
    states = Counter(job.status for job in project.jobs())
    pipeline = project.pipeline()
    sys.stdout.write(
        f"{project.path}\n  format   RELION {pipeline.dialect}\n"
        f"  jobs     {sum(states.values())}; the next one is number {pipeline.counter}\n"
    )
    for status, number in sorted(states.items()):
        sys.stdout.write(f"  {status:<10} {number}\n")
