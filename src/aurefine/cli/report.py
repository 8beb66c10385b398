"""`aurefine report`: write the report of a job as one HTML file."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from aurefine.cli.parser import OptionParser
from aurefine.cli.start import loading
from aurefine.errors import OptionError, OutputError
from aurefine.project import PIPELINE_FILE, open_project
from aurefine.project.refresh import refresh

__all__ = ["run"]

_EXAMPLES = """examples:
  aurefine report first3dref             write Refine3D/job012/report.html
  aurefine report 12 --o report.html
  aurefine report some/folder            of a run that belongs to no project
"""


def run(argv: Sequence[str]) -> int:
    """Write the report of the job that the command line names."""
    parser = OptionParser(
        prog="aurefine report",
        description="Write one self-contained HTML file about a job: figures, options, versions, "
        "command, times, and a paragraph for a methods section. Works for running, failed and "
        "RELION's jobs, too.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="number, name, alias, or a folder")
    parser.add_argument("--o", "--output", dest="output", metavar="FILE", help="file to write")
    parser.add_argument("--project", default=".", metavar="DIR", help="project folder [.]")
    if not argv:
        sys.stdout.write(parser.format_help())
        return 0
    given = parser.parse_args(argv)
    target = Path(given.output) if given.output else None
    with loading():
        from aurefine.jobs.job_report import write_folder_report, write_report

    if (Path(given.project) / PIPELINE_FILE).exists():
        project = open_project(given.project)
        with contextlib.suppress(OutputError):  # of somebody else, or locked: shown as it is
            refresh(project, timeout=2.0)
        try:
            job = project.job(given.job)
        except OptionError:
            if not Path(given.job).is_dir():
                raise
        else:
            sys.stdout.write(f"wrote {write_report(project, job.name, target)}\n")
            return 0
    if not Path(given.job).is_dir():
        raise OptionError(
            f"'{given.job}' is not a folder, and {given.project} is not a project with such a job."
        )
    sys.stdout.write(f"wrote {write_folder_report(Path(given.job), target)}\n")
    return 0
