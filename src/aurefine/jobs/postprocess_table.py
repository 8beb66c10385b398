"""Option table of *Post-processing*."""

from __future__ import annotations

from collections.abc import Mapping

from aurefine.jobs.options import Form, Option, Range

__all__ = ["POSTPROCESS_OPTIONS"]

_OFF = Range(0, also=(-1,))
_NOT_NEGATIVE = Range(0)


def mtf_pixel_size(values: Mapping[str, str]) -> list[str]:
    """Give the pixel size of the detector only together with its MTF."""
    return ["--mtf_angpix", values["mtf_angpix"]] if values["fn_mtf"].strip() else []


_INPUT = (
    Option(
        name="half_map", flag="--i", aliases=("--half_map",), kind="path", required=True,
        tab="Input", label="One of the 2 unfiltered half-maps",
        help="One half map; the other one has half2 for half1 (or the reverse) in its name.",
        form=Form(
            key="fn_in", tab="I/O", label="One of the 2 unfiltered half-maps:", default="",
            nodes=("halfmap",), pattern="*half*.mrc", is_required=True,
        ),
    ),
    Option(
        name="second_half_map", flag="--i2", aliases=("--second_half_map",), kind="path",
        default="", tab="Input", label="The other half map", help="The other half map.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", default="postprocess",
        tab="Input", label="Output root name", help="Beginning of all output names.",
        in_form=False,
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="float", default=-1.0,
        unit="Å", tab="Input", label="Calibrated pixel size", range=_OFF,
        help="Pixel size of the maps; by default that of the header.",
        form=Form(
            key="angpix", tab="I/O", label="Calibrated pixel size (A)", default="-1",
            slider=(0.3, 5, 0.1), continues="both",
        ),
    ),
    Option(
        name="mask", flag="--mask", kind="path", default="", tab="Input", label="Solvent mask",
        help="Mask with values from 0 to 1.",
        form=Form(
            key="fn_mask", tab="I/O", label="Solvent mask:", nodes=("mask",), pattern="*.mrc",
            is_required=True,
        ),
    ),
    Option(
        name="force_mask", flag="--force_mask", kind="bool", default=False, tab="Input",
        label="Keep the mask",
        help="Use the masked FSC even if the resolution is better without the mask.",
    ),
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1, tab="Input",
        label="Threads", range=Range(1), help="Threads for Fourier transforms.",
    ),
    Option(
        name="verbosity", flag="--verb", kind="int", default=1, tab="Input", label="Verbosity",
        range=_NOT_NEGATIVE, help="0 prints nothing.",
        in_form=False,
    ),
    Option(
        name="pipeline_control", flag="--pipeline_control", kind="str", default="", tab="Input",
        label="Job directory", hidden=True, help="Job directory for the marker files.",
        in_form=False,
    ),
)  # fmt: skip

