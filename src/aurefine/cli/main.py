"""The program `aurefine`: find the command, run it, turn failures into exit codes."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from aurefine.errors import OptionError, describe_error
from aurefine.jobs.stopping import TerminatedError

__all__ = ["COMMANDS", "Command", "entry_point", "program_version", "run_command"]

EXIT_FAILURE = 1
EXIT_ABORTED = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the module with its `run(argv)`, and a line for the help page."""

    name: str
    module: str
    summary: str


COMMANDS: tuple[Command, ...] = (
    Command("refine", "aurefine.cli.refine", "3D auto-refine: particles and a map to a better map"),
    Command("check", "aurefine.cli.check", "see whether input is fit for a refinement"),
    Command("simulate", "aurefine.cli.simulate", "make particle images from atoms or a map"),
    Command("extract", "aurefine.cli.extract", "extract particles from micrographs"),
    Command("image-handler", "aurefine.cli.image_handler", "rescale, filter and combine images"),
    Command("mask", "aurefine.cli.mask", "make a mask from a map"),
    Command("postprocess", "aurefine.cli.postprocess", "mask and sharpen two half maps"),
    Command("rescale", "aurefine.cli.rescale", "bring a map to another pixel size and box"),
    Command("import", "aurefine.cli.import_files", "bring files into the folder of a job"),
    Command("project", "aurefine.cli.project", "make and show a project folder"),
    Command("job", "aurefine.cli.job", "set up, run and follow the jobs of a project"),
    Command("report", "aurefine.cli.report", "write the report of a job as one HTML file"),
    Command("gui", "aurefine.gui.command", "set up, run and watch jobs in the browser"),
    Command("submit", "aurefine.cli.submit", "hand a command to a queue such as SLURM"),
    Command("symmetry", "aurefine.cli.symmetry", "show the operators of a point group"),
    Command("align-symmetry", "aurefine.cli.align_symmetry", "turn a map to its symmetry axes"),
    Command(
        "orientations", "aurefine.cli.orientations", "measure views and directional resolution"
    ),
    Command("relion-shims", "aurefine.cli.relion_shims", "write scripts named relion_refine, ..."),
    Command("doctor", "aurefine.cli.doctor", "show versions, cores, memory and speed"),
    Command("version", "aurefine.cli.version", "show the version"),
)


def entry_point() -> None:
    """Run the command line of this process and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names from damaged files may hold any byte
            stream.reconfigure(errors="backslashreplace")
    exit_code = run_command(sys.argv[1:])
    gc.freeze()  # else Python looks through all objects once more before it ends
    sys.exit(exit_code)


def run_command(argv: Sequence[str]) -> int:
    """Run one command line.

    Parameters
    ----------
    argv : sequence of str
        Without the program name.

    Returns
    -------
    exit_code : int
        0 success, 1 failure, 2 abort asked for by the user through the job directory, 130 Ctrl-C,
        143 SIGTERM, 129 SIGHUP, 138 SIGUSR1.
        Failures leave one message on the standard error; with ``--debug``, or AUREFINE_DEBUG=1
        in the environment, also the place in the program.
    """
    arguments = list(argv)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        _report("interrupted by Ctrl-C.", arguments)
        return EXIT_INTERRUPTED
    except TerminatedError as error:
        _report(f"{error}.", arguments)
        return error.exit_code
    except BrokenPipeError:
        # the reader of the output has gone (e.g. `| head`): nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except Exception as error:
        _report(describe_error(error), arguments)
    return EXIT_FAILURE


def program_version() -> str:
    """Return the version of the installed package."""
    import importlib.metadata  # takes as long as all other imports of a help page

    try:
        return importlib.metadata.version("aurefine")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help_page())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        name = "version"
    for command in COMMANDS:
        if command.name == name and _exists(command):
            run = importlib.import_module(command.module).run
            return int(run(rest))
    raise OptionError(f"aurefine: there is no command '{name}'; 'aurefine --help' lists them.")


def _exists(command: Command) -> bool:
    return importlib.util.find_spec(command.module) is not None


def _help_page() -> str:
    lines = [
        "usage: aurefine COMMAND [OPTIONS]",
        "",
        "Fully automatic 3D refinement of cryo-EM particle images.",
        "",
        "commands:",
    ]
    lines += [f"  {c.name:<15} {c.summary}" for c in COMMANDS if _exists(c)]
    lines += ["", "'aurefine COMMAND --help' shows the options of a command.", ""]
    return "\n".join(lines)


def _report(message: str, arguments: Sequence[str]) -> None:
    sys.stdout.flush()
    printable = message.encode("utf-8", "backslashreplace").decode()
    sys.stderr.write(f"aurefine: error: {printable}\n")
    if "--debug" in arguments or os.environ.get("AUREFINE_DEBUG", "0") not in ("", "0"):
        sys.stderr.write(traceback.format_exc())
    sys.stderr.flush()
