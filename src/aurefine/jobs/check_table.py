"""Option table of the checks: their own options, and all of a refinement."""

from __future__ import annotations

from dataclasses import replace

from aurefine.jobs.options import Option, Range
from aurefine.jobs.refine_options import REFINE_OPTIONS

__all__ = ["CHECK_OPTIONS"]

_OWN = (
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="", tab="Check",
        label="Output root name",
        help="Beginning of output names: ROOT.json with everything found, ROOT_bad_particles.star "
        "and ROOT_copies.star if there are any. Nothing is written without it.",
    ),
    Option(
        name="n_compared", flag="--n_compared", kind="int", default=300, tab="Check",
        label="Particles compared", range=Range(0),
        help="Particles of each pixel size and box that are compared with the reference; 0: none.",
    ),
    Option(
        name="copy_distance", flag="--copy_distance", kind="float", default=30.0, unit="Å",
        tab="Check", label="Distance of copies", range=Range(0),
        help="Two rows with centres closer than this in one micrograph are one particle; 0: only "
        "rows of the same image.",
    ),
    Option(
        name="exclude_bad", flag="--exclude_bad", kind="bool", default=False, tab="Check",
        label="Exclude bad particles",
        help="Write ROOT_particles.star without the particles that have pixels that are not "
        "finite, or the same value in all pixels.",
    ),
)  # fmt: skip
_SHOWN = frozenset(
    {
        "particles", "reference", "reference_pixel_size", "trust_reference_size",
        "rescale_reference", "symmetry", "initial_lowpass", "firstiter_cc", "particle_diameter",
        "ctf", "ctf_phase_flipped", "n_threads", "random_seed", "pipeline_control", "debug",
    }
)  # fmt: skip
_OWN_NAMES = {option.name for option in _OWN}

# the others are accepted, so that the command line of a refinement can be checked as it is
CHECK_OPTIONS: tuple[Option, ...] = (
    *(
        replace(option, required=option.name == "particles")
        for option in REFINE_OPTIONS
        if option.name == "particles"
    ),
    *_OWN,
    *(
        option if option.name in _SHOWN or option.status != "used" else replace(option, hidden=True)
        for option in REFINE_OPTIONS
        if option.name not in _OWN_NAMES | {"particles"}
    ),
)
