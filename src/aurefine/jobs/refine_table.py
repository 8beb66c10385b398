"""Option table of *3D auto-refine*: everything that changes the result."""

from __future__ import annotations

from aurefine.jobs.options import Option, Range

__all__ = ["RESULT_OPTIONS"]

_OFF = Range(0, open_low=True, also=(-1,))  # a length, or -1 for "off"
_POSITIVE = Range(0, open_low=True)

_INPUT = (
    Option(
        name="particles", flag="--i", aliases=("--particles",), kind="path", tab="Input",
        label="Input images STAR file", job_variable="fn_img",
        help="STAR file of the particle images.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", tab="Input",
        label="Output root name",
        help="Beginning of all output names, e.g. Refine3D/job001/run.",
    ),
    Option(
        name="reference", flag="--ref", aliases=("--reference",), kind="path", tab="Input",
        label="Reference map", job_variable="fn_ref",
        help="Map to start from. If its name contains half1 or half2, each half starts from its "
        "own map.",
    ),
    Option(
        name="continue_from", flag="--continue", aliases=("--continue_from",), kind="path",
        tab="Input", label="Continue from here", default="", job_variable="fn_cont",
        help="Optimiser file (*_it*_optimiser.star) of the iteration to go on from; or auto for "
        "the newest complete iteration of the run of --o (a new run if there is none).",
    ),
    Option(
        name="auto_refine", flag="--auto_refine", kind="bool", default=True, tab="Input",
        label="Automated refinement",
        help="Automated sampling and convergence; always on in this program.",
    ),
    Option(
        name="split_random_halves", flag="--split_random_halves", kind="bool", default=True,
        tab="Input", label="Independent halves",
        help="Refine two halves of the data independently; always on in this program.",
    ),
)  # fmt: skip

_REFERENCE = (
    Option(
        name="firstiter_cc", flag="--firstiter_cc", aliases=("--first_iteration_cc",),
        kind="bool", default=False, tab="Reference",
        label="First iteration by cross-correlation",
        help="Use cross-correlation in iteration 1: for a reference that is not on the absolute "
        "greyscale of the particles.",
    ),
    Option(
        name="always_cc", flag="--always_cc", kind="bool", default=False, tab="Reference",
        label="Cross-correlation throughout", help="Use cross-correlation in all iterations.",
    ),
    Option(
        name="initial_lowpass", flag="--ini_high", aliases=("--initial_lowpass",), kind="float",
        default=-1.0, unit="Å", tab="Reference", label="Initial low-pass filter", range=_OFF,
        job_variable="ini_high",
        help="Low-pass filter of the starting map; 40 to 60 Å avoids a bias towards it.",
    ),
    Option(
        name="reference_pixel_size", flag="--ref_angpix", aliases=("--reference_pixel_size",),
        kind="float", default=-1.0, unit="Å", tab="Reference", label="Reference pixel size",
        range=_OFF, help="Pixel size of the reference, if its header is wrong.",
    ),
    Option(
        name="trust_reference_size", flag="--trust_ref_size", aliases=("--resize_reference",),
        kind="bool", default=False, tab="Reference", label="Resize reference if needed",
        job_variable="trust_ref_size",
        help="Rescale and re-box the reference if it does not match the particles, instead of "
        "stopping; its pixel size is then only about that of the particles, as in RELION.",
    ),
    Option(
        name="rescale_reference", flag="--rescale_ref", aliases=("--rescale_reference",),
        kind="bool", default=False, tab="Reference", label="Rescale reference exactly",
        help="The same, but to exactly the pixel size of the particles.",
    ),
    Option(
        name="symmetry", flag="--sym", aliases=("--symmetry",), kind="str", default="C1",
        tab="Reference", label="Symmetry", job_variable="sym_name",
        help="Point group: Cn, Dn, T, O, I (or I1 to I4).",
    ),
)  # fmt: skip

