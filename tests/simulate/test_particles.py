import dataclasses

import numpy as np
import pytest

from aurefine.geometry.euler import matrix_from_euler
from aurefine.optics.groups import OpticsGroup
from aurefine.simulate.atoms import AtomSet
from aurefine.simulate.particles import ParticleSimulator, noise_power
from aurefine.simulate.projector import AtomProjector
from aurefine.simulate.settings import SimulationSettings
from aurefine.simulate.truth import draw_truth

BOX, PIXEL_SIZE = 48, 3.0
SETTINGS = SimulationSettings(
    n_particles=40,
    particle_diameter=90.0,
    n_micrographs=4,
    snr=0.2,
    micrograph_scale_sd=0.0,
    micrograph_noise_sd=0.0,
)


def optics(number=1, **changes):
    values = {
        "number": number,
        "name": f"opticsGroup{number}",
        "voltage": 300.0,
        "spherical_aberration": 2.7,
        "amplitude_contrast": 0.1,
        "pixel_size": PIXEL_SIZE,
        "box_size": BOX,
        **changes,
    }
    return OpticsGroup(**values)


def simulator(atoms, settings=SETTINGS, groups=None, **truth_changes):
    groups = groups or [optics()]
    truth = draw_truth(settings, [0.0] * len(groups))
    truth = dataclasses.replace(truth, **truth_changes)
    projectors = [
        AtomProjector(
            atoms,
            group.box_size,
            group.pixel_size,
            bfactor=settings.bfactor,
            magnification=group.magnification,
        )
        for group in groups
    ]
    return ParticleSimulator(projectors, groups, settings, truth)


@pytest.fixture(scope="module")
def atoms():
    rng = np.random.default_rng(3)
    return AtomSet.from_arrays(rng.normal(size=(200, 3)) * 12, ["C"] * 200)


@pytest.fixture(scope="module")
def one_atom():
    return AtomSet.from_arrays([[20.0, 9.0, -14.0]], ["C"])


def noise_free(**changes):
    return dataclasses.replace(SETTINGS, snr=0.0, **changes)


def test_a_particle_lies_at_minus_its_offset(one_atom):
    n = SETTINGS.n_particles
    zero_defocus = {"defocus_u": np.zeros(n), "defocus_v": np.zeros(n)}
    phase_plate = {"phase_shift": np.full(n, 84.0), **zero_defocus}  # contrast near 1
    made = simulator(one_atom, noise_free(), **phase_plate)
    truth = made._truth
    for particle in range(4):
        image = made.image(particle)
        y, x = np.unravel_index(image.argmax(), image.shape)
        matrix = matrix_from_euler(truth.rot[particle], truth.tilt[particle], truth.psi[particle])
        place = matrix @ one_atom.coordinates[0]
        expected_x = BOX // 2 + (place[0] - truth.offset_x[particle]) / PIXEL_SIZE
        expected_y = BOX // 2 + (place[1] - truth.offset_y[particle]) / PIXEL_SIZE
        assert abs(x - expected_x) <= 0.51
        assert abs(y - expected_y) <= 0.51


def test_protein_is_bright(atoms):
    assert np.fft.fft2(simulator(atoms, noise_free()).image(0))[0, 0].real > 0


def test_images_are_normalised_in_the_background(atoms):
    images = next(simulator(atoms).images(np.arange(8)))
    axis = np.arange(BOX) - BOX // 2
    background = axis[:, None] ** 2 + axis**2 > 15**2
    np.testing.assert_allclose(images[:, background].mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(images[:, background].std(axis=1), 1, atol=1e-5)


def test_signal_has_the_variance_asked_for(atoms):
    with_noise = simulator(atoms, dataclasses.replace(SETTINGS, shift=0.0))
    silent = simulator(atoms, noise_free(shift=0.0))
    variances = [silent.image(i).var() for i in range(SETTINGS.n_particles)]
    scale = with_noise.amplitude / silent.amplitude
    assert scale**2 * np.mean(variances) == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("structural", [0.0, 0.5])
def test_noise_has_unit_variance_and_its_spectrum(atoms, structural):
    settings = dataclasses.replace(SETTINGS, snr=1e-8, structural_noise=structural)
    made = simulator(atoms, settings)
    images = np.stack([made.image(i) for i in range(settings.n_particles)])
    assert images.var() == pytest.approx(1.0, rel=0.03)
    if structural == 0.0:
        axis = np.fft.fftfreq(BOX, PIXEL_SIZE)
        frequency = np.hypot(axis[:, None], axis)
        measured = (np.abs(np.fft.fft2(images)) ** 2).mean(axis=0)
        expected = noise_power(frequency, settings)
        low, high = frequency < 0.02, frequency > 0.1
        # 13 independent coefficients of 40 images: relative error of the ratio 5 %
        assert (measured[low].mean() / measured[high].mean()) == pytest.approx(
            expected[low].mean() / expected[high].mean(), rel=0.2
        )


def test_images_do_not_depend_on_threads_or_order(atoms):
    made = simulator(atoms)
    serial = np.concatenate(list(made.images(np.arange(20))))
    parallel = np.concatenate(list(made.images(np.arange(20)[::-1], n_threads=3)))[::-1]
    np.testing.assert_array_equal(serial, parallel)


def test_beam_tilt_is_undone_by_the_correction_of_the_refinement(atoms):
    from aurefine.optics.aberrations import antisymmetric_phase

    tilted_group = optics(beam_tilt_x=8.0, beam_tilt_y=-3.0, odd_zernike=(0.0, 2.0, 0.0, 100.0))
    plain = simulator(atoms, noise_free()).image(3)
    tilted = simulator(atoms, noise_free(), [tilted_group]).image(3)
    sy, sx = np.meshgrid(
        np.fft.fftfreq(BOX, PIXEL_SIZE), np.fft.rfftfreq(BOX, PIXEL_SIZE), indexing="ij"
    )
    corrected = np.fft.rfft2(tilted) * np.exp(-1j * antisymmetric_phase(tilted_group, sx, sy))
    assert np.abs(tilted - plain).max() > 0.1 * plain.std()
    np.testing.assert_allclose(
        np.fft.irfft2(corrected, s=(BOX, BOX)), plain, atol=1e-4 * plain.std()
    )


def test_premultiplied_images_have_a_squared_ctf(atoms):
    plain = np.fft.rfft2(simulator(atoms, noise_free()).image(5))
    made = simulator(atoms, noise_free(), [optics(is_premultiplied=True)])
    multiplied = np.fft.rfft2(made.image(5))
    scale = simulator(atoms, noise_free()).amplitude / made.amplitude
    np.testing.assert_allclose(
        multiplied * scale, plain * made._ctf_of(5), atol=1e-4 * np.abs(plain).max()
    )


def test_a_group_with_other_pixels_shows_the_same_particle(atoms):
    fine = optics(2, box_size=72, pixel_size=2.0)  # the same field of view
    settings = noise_free(n_micrographs=1)
    coarse_image = simulator(atoms, settings).image(0)
    truth_group = {"optics_group": np.ones(SETTINGS.n_particles, dtype=np.int64)}
    truth_group["optics_group"][1:] = 0
    made = simulator(atoms, settings, [optics(), fine], **truth_group)
    fine_transform = np.fft.rfft2(made.image(0))
    coarse_transform = np.fft.rfft2(coarse_image)
    ratio = fine_transform[5, 3] / coarse_transform[5, 3]
    assert abs(ratio.imag / ratio.real) < 1e-3
    assert abs(np.angle(fine_transform[-4, 6] / coarse_transform[-4, 6])) < 1e-3
