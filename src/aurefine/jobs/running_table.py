"""Option tables of the tab *Running*, which all jobs share."""

from __future__ import annotations

import os

from aurefine.jobs.options import Form, Option, Range

__all__ = ["MPI_OPTION", "RUNNING_OPTIONS", "mpi_limit"]


def _default(variable: str, otherwise: str) -> str:
    """Return RELION's setting of the site, if there is one."""
    return os.environ.get(variable, otherwise)


def mpi_limit() -> int:
    """Return the largest number of MPI processes that may be started on this computer."""
    text = os.environ.get("RELION_ERROR_LOCAL_MPI", "")
    return int(text) if text.isdigit() else 32


def _extra() -> tuple[Option, ...]:
    """Return the fields that a site defines for its submission script."""
    text = os.environ.get("RELION_QSUB_EXTRA_COUNT", "2")
    found = []
    for number in range(1, int(text) + 1 if text.isdigit() else 1):
        variable = f"RELION_QSUB_EXTRA{number}"
        if label := os.environ.get(variable):
            found.append(
                Option(
                    name=f"qsub_extra{number}",
                    label=label,
                    kind="str",
                    default=_default(f"{variable}_DEFAULT", ""),
                    tab="Running",
                    status="form",
                    help=_default(f"{variable}_HELP", f"Replaces XXXextra{number}XXX."),
                    form=Form(key=f"qsub_extra{number}", needs="do_queue", continues="both"),
                )
            )
    return tuple(found)


MPI_OPTION = Option(
    name="n_processes", label="Number of MPI procs", kind="int",
    default=int(_default("RELION_QSUB_NRMPI", "1")), tab="Running", status="form", range=Range(1),
    help="Processes to divide the work among, on one or several computers.",
    form=Form(key="nr_mpi", label="Number of MPI procs:", slider=(1, 64, 1), continues="both"),
)  # fmt: skip

RUNNING_OPTIONS: tuple[Option, ...] = (
    Option(
        name="do_queue", label="Submit to queue?", kind="bool",
        default=_default("RELION_QUEUE_USE", "no").lower() in ("yes", "true", "1"), tab="Running",
        status="form", form=Form(key="do_queue", continues="both"),
        help="Hand the job to a queue (such as SLURM) by a submission script.",
    ),
    Option(
        name="queue_name", label="Queue name:", kind="str",
        default=_default("RELION_QUEUE_NAME", "openmpi"), tab="Running", status="form",
        form=Form(key="queuename", needs="do_queue", continues="both"),
        help="Replaces XXXqueueXXX in the submission script.",
    ),
    Option(
        name="queue_command", label="Queue submit command:", kind="str",
        default=_default("RELION_QSUB_COMMAND", "sbatch"), tab="Running", status="form",
        form=Form(key="qsub", needs="do_queue", continues="both"),
        help="Program that takes the script: sbatch for SLURM, qsub for others.",
    ),
    *_extra(),
    Option(
        name="queue_script", label="Standard submission script:", kind="path",
        default=_default("RELION_QSUB_TEMPLATE", ""), tab="Running", status="form",
        form=Form(key="qsubscript", needs="do_queue", continues="both"),
        help="Template of the submission script, with RELION's XXX...XXX words.",
    ),
    Option(
        name="dedicated_cores", label="Minimum dedicated cores per node:", kind="int",
        default=int(_default("RELION_MINIMUM_DEDICATED", "1")), tab="Running", status="form",
        range=Range(1), form=Form(
            key="min_dedicated", slider=(1, 64, 1), needs="do_queue", continues="both",
        ),
        help="Cores of each computer to reserve: the number of nodes follows from it.",
    ),
    Option(
        name="other_arguments", label="Additional arguments:", kind="str", default="",
        tab="Running", status="form", form=Form(key="other_args", continues="both"),
        help="Further options of the command, as typed in a terminal.",
    ),
)  # fmt: skip