_CTF = (
    Option(
        name="ctf", flag="--ctf", kind="bool", default=False, tab="CTF", label="CTF correction",
        job_variable="do_ctf_correction", help="Take the contrast transfer function into account.",
    ),
    Option(
        name="ctf_intact_first_peak", flag="--ctf_intact_first_peak", kind="bool", default=False,
        tab="CTF", label="Ignore CTFs until first peak", job_variable="ctf_intact_first_peak",
        help="Leave out the CTF below its first peak.",
    ),
    Option(
        name="ctf_uncorrected_ref", flag="--ctf_uncorrected_ref", kind="bool", default=False,
        tab="CTF", label="Reference is not CTF-corrected",
        help="The starting map was made without CTF correction.",
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
        range=_OFF, job_variable="particle_diameter",
        help="Diameter of the circular mask around each particle; -1: the box without the edge.",
    ),
    Option(
        name="mask_edge_px", flag="--maskedge", aliases=("--mask_edge",), kind="int", default=5,
        unit="px", tab="Optimisation", label="Mask edge", range=Range(1),
        help="Width of the soft edge of circular and spherical masks.",
    ),
    Option(
        name="zero_mask", flag="--zero_mask", kind="bool", default=False, tab="Optimisation",
        label="Mask individual particles with zeros", job_variable="do_zero_mask",
        help="Fill the surroundings of the particles with the background mean instead of noise.",
    ),
    Option(
        name="flatten_solvent", flag="--flatten_solvent", aliases=("--mask_reference",),
        kind="bool", default=False, tab="Optimisation", label="Mask the reference",
        help="Mask the maps after each iteration (with a sphere if there is no solvent mask).",
    ),
    Option(
        name="solvent_mask", flag="--solvent_mask", kind="path", default="", tab="Optimisation",
        label="Reference mask", job_variable="fn_mask",
        help="Mask of the reference, with values from 0 to 1.",
    ),
    Option(
        name="solvent_correct_fsc", flag="--solvent_correct_fsc",
        aliases=("--solvent_flattened_fsc",), kind="bool", default=False, tab="Optimisation",
        label="Use solvent-flattened FSCs", job_variable="do_solvent_fsc",
        help="Correct the FSC of every iteration for the solvent; needs a solvent mask.",
    ),
    Option(
        name="low_resol_join_halves", flag="--low_resol_join_halves",
        aliases=("--join_halves_to",), kind="float", default=-1.0, unit="Å", tab="Optimisation",
        label="Join halves up to", range=Range(0, also=(-1,)),
        help="Keep both halves in one orientation by joining them up to this resolution; "
        "40 is usual, -1 is off.",
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
    ),
    Option(
        name="scale", flag="--scale", negatives=("--no_scale",), kind="bool", default=False,
        tab="Optimisation", label="Intensity-scale correction",
        help="Estimate an intensity scale for each micrograph.",
    ),
    Option(
        name="padding", flag="--pad", aliases=("--padding",), kind="float", default=2.0,
        tab="Optimisation", label="Padding factor", range=Range(1, 8),
        help="Padding of the 3D transforms: 2, or 1 to save memory.",
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
    ),
    Option(
        name="abort_at_resolution", flag="--abort_at_resolution", kind="float", default=-1.0,
        unit="Å", tab="Optimisation", label="Stop at resolution", range=_OFF,
        help="Stop when the resolution becomes better than this.",
    ),
)  # fmt: skip

_SAMPLING = (
    Option(
        name="oversampling", flag="--oversampling", kind="int", default=1, tab="Sampling",
        label="Oversampling order", range=Range(0, 4),
        help="Finer order of the second pass of each search.",
    ),
    Option(
        name="healpix_order", flag="--healpix_order", aliases=("--angular_order",), kind="int",
        default=2, tab="Sampling", label="Initial angular order", range=Range(0, 8),
        help="Coarse angular sampling: 1 is 30, 2 is 15, 3 is 7.5 degrees; half of that with "
        "oversampling 1.",
    ),
    Option(
        name="auto_local_healpix_order", flag="--auto_local_healpix_order",
        aliases=("--local_search_order",), kind="int", default=4, tab="Sampling",
        label="Local searches from order", range=Range(0, 99),
        help="Angular order from which only the surroundings of each pose are searched.",
    ),
    Option(
        name="psi_step", flag="--psi_step", kind="float", default=-1.0, unit="degrees",
        tab="Sampling", label="In-plane step", range=_OFF,
        help="In-plane angular step; -1: like that of the directions.",
    ),
    Option(
        name="limit_tilt", flag="--limit_tilt", kind="float", default=-91.0, unit="degrees",
        tab="Sampling", label="Tilt limit", range=Range(-91, 91),
        help="Only side views (positive) or top views (negative) beyond this tilt; -91: all.",
    ),
    Option(
        name="offset_range_px", flag="--offset_range", kind="float", default=6.0, unit="px",
        tab="Sampling", label="Offset search range", range=Range(0),
        job_variable="offset_range", help="Largest offset from the last position that is tried.",
    ),
    Option(
        name="offset_step_px", flag="--offset_step", kind="float", default=2.0, unit="px",
        tab="Sampling", label="Offset search step", range=_POSITIVE, job_variable="offset_step",
        help="Coarse step of the offsets; halved by oversampling 1.",
    ),
    Option(
        name="offset_sigma", flag="--offset", aliases=("--offset_sigma",), kind="float",
        default=10.0, unit="Å", tab="Sampling", label="Expected offsets", range=_POSITIVE,
        help="Standard deviation of the offsets at the start.",
    ),
    Option(
        name="perturbation_factor", flag="--perturb", aliases=("--perturbation",), kind="float",
        default=0.5, tab="Sampling", label="Random perturbation", range=Range(0, 1),
        help="Random displacement of the grid in each iteration, in steps.",
    ),
    Option(
        name="auto_ignore_angles", flag="--auto_ignore_angles", kind="bool", default=False,
        tab="Sampling", label="Ignore changes in poses",
        help="Refine the sampling although poses still change.",
    ),
    Option(
        name="auto_resol_angles", flag="--auto_resol_angles", kind="bool", default=False,
        tab="Sampling", label="Sampling follows resolution",
        help="Refine the sampling as soon as the resolution calls for it.",
    ),
    Option(
        name="minimum_angular_sampling", flag="--minimum_angular_sampling", kind="float",
        default=0.0, unit="degrees", tab="Sampling", label="Reach angular step", range=Range(0),
        help="Refine the sampling at least to this step.",
    ),
    Option(
        name="maximum_angular_sampling", flag="--maximum_angular_sampling", kind="float",
        default=0.0, unit="degrees", tab="Sampling", label="Stop at angular step", range=Range(0),
        help="Do not refine a sampling that is finer than this.",
    ),
)  # fmt: skip

