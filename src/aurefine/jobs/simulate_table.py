"""Option table of *simulate*."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aurefine.jobs.options import Option, Range

__all__ = ["PRESETS", "SIMULATE_OPTIONS"]

_POSITIVE = Range(0, open_low=True)
_NOT_NEGATIVE = Range(0)
_FRACTION = Range(0, 1)

_INPUT = (
    Option(
        name="preset", flag="--preset", kind="choice", choices=("none", "demo"), default="none",
        tab="Input", label="Preset",
        help="demo: 400 particles of beta-galactosidase (PDB 5A1A, D2), box 64; other options "
        "change it.",
    ),
    Option(
        name="atoms", flag="--atoms", kind="path", default="", tab="Input", label="Atom set",
        help=".npz with coords [Å], element and sym, or .pdb. Give this or --map.",
    ),
    Option(
        name="map", flag="--map", kind="path", default="", tab="Input", label="Map",
        help="MRC map to project instead of atoms.",
    ),
    Option(
        name="map_pixel_size", flag="--map_angpix", kind="float", default=-1.0, unit="Å",
        tab="Input", label="Pixel size of the map", range=Range(0, open_low=True, also=(-1,)),
        help="If its header is wrong.",
    ),
    Option(
        name="output", flag="--o", aliases=("--output",), kind="path", required=True,
        tab="Input", label="Output folder",
        help="Folder for particles.star, particles.mrcs, truth.star, true_map.mrc, "
        "reference.mrc and simulation.json.",
    ),
    Option(
        name="n_particles", flag="--n_particles", aliases=("--particles",), kind="int",
        default=1000, tab="Input", label="Number of particles", range=Range(1), help="In all.",
    ),
    Option(
        name="particle_diameter", flag="--particle_diameter", kind="float", default=-1.0,
        unit="Å", tab="Input", label="Particle diameter", range=Range(0, open_low=True, also=(-1,)),
        help="Outside this circle is background; default: from the atoms, or 0.8 boxes for a map.",
    ),
    Option(
        name="random_seed", flag="--random_seed", kind="int", default=1, tab="Input",
        label="Random seed", range=_NOT_NEGATIVE, help="Same seed, same data.",
    ),
    Option(
        name="n_threads", flag="--j", aliases=("--threads",), kind="int", default=1, tab="Input",
        label="Number of threads", range=Range(1), help="Does not change the result.",
    ),
)  # fmt: skip

_OPTICS = (
    Option(
        name="box", flag="--box", kind="str", default="64", unit="px", tab="Optics groups",
        label="Box size",
        help="Even. This and the other options of this section take one value, or one for each "
        "optics group, separated by commas.",
    ),
    Option(
        name="pixel_size", flag="--angpix", aliases=("--pixel_size",), kind="str", default="3.54",
        unit="Å", tab="Optics groups", label="Pixel size", help="Of the images.",
    ),
    Option(
        name="voltage", flag="--voltage", aliases=("--kV", "--HT"), kind="str", default="300",
        unit="kV", tab="Optics groups", label="Voltage", help="Acceleration voltage.",
    ),
    Option(
        name="spherical_aberration", flag="--cs", aliases=("--Cs", "--CS"), kind="str",
        default="2.7", unit="mm", tab="Optics groups", label="Spherical aberration",
        help="Of the objective lens.",
    ),
    Option(
        name="amplitude_contrast", flag="--Q0", aliases=("--amplitude_contrast", "--AmpCnst"),
        kind="str", default="0.1", tab="Optics groups", label="Amplitude contrast",
        help="Fraction, 0 to 1.",
    ),
    Option(
        name="phase_shift", flag="--phase_shift", kind="str", default="0", unit="degrees",
        tab="Optics groups", label="Phase shift", help="Of a phase plate.",
    ),
    Option(
        name="beam_tilt_x", flag="--beamtilt_x", kind="str", default="0", unit="mrad",
        tab="Optics groups", label="Beam tilt x", help="Beam tilt along x.",
    ),
    Option(
        name="beam_tilt_y", flag="--beamtilt_y", kind="str", default="0", unit="mrad",
        tab="Optics groups", label="Beam tilt y", help="Beam tilt along y.",
    ),
    Option(
        name="odd_zernike", flag="--odd_zernike", kind="str", default="", tab="Optics groups",
        label="Odd Zernike coefficients",
        help="List such as [0,0.5,0]; groups are separated by ';' here.",
    ),
    Option(
        name="even_zernike", flag="--even_zernike", kind="str", default="", tab="Optics groups",
        label="Even Zernike coefficients", help="As the odd ones.",
    ),
    Option(
        name="magnification", flag="--mag_mat", kind="str", default="", tab="Optics groups",
        label="Magnification matrix",
        help="Anisotropic magnification [m00,m01,m10,m11]; groups are separated by ';'.",
    ),
    Option(
        name="premultiplied", flag="--premultiply_ctf", kind="str", default="0",
        tab="Optics groups", label="Premultiplied by the CTF", help="0 or 1.",
    ),
)  # fmt: skip

_CTF = (
    Option(
        name="n_micrographs", flag="--n_micrographs", aliases=("--micrographs",), kind="int",
        default=10, tab="Micrographs", label="Number of micrographs", range=Range(1),
        help="They belong to the optics groups in turn.",
    ),
    Option(
        name="defocus_min", flag="--defocus_min", kind="float", default=5000.0, unit="Å",
        tab="Micrographs", label="Lowest defocus", help="Underfocus is positive.",
    ),
    Option(
        name="defocus_max", flag="--defocus_max", kind="float", default=25000.0, unit="Å",
        tab="Micrographs", label="Highest defocus", help="Of micrographs.",
    ),
    Option(
        name="defocus_spread", flag="--defocus_spread", kind="float", default=200.0, unit="Å",
        tab="Micrographs", label="Defocus spread", range=_NOT_NEGATIVE,
        help="Standard deviation of particles about their micrograph.",
    ),
    Option(
        name="astigmatism", flag="--astigmatism", kind="float", default=300.0, unit="Å",
        tab="Micrographs", label="Astigmatism", range=_NOT_NEGATIVE,
        help="Standard deviation of the defocus difference.",
    ),
    Option(
        name="micrograph_scale_sd", flag="--scale_spread", kind="float", default=0.05,
        tab="Micrographs", label="Spread of intensity", range=_FRACTION,
        help="Relative, between micrographs.",
    ),
    Option(
        name="micrograph_noise_sd", flag="--noise_spread", kind="float", default=0.03,
        tab="Micrographs", label="Spread of noise", range=_FRACTION,
        help="Relative, between micrographs.",
    ),
)  # fmt: skip

_POSES = (
    Option(
        name="shift", flag="--shift", kind="float", default=8.0, unit="Å", tab="Poses",
        label="Offsets", range=_NOT_NEGATIVE,
        help="Standard deviation, or half the range of uniform offsets.",
    ),
    Option(
        name="uniform_shifts", flag="--uniform_shifts", kind="bool", default=False, tab="Poses",
        label="Uniform offsets", help="Uniform in a square instead of Gaussian.",
    ),
    Option(
        name="view_axes", flag="--view_axes", kind="str", default="", tab="Poses",
        label="Preferred views",
        help="Directions such as '0,0,1;1,0,0' that particles prefer; empty: uniform views.",
    ),
    Option(
        name="view_fraction", flag="--view_fraction", kind="float", default=0.8, tab="Poses",
        label="Fraction with preferred views", range=_FRACTION, help="The others are uniform.",
    ),
    Option(
        name="view_concentration", flag="--view_kappa", kind="float", default=10.0, tab="Poses",
        label="Concentration of preferred views", range=_NOT_NEGATIVE,
        help="Kappa of the von Mises-Fisher distribution; the spread is 57/sqrt(kappa) degrees.",
    ),
)  # fmt: skip

_SIGNAL = (
    Option(
        name="snr", flag="--snr", kind="float", default=0.05, tab="Signal and noise",
        label="Signal-to-noise ratio", range=Range(0),
        help="Variance of the CTF-multiplied projection over that of the noise, in the box; "
        "0: no noise.",
    ),
    Option(
        name="bfactor", flag="--bfactor", kind="float", default=100.0, unit="Å²",
        tab="Signal and noise", label="B-factor", range=_NOT_NEGATIVE,
        help="Envelope of the signal. For a map: on top of what it has.",
    ),
    Option(
        name="structural_noise", flag="--structural_noise", kind="float", default=0.1,
        tab="Signal and noise", label="Structural noise", range=_FRACTION,
        help="Fraction of the noise variance that has passed the CTF.",
    ),
    Option(
        name="noise_lowfreq", flag="--noise_lowfreq", kind="float", default=2.0,
        tab="Signal and noise", label="Low-frequency noise", range=_NOT_NEGATIVE,
        help="Additional power at zero frequency, relative to the white noise.",
    ),
    Option(
        name="noise_lowfreq_resolution", flag="--noise_lowfreq_res", kind="float", default=40.0,
        unit="Å", tab="Signal and noise", label="Range of low-frequency noise", range=_POSITIVE,
        help="Resolution at which it has fallen to a quarter.",
    ),
)  # fmt: skip

_REFERENCE = (
    Option(
        name="reference_lowpass", flag="--ini_high", aliases=("--reference_lowpass",),
        kind="float", default=50.0, unit="Å", tab="Reference", label="Low-pass of reference.mrc",
        range=_POSITIVE, help="Starting map for a refinement.",
    ),
    Option(
        name="reference_scale", flag="--reference_scale", kind="float", default=1.0,
        tab="Reference", label="Greyscale factor of the reference", range=_POSITIVE,
        help="1: on the absolute greyscale of the particles.",
    ),
    Option(
        name="reference_offset", flag="--reference_offset", kind="float", default=0.0,
        tab="Reference", label="Offset of the reference", help="Added after the factor.",
    ),
)  # fmt: skip

SIMULATE_OPTIONS: tuple[Option, ...] = (*_INPUT, *_OPTICS, *_CTF, *_POSES, *_SIGNAL, *_REFERENCE)

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": MappingProxyType({}),
        "demo": MappingProxyType(
            {
                "n_particles": 400,
                "n_micrographs": 8,
                "voltage": "300,200",
                "snr": 0.1,
                "bfactor": 120.0,
                "reference_scale": 3.0,
                "reference_offset": 0.02,
                "random_seed": 2024,
            }
        ),
    }
)
