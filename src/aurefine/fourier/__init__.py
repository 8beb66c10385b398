"""Transforms, crop and pad, shells, filters and the Fourier shell correlation."""

from aurefine.fourier.filters import apply_bfactor, highpass_filter, lowpass_filter
from aurefine.fourier.fsc import (
    correct_fsc,
    first_shell_below,
    fourier_shell_correlation,
    fsc_of_maps,
    last_shell_above,
    phase_randomise,
    resolution_at,
    solvent_corrected_fsc,
)
from aurefine.fourier.resize import (
    fourier_resize_images,
    fourier_resize_map,
    window_images,
    window_map,
)
from aurefine.fourier.shells import (
    hermitian_weight,
    radius_squared,
    ring_index,
    shell_index,
    sum_by_shell,
)
from aurefine.fourier.transforms import (
    centred_irfft_images,
    centred_irfft_map,
    centred_rfft_images,
    centred_rfft_map,
    irfft_images,
    irfft_map,
    rfft_images,
    rfft_map,
)

__all__ = [
    "apply_bfactor",
    "centred_irfft_images",
    "centred_irfft_map",
    "centred_rfft_images",
    "centred_rfft_map",
    "correct_fsc",
    "first_shell_below",
    "fourier_resize_images",
    "fourier_resize_map",
    "fourier_shell_correlation",
    "fsc_of_maps",
    "hermitian_weight",
    "highpass_filter",
    "irfft_images",
    "irfft_map",
    "last_shell_above",
    "lowpass_filter",
    "phase_randomise",
    "radius_squared",
    "resolution_at",
    "rfft_images",
    "rfft_map",
    "ring_index",
    "shell_index",
    "solvent_corrected_fsc",
    "sum_by_shell",
    "window_images",
    "window_map",
]
