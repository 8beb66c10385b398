"""Option table of *3D auto-refine*: everything that changes the result."""

from __future__ import annotations

from aurefine.jobs.options import Form, Option, Range
from aurefine.jobs.refine_forms import padding, solvent_fsc
from aurefine.jobs.refine_table_sampling import EXPERT_OPTIONS, SAMPLING_OPTIONS
from aurefine.jobs.refine_table_schedule import SCHEDULE_OPTIONS

__all__ = ["RESULT_OPTIONS"]

_OFF = Range(0, open_low=True, also=(-1,))  # a length, or -1 for "off"

_INPUT = (
    Option(
        name="particles", flag="--i", aliases=("--particles",), kind="path", tab="Input",
        label="Input images STAR file",
        help="STAR file of the particle images.",
        form=Form(
            key="fn_img", tab="I/O", label="Input images STAR file:", default="",
            nodes=("particles",), pattern="*.star", is_required=True,
        ),
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", tab="Input",
        label="Output root name",
        help="Beginning of all output names, e.g. Refine3D/job001/run.",
        in_form=False,
    ),
    Option(
        name="reference", flag="--ref", aliases=("--reference",), kind="path", tab="Input",
        label="Reference map",
        help="Map to start from. If its name contains half1 or half2, each half starts from its "
        "own map.",
        form=Form(
            key="fn_ref", tab="I/O", label="Reference map:", default="",
            nodes=("map", "postprocessed", "halfmap"), pattern="*.mrc *.map", is_required=True,
        ),
    ),
    Option(
        name="continue_from", flag="--continue", aliases=("--continue_from",), kind="path",
        tab="Input", label="Continue from here", default="",
        help="Optimiser file (*_it*_optimiser.star) of the iteration to go on from; or auto for "
        "the newest complete iteration of the run of --o (a new run if there is none).",
        form=Form(
            key="fn_cont", tab="I/O", label="Continue from here:", nodes=("optimiser",),
            pattern="*_optimiser.star", continues="continued", writes="nothing",
        ),
    ),
    Option(
        name="auto_refine", flag="--auto_refine", kind="bool", default=True, tab="Input",
        label="Automated refinement",
        help="Automated sampling and convergence; always on in this program.",
        in_form=False,
    ),
    Option(
        name="split_random_halves", flag="--split_random_halves", kind="bool", default=True,
        tab="Input", label="Independent halves",
        help="Refine two halves of the data independently; always on in this program.",
        in_form=False,
    ),
)  # fmt: skip

_REFERENCE = (
    Option(
        name="firstiter_cc", flag="--firstiter_cc", aliases=("--first_iteration_cc",),
        kind="bool", default=False, tab="Reference", words=("auto",),
        label="First iteration by cross-correlation",
        help="Use cross-correlation in iteration 1: for a reference that is not on the absolute "
        "greyscale of the particles. With the word auto, its greyscale is measured and decides.",
        form=Form(
            key="ref_correct_greyscale", label="Ref. map is on absolute greyscale?", default="No",
            writes="no",
            help="No: the reference was made by another program or changed since; iteration 1 then "
            "compares by cross-correlation, for which the greyscale does not matter.",
        ),
    ),
    Option(
        name="always_cc", flag="--always_cc", kind="bool", default=False, tab="Reference",
        label="Cross-correlation throughout", help="Use cross-correlation in all iterations.",
    ),
    Option(
        name="initial_lowpass", flag="--ini_high", aliases=("--initial_lowpass",), kind="float",
        default=-1.0, unit="Å", tab="Reference", label="Initial low-pass filter", range=_OFF,
        help="Low-pass filter of the starting map; 40 to 60 Å avoids a bias towards it.",
        form=Form(
            key="ini_high", label="Initial low-pass filter (A):", default="60", slider=(0, 200, 5),
            range=Range(), writes="positive",
        ),
    ),
    Option(
        name="reference_pixel_size", flag="--ref_angpix", aliases=("--reference_pixel_size",),
        kind="float", default=-1.0, unit="Å", tab="Reference", label="Reference pixel size",
        range=_OFF, help="Pixel size of the reference, if its header is wrong.",
    ),
    Option(
        name="trust_reference_size", flag="--trust_ref_size", aliases=("--resize_reference",),
        kind="bool", default=False, tab="Reference", label="Resize reference if needed",
        help="Rescale and re-box the reference if it does not match the particles, instead of "
        "stopping; its pixel size is then only about that of the particles, as in RELION.",
        form=Form(
            key="trust_ref_size", label="Resize reference if needed?", default="Yes", version="5.0",
        ),
    ),
    Option(
        name="rescale_reference", flag="--rescale_ref", aliases=("--rescale_reference",),
        kind="bool", default=False, tab="Reference", label="Rescale reference exactly",
        help="The same, but to exactly the pixel size of the particles.",
    ),
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", default="C1",
        tab="Reference", label="Symmetry",
        help="Point group: Cn, Dn, T, O, I (or I1 to I4).",
        form=Form(key="sym_name", label="Symmetry:", is_required=True),
    ),
)  # fmt: skip

