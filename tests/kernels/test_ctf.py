from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from aurefine.kernels.ctf import ctf_values, evaluate_ctf
from aurefine.optics import ctf as specification
from aurefine.optics.aberrations import symmetric_phase

FLAGS = [{}, {"intact_first_peak": True}, {"phase_flipped": True}, {"only_flip_phases": True}]


@pytest.fixture
def group(optics_group):
    """Function (changes) -> OpticsGroup of another microscope than that of the other tests."""
    return partial(optics_group, voltage=200.0, spherical_aberration=2.1, amplitude_contrast=0.07)


def particles(n, seed=0):
    rng = np.random.default_rng(seed)
    defocus = rng.uniform(2000, 40000, n)
    return specification.CtfParameters(
        defocus_u=defocus,
        defocus_v=defocus - rng.uniform(0, 2000, n),
        defocus_angle=rng.uniform(0, 180, n),
        bfactor=np.where(np.arange(n) % 2, 60.0, 0.0),
        scale=rng.uniform(0.5, 1.5, n),
        phase_shift=rng.uniform(0, 120, n),
    )


def half_plane(n, pixel_size=1.0):
    y, x = np.meshgrid(np.fft.fftfreq(n, pixel_size), np.fft.rfftfreq(n, pixel_size), indexing="ij")
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("n", [10, 33])
def test_compiled_ctf_equals_its_specification(flags, n, group):
    optics = group(
        even_zernike=(0.1, 0.2, -3.0, 4.0), magnification=np.array([[1.01, 0.02], [-0.03, 0.98]])
    )
    x, y = half_plane(n)
    np.testing.assert_allclose(
        ctf_values(optics, particles(9), x, y, **flags),
        specification.ctf_values(optics, particles(9), x, y, **flags),
        atol=1e-5,
    )


@pytest.mark.parametrize("scale", [0.0, -1e-12, 1e-12])
def test_compiled_ctf_is_never_closer_to_zero_than_the_guard(scale, group):
    x, y = half_plane(10)
    parameters = particles(1)
    flat = specification.CtfParameters(
        parameters.defocus_u,
        parameters.defocus_v,
        parameters.defocus_angle,
        parameters.bfactor,
        np.array([scale]),
        parameters.phase_shift,
    )
    np.testing.assert_allclose(np.abs(ctf_values(group(), flat, x, y)), 1e-8, rtol=1e-6)


def test_no_particles_give_an_empty_result(group):
    x, y = half_plane(10)
    assert ctf_values(group(), particles(0), x, y).shape == (0, len(x))


def test_threads_give_the_same_bits(group):
    optics, parameters = group(), particles(40)
    x, y = half_plane(32)
    whole = ctf_values(optics, parameters, x, y)
    out = np.empty_like(whole)

    def fill(part):
        some = parameters.take(part)
        evaluate_ctf(
            out[part],
            specification.phase_coefficients(optics, some),
            some.bfactor,
            some.scale,
            x,
            y,
            symmetric_phase(optics, x, y),
            False,
            False,
            False,
        )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, [slice(0, 13), slice(13, 40)]))
    np.testing.assert_array_equal(out, whole)
