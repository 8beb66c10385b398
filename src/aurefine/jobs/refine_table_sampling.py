"""Option table of *3D auto-refine*: sampling of poses, and settings for experts."""

from __future__ import annotations

from aurefine.jobs.options import Form, Option, Range
from aurefine.jobs.refine_forms import ANGLES, angular_order, finer_faster, offset_step

__all__ = ["EXPERT_OPTIONS", "SAMPLING_OPTIONS"]

_OFF = Range(0, open_low=True, also=(-1,))  # a length, or -1 for "off"
_POSITIVE = Range(0, open_low=True)

SAMPLING_OPTIONS: tuple[Option, ...] = (
    Option(
        name="oversampling", flag="--oversampling", kind="int", default=1, tab="Sampling",
        label="Oversampling order", range=Range(0, 4),
        help="Finer order of the second pass of each search.",
        in_form=False,
    ),
    Option(
        name="healpix_order", flag="--healpix_order", aliases=("--angular_order",), kind="int",
        default=2, tab="Sampling", label="Initial angular order", range=Range(0, 8),
        help="Coarse angular sampling: 1 is 30, 2 is 15, 3 is 7.5 degrees; half of that with "
        "oversampling 1.",
        form=Form(
            key="sampling", tab="Auto-sampling", label="Initial angular sampling:", kind="choice",
            default="7.5 degrees", choices=ANGLES,
            help="Step of the angles in the first iterations; it becomes finer by itself.",
            argument=angular_order("sampling", "--healpix_order"),
        ),
    ),
    Option(
        name="auto_local_healpix_order", flag="--auto_local_healpix_order",
        aliases=("--local_search_order",), kind="int", default=4, tab="Sampling",
        label="Local searches from order", range=Range(0, 99),
        help="Angular order from which only the surroundings of each pose are searched.",
        form=Form(
            key="auto_local_sampling", tab="Auto-sampling",
            label="Local searches from auto-sampling:", kind="choice", default="1.8 degrees",
            choices=ANGLES,
            help="From this step on only the surroundings of each pose are searched.",
            argument=angular_order("auto_local_sampling", "--auto_local_healpix_order"),
        ),
    ),
    Option(
        name="sigma_angle", flag="--sigma_ang", aliases=("--sigma_angle",), kind="float",
        default=-1.0, unit="degrees", tab="Sampling", label="Width of local searches",
        range=_OFF,
        help="Search from the start only around the pose of each particle (its prior angles if "
        "the file has them), up to three times this standard deviation; -1: off.",
    ),
    Option(
        name="relax_symmetry", flag="--relax_sym", kind="str", default="", tab="Sampling",
        label="Relax symmetry", value_optional=True,
        help="Pseudo-symmetry, e.g. C4: search around the pose of each particle and around its "
        "symmetry mates; the map itself has the symmetry --sym.",
        form=Form(key="relax_sym", tab="Auto-sampling", label="Relax symmetry:", continues="both"),
    ),
    Option(
        name="skip_align", flag="--skip_align", kind="bool", default=False, tab="Sampling",
        label="Keep all poses", help="Keep orientations and offsets as they are in the file.",
    ),
    Option(
        name="skip_rotate", flag="--skip_rotate", kind="bool", default=False, tab="Sampling",
        label="Keep orientations", help="Search offsets only.",
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
        help="Largest offset from the last position that is tried.",
        form=Form(
            key="offset_range", tab="Auto-sampling", label="Initial offset range (pix):",
            default="5", slider=(0, 30, 1),
        ),
    ),
    Option(
        name="offset_step_px", flag="--offset_step", kind="float", default=2.0, unit="px",
        tab="Sampling", label="Offset search step", range=_POSITIVE,
        help="Coarse step of the offsets; halved by oversampling 1.",
        form=Form(
            help="Step of the offsets in the first iterations; it becomes finer by itself.",
            key="offset_step", tab="Auto-sampling", label="Initial offset step (pix):", default="1",
            slider=(0.1, 5, 0.1), argument=offset_step,
        ),
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
        form=Form(
            help="Refine the sampling as soon as the resolution calls for it, although poses still "
            "change: faster, and often as good.",
            key="auto_faster", tab="Auto-sampling", label="Use finer angular sampling faster?",
            continues="both", argument=finer_faster,
        ),
    ),
    Option(
        name="auto_resol_angles", flag="--auto_resol_angles", kind="bool", default=False,
        tab="Sampling", label="Sampling follows resolution",
        help="Refine the sampling as soon as the resolution calls for it.",
        in_form=False,
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

EXPERT_OPTIONS: tuple[Option, ...] = (
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
        form=Form(
            key="skip_gridding", tab="Compute", label="Skip gridding?", default="Yes",
            version="3.1", writes="no", continues="both",
        ),
    ),
    Option(
        name="gridding_iterations", flag="--gridding_iter", aliases=("--gridding_iterations",),
        kind="int", default=10, tab="Expert", label="Gridding iterations", range=Range(1),
        help="Number of these iterations.",
    ),
    Option(
        name="two_step_scoring", flag="--two_step_scoring", negatives=("--one_step_scoring",),
        kind="bool", default=True, tab="Expert", label="Scoring in steps",
        help="Score all orientations on the inner rings first, and the likely ones on all rings, "
        "in local searches in seven steps; on by default.",
    ),
    Option(
        name="quirk_offset_prior", flag="--quirk_offset_prior", kind="bool", default=False,
        tab="Expert", label="Offset prior in mixed units", hidden=True,
        help="Mix pixels and Å in the prior on offsets, for comparisons with RELION.",
    ),
    Option(
        name="quirk_whole_pixels", flag="--quirk_whole_pixels", kind="bool", default=False,
        tab="Expert", label="Old offsets in whole pixels", hidden=True,
        help="Search offsets around the last ones rounded to whole pixels in local searches, too, "
        "for comparisons with RELION.",
    ),
)  # fmt: skip