_CTF = (
    Option(
        name="ctf", flag="--ctf", kind="bool", default=False, tab="CTF", label="CTF correction",
        help="Take the contrast transfer function into account.",
        form=Form(key="do_ctf_correction", label="Do CTF-correction?", default="Yes"),
    ),
    Option(
        name="ctf_intact_first_peak", flag="--ctf_intact_first_peak", kind="bool", default=False,
        tab="CTF", label="Ignore CTFs until first peak",
        help="Leave out the CTF below its first peak.",
        form=Form(
            key="ctf_intact_first_peak", label="Ignore CTFs until first peak?",
            needs="do_ctf_correction",
        ),
    ),
    Option(
        name="ctf_uncorrected_ref", flag="--ctf_uncorrected_ref", kind="bool", default=False,
        tab="CTF", label="Reference is not CTF-corrected",
        help="The starting map was made without CTF correction.",
        form=Form(
            key="ctf_corrected_ref", tab="Reference", label="Has reference been CTF-corrected?",
            default="Yes", version="3.1", writes="no",
        ),
    ),
    Option(
        name="ctf_phase_flipped", flag="--ctf_phase_flipped", kind="bool", default=False,
        tab="CTF", label="Images are phase-flipped", help="The phases of the images are flipped.",
    ),
    Option(
        name="only_flip_phases", flag="--only_flip_phases", kind="bool", default=False,
        tab="CTF", label="Correct phases only", help="Correct signs, but not amplitudes.",
    ),
)  # fmt: skip

