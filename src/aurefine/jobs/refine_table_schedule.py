"""Option table of *3D auto-refine*: fewer and cheaper iterations."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["SCHEDULE_OPTIONS"]

SCHEDULE_OPTIONS: tuple[Option, ...] = (
    Option(
        name="relion_schedule", flag="--relion_schedule", aliases=("--relion-schedule",),
        kind="bool", default=False, tab="Schedule", label="RELION's schedule",
        help="Switch off all savings of this group that are not given with a value.",
    ),
    Option(
        name="early_particles", flag="--early_particles", kind="int", default=0,
        tab="Schedule", label="Particles in early iterations", range=Range(10, also=(0,)),
        help="Use this number of particles of each half as long as they still raise the "
        "resolution, then all; 0: all from the start.",
    ),
    Option(
        name="scoring_tolerance", flag="--scoring_tolerance", kind="float", default=0.0,
        tab="Schedule", label="Tolerance of scores", range=Range(0, 1),
        help="Score poses without the outer shells in which the reference holds no more than this "
        "log-likelihood in total; 0: on all shells. Sums and noise always take all shells.",
    ),
    Option(
        name="jump_sampling", flag="--jump_sampling", negatives=("--no_jump_sampling",),
        kind="bool", default=False, tab="Schedule", label="Jump to the angular step",
        help="Go from one angular step to a quarter of it, if the estimated accuracy calls for "
        "that, instead of halving it.",
    ),
    Option(
        name="reuse_poses", flag="--reuse_poses", kind="float", default=0.0, tab="Schedule",
        label="Search around clear poses", range=Range(0, 1),
        help="Search particles whose last Pmax was at least this only around their last pose, "
        "even while searches are global; 0: never.",
    ),
)  # fmt: skip