_EXPERT = (
    Option(
        name="coarse_size_px", flag="--coarse_size", kind="int", default=-1, unit="px",
        tab="Expert", label="Largest coarse size", range=_OFF,
        help="Limit of the image size in the first pass; -1: none.",
    ),
    Option(
        name="adaptive_fraction", flag="--adaptive_fraction", kind="float", default=0.999,
        tab="Expert", label="Fraction of the weights kept", range=Range(0, 1, open_low=True),
        help="Fraction of the probability that goes into the second pass.",
    ),
    Option(
        name="max_significant", flag="--maxsig", aliases=("--max_significant",), kind="int",
        default=-1, tab="Expert", label="Most significant poses", range=_OFF,
        help="Largest number of coarse poses that go into the second pass; -1: all.",
    ),
    Option(
        name="incr_size", flag="--incr_size", kind="int", default=10, unit="shells",
        tab="Expert", label="Shells beyond the resolution", range=Range(1),
        help="Data used beyond the current resolution.",
    ),
    Option(
        name="fix_sigma_noise", flag="--fix_sigma_noise", kind="bool", default=False,
        tab="Expert", label="Keep noise spectra", help="Keep the noise spectra of the start.",
    ),
    Option(
        name="fix_sigma_offset", flag="--fix_sigma_offset", kind="bool", default=False,
        tab="Expert", label="Keep offset prior", help="Keep the width of the offset prior.",
    ),
    Option(
        name="min_sigma2_offset", flag="--min_sigma2_offset", kind="float", default=2.0,
        unit="Å²", tab="Expert", label="Least offset variance", range=Range(0),
        help="Lower bound of the variance of the offsets.",
    ),
    Option(
        name="n_particles_for_noise", flag="--nr_parts_sigma2noise",
        aliases=("--particles_for_noise",), kind="int", default=-1, tab="Expert",
        label="Particles for first noise spectra", range=_OFF,
        help="Particles per optics group that the first noise spectrum is made from; -1: 1000.",
    ),
    Option(
        name="minres_map", flag="--minres_map", kind="int", default=5, unit="shell",
        tab="Expert", label="First regularised shell", range=Range(0),
        help="Shells below this one are not regularised.",
    ),
    Option(
        name="no_map", flag="--no_map", kind="bool", default=False, tab="Expert",
        label="No regularisation", help="Reconstruct without the prior.",
    ),
    Option(
        name="strict_highres_exp", flag="--strict_highres_exp", kind="float", default=-1.0,
        unit="Å", tab="Expert", label="Highest resolution for poses", range=_OFF,
        help="Ignore data beyond this resolution when poses are estimated.",
    ),
    Option(
        name="strict_lowres_exp", flag="--strict_lowres_exp", kind="float", default=-1.0,
        unit="Å", tab="Expert", label="Lowest resolution for poses", range=_OFF,
        help="Ignore the reference below this resolution when poses are estimated.",
    ),
    Option(
        name="skip_normalisation_check", flag="--dont_check_norm", kind="bool", default=False,
        tab="Expert", label="Skip normalisation check",
        help="Do not check the background of the images.",
    ),
    Option(
        name="iterative_gridding", flag="--dont_skip_gridding", aliases=("--iterative_gridding",),
        kind="bool", default=False, tab="Expert", label="Iterative gridding",
        help="Compensate uneven sampling iteratively in the reconstruction.",
    ),
    Option(
        name="gridding_iterations", flag="--gridding_iter", aliases=("--gridding_iterations",),
        kind="int", default=10, tab="Expert", label="Gridding iterations", range=Range(1),
        help="Number of these iterations.",
    ),
    Option(
        name="two_step_scoring", flag="--two_step_scoring", negatives=("--one_step_scoring",),
        kind="bool", default=True, tab="Expert", label="Scoring in two steps",
        help="Score all orientations on the inner rings first, and the likely ones on all rings; "
        "on by default.",
    ),
    Option(
        name="quirk_offset_prior", flag="--quirk_offset_prior", kind="bool", default=False,
        tab="Expert", label="Offset prior in mixed units", hidden=True,
        help="Mix pixels and Å in the prior on offsets, for comparisons with RELION.",
    ),
)  # fmt: skip

RESULT_OPTIONS: tuple[Option, ...] = (
    *_INPUT,
    *_REFERENCE,
    *_CTF,
    *_OPTIMISATION,
    *_SAMPLING,
    *_EXPERT,
)