_OPTIMISATION = (
    Option(
        name="particle_diameter", flag="--particle_diameter", aliases=("--mask_diameter",),
        kind="float", default=-1.0, unit="Å", tab="Optimisation", label="Mask diameter",
        range=_OFF,
        help="Diameter of the circular mask around each particle; -1: the box without the edge.",
        form=Form(
            key="particle_diameter", label="Mask diameter (A):", default="200",
            slider=(0, 1000, 10), continues="both",
        ),
    ),
    Option(
        name="mask_edge_px", flag="--maskedge", aliases=("--mask_edge",), kind="int", default=5,
        unit="px", tab="Optimisation", label="Mask edge", range=Range(1),
        help="Width of the soft edge of circular and spherical masks.",
    ),
    Option(
        name="zero_mask", flag="--zero_mask", kind="bool", default=False, tab="Optimisation",
        label="Mask individual particles with zeros",
        help="Fill the surroundings of the particles with the background mean instead of noise.",
        form=Form(key="do_zero_mask", label="Mask individual particles with zeros?", default="Yes"),
    ),
    Option(
        name="flatten_solvent", flag="--flatten_solvent", aliases=("--mask_reference",),
        kind="bool", default=False, tab="Optimisation", label="Mask the reference",
        help="Mask the maps after each iteration (with a sphere if there is no solvent mask).",
        in_form=False,
    ),
    Option(
        name="solvent_mask", flag="--solvent_mask", kind="path", default="", tab="Optimisation",
        label="Reference mask",
        help="Mask of the reference, with values from 0 to 1.",
        form=Form(
            key="fn_mask", tab="I/O", label="Reference mask (optional):", nodes=("mask",),
            pattern="*.mrc", continues="both",
        ),
    ),
    Option(
        name="solvent_mask2", flag="--solvent_mask2", kind="path", default="",
        tab="Optimisation", label="Second reference mask",
        help="Where this mask is 1, the reference is set to its mean there, e.g. inside a virus.",
    ),
    Option(
        name="solvent_correct_fsc", flag="--solvent_correct_fsc",
        aliases=("--solvent_flattened_fsc",), kind="bool", default=False, tab="Optimisation",
        label="Use solvent-flattened FSCs",
        help="Correct the FSC of every iteration for the solvent; needs a solvent mask.",
        form=Form(
            key="do_solvent_fsc", label="Use solvent-flattened FSCs?", continues="both",
            argument=solvent_fsc,
        ),
    ),
    Option(
        name="low_resol_join_halves", flag="--low_resol_join_halves",
        aliases=("--join_halves_to",), kind="float", default=-1.0, unit="Å", tab="Optimisation",
        label="Join halves up to", range=Range(0, also=(-1,)),
        help="Keep both halves in one orientation by joining them up to this resolution; "
        "40 is usual, -1 is off.",
        in_form=False,
    ),
    Option(
        name="tau2_fudge", flag="--tau2_fudge", aliases=("--regularisation",), kind="float",
        default=1.0, tab="Optimisation", label="Regularisation factor",
        range=Range(0, open_low=True, also=(-1,)),
        help="Weight of the data against the prior; -1: automatic, which is 1.",
    ),
    Option(
        name="norm", flag="--norm", negatives=("--no_norm",), kind="bool", default=False,
        tab="Optimisation", label="Normalisation correction",
        help="Correct errors in the normalisation of each image.",
        in_form=False,
    ),
    Option(
        name="scale", flag="--scale", negatives=("--no_scale",), kind="bool", default=False,
        tab="Optimisation", label="Intensity-scale correction",
        help="Estimate an intensity scale for each micrograph.",
        in_form=False,
    ),
    Option(
        name="minimum_group_size", flag="--min_group_size", kind="int", default=0,
        unit="particles", tab="Optimisation", label="Least group size", range=Range(0),
        help="Join micrographs with fewer particles than this, by their mean defocus, into groups "
        "with a common intensity scale; 0: each micrograph is a group.",
    ),
    Option(
        name="padding", flag="--pad", aliases=("--padding",), kind="float", default=2.0,
        tab="Optimisation", label="Padding factor", range=Range(1, 8),
        help="Padding of the 3D transforms: 2, or 1 to save memory.",
        form=Form(
            help="Half the memory of the 3D transforms, for slightly less accurate projections.",
            key="do_pad1", tab="Compute", label="Skip padding?", kind="bool", default="No",
            continues="both", argument=padding,
        ),
    ),
    Option(
        name="random_seed", flag="--random_seed", aliases=("--seed",), kind="int", default=-1,
        tab="Optimisation", label="Random seed", range=Range(0, 2**31 - 1, also=(-1,)),
        help="Seed of all random numbers; -1: from the clock.",
    ),
    Option(
        name="auto_iter_max", flag="--auto_iter_max", aliases=("--max_iterations",), kind="int",
        default=999, tab="Optimisation", label="Maximum number of iterations", range=Range(1),
        help="Stop after this iteration, converged or not.",
    ),
    Option(
        name="force_converge", flag="--force_converge", kind="bool", default=False,
        tab="Optimisation", label="Finish now",
        help="With --continue: do the last iteration, with joined halves, at once.",
        form=Form(key="aurefine_force_converge", tab="Expert", continues="continued"),
    ),
    Option(
        name="abort_at_resolution", flag="--abort_at_resolution", kind="float", default=-1.0,
        unit="Å", tab="Optimisation", label="Stop at resolution", range=_OFF,
        help="Stop when the resolution becomes better than this.",
    ),
)  # fmt: skip

RESULT_OPTIONS: tuple[Option, ...] = (
    *_INPUT,
    *_REFERENCE,
    *_CTF,
    *_OPTIMISATION,
    *SAMPLING_OPTIONS,
    *SCHEDULE_OPTIONS,
    *EXPERT_OPTIONS,
)
