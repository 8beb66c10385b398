"""Option table of `aurefine submit`."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["SUBMIT_OPTIONS"]

SUBMIT_OPTIONS: tuple[Option, ...] = (
    Option(
        name="n_processes", flag="--mpi", aliases=("--n_processes",), kind="int", default=1,
        tab="Running", label="Number of MPI processes", range=Range(1), in_form=False,
        help="Processes; 3 or more share a refinement, any number shares an extraction.",
    ),
    Option(
        name="queue", flag="--queue", kind="str", default="", tab="Running",
        label="Queue", in_form=False,
        help="Queue (partition); by default the one that the cluster chooses.",
    ),
    Option(
        name="template", flag="--template", kind="path", default="", tab="Running",
        label="Submission script", in_form=False,
        help="Template of the script with RELION's XXX...XXX words; by default one for SLURM.",
    ),
    Option(
        name="program", flag="--qsub", kind="str", default="sbatch", tab="Running",
        label="Queue program", in_form=False, help="Program that takes the script.",
    ),
    Option(
        name="n_dedicated", flag="--dedicated", kind="int", default=1, tab="Running",
        label="Dedicated cores per node", range=Range(1), in_form=False,
        help="Cores of each node that the job takes, for templates with XXXnodesXXX.",
    ),
    Option(
        name="extra1", flag="--extra1", kind="str", default="", tab="Running",
        label="Extra value 1", in_form=False, help="Value of XXXextra1XXX.",
    ),
    Option(
        name="extra2", flag="--extra2", kind="str", default="", tab="Running",
        label="Extra value 2", in_form=False, help="Value of XXXextra2XXX.",
    ),
    Option(
        name="dry_run", flag="--dry-run", kind="bool", default=False, tab="Running",
        label="Dry run", in_form=False, help="Print the script and do nothing else.",
    ),
)  # fmt: skip