_SHARPEN = (
    Option(
        name="auto_bfactor", flag="--auto_bfac", aliases=("--auto_bfactor",), kind="bool",
        default=False, tab="Sharpen", label="Estimate B-factor automatically",
        help="Find the B-factor from the Guinier plot.",
        form=Form(
            key="do_auto_bfac", label="Estimate B-factor automatically?", default="Yes",
            continues="both",
        ),
    ),
    Option(
        name="fit_low", flag="--autob_lowres", kind="float", default=10.0, unit="Å",
        tab="Sharpen", label="Lowest resolution for auto-B fit", range=_NOT_NEGATIVE,
        help="Low-resolution limit of the fit.",
        form=Form(
            key="autob_lowres", label="Lowest resolution for auto-B fit (A):", default="10",
            slider=(8, 15, 0.5), needs="do_auto_bfac", continues="both",
        ),
    ),
    Option(
        name="fit_high", flag="--autob_highres", kind="float", default=0.0, unit="Å",
        tab="Sharpen", label="Highest resolution for auto-B fit", range=_NOT_NEGATIVE,
        help="High-resolution limit of the fit; 0 is Nyquist.",
    ),
    Option(
        name="bfactor", flag="--adhoc_bfac", aliases=("--bfactor",), kind="float", default=0.0,
        unit="Å^2", tab="Sharpen", label="User-provided B-factor",
        help="B-factor to apply; negative values sharpen.",
        form=Form(
            key="adhoc_bfac", label="User-provided B-factor:", default="-1000",
            slider=(-2000, 0, -50), needs="do_adhoc_bfac", continues="both",
        ),
    ),
    Option(
        name="mtf", flag="--mtf", kind="path", default="", tab="Sharpen",
        label="MTF of the detector",
        help="STAR file with the modulation transfer function of the detector.",
        form=Form(
            key="fn_mtf", label="MTF of the detector (STAR file)", pattern="*.star",
            continues="both",
        ),
    ),
    Option(
        name="mtf_pixel_size", flag="--mtf_angpix", kind="float", default=-1.0, unit="Å",
        tab="Sharpen", label="Original detector pixel size", range=_OFF,
        help="Pixel size of the movies, to which the MTF refers.",
        form=Form(
            key="mtf_angpix", label="Original detector pixel size:", default="1",
            slider=(0.3, 2, 0.1), continues="both", argument=mtf_pixel_size,
        ),
    ),
    Option(
        name="skip_fsc_weighting", flag="--skip_fsc_weighting", kind="bool", default=False,
        tab="Sharpen", label="Skip FSC-weighting",
        help="Do not weight the map by its FSC.",
        form=Form(key="do_skip_fsc_weighting", label="Skip FSC-weighting?", continues="both"),
    ),
    Option(
        name="lowpass", flag="--low_pass", aliases=("--lowpass",), kind="float", default=0.0,
        unit="Å", tab="Sharpen", label="Ad-hoc low-pass filter",
        help="Low-pass filter at the end; 0 is off, negative is at the final resolution.",
        form=Form(
            key="low_pass", label="Ad-hoc low-pass filter (A):", default="5", slider=(1, 40, 1),
            needs="do_skip_fsc_weighting", continues="both",
        ),
    ),
    Option(
        name="filter_edge", flag="--filter_edge_width", kind="int", default=2, tab="Sharpen",
        label="Filter edge", range=_NOT_NEGATIVE,
        help="Width of the filter edge in Fourier shells.",
    ),
    Option(
        name="half_maps", flag="--half_maps", kind="bool", default=False, tab="Sharpen",
        label="Sharpen half maps", help="Write both half maps, sharpened like their sum, too.",
    ),
)  # fmt: skip

_FSC = (
    Option(
        name="randomise_below", flag="--randomize_at_fsc", kind="float", default=0.8, tab="FSC",
        label="Randomise below", range=Range(0, 1),
        help="Randomise phases from the first shell with an unmasked FSC below this value.",
    ),
    Option(
        name="randomise_at", flag="--randomize_at_A", kind="float", default=-1.0, unit="Å",
        tab="FSC", label="Randomise at", range=_OFF,
        help="Randomise phases from this resolution instead.",
    ),
    Option(
        name="molecular_weight", flag="--molweight", kind="float", default=-1.0, unit="kDa",
        tab="FSC", label="Molecular weight", range=_OFF,
        help="Add an FSC that is corrected for the solvent by this molecular weight.",
    ),
    Option(
        name="random_seed", flag="--random_seed", kind="int", default=0, tab="FSC",
        label="Random seed", help="Seed of the random phases; negative: another one each time.",
    ),
)  # fmt: skip

_LOCAL = "local resolution is not available here; use RELION's post-processing."
_EXPERT = "it is rarely used and not available here; use RELION's post-processing."
_REFUSED = (
    ("--auto_mask", "make a mask first ('aurefine mask') and give it with --mask."),
    ("--locres*", _LOCAL),
    ("--ampl_corr", _EXPERT),
    ("--interpolate", _EXPERT),
    ("--inimask_threshold", "make a mask first ('aurefine mask') and give it with --mask."),
    ("--extend_inimask", "make a mask first ('aurefine mask') and give it with --mask."),
    ("--width_mask_edge", "make a mask first ('aurefine mask') and give it with --mask."),
)

_ONLY_IN_FORM = (
    Option(
        name="do_adhoc_bfac", label="Use your own B-factor?", kind="bool", default=False,
        tab="Sharpen", status="form", form=Form(key="do_adhoc_bfac", continues="both"),
        help="Sharpen by the B-factor below instead of an estimated one.",
    ),
)  # fmt: skip

POSTPROCESS_OPTIONS: tuple[Option, ...] = (
    *_INPUT,
    *_SHARPEN,
    *_FSC,
    *_ONLY_IN_FORM,
    *(
        Option(
            name=f"refused_{flag.strip('-*')}",
            flag=flag,
            label=flag,
            kind="str",
            status="refused",
            note=note,
        )
        for flag, note in _REFUSED
    ),
)
