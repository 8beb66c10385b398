import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurefine.errors import StarError
from aurefine.optics.ctf import (
    CtfParameters,
    check_ctf_columns,
    ctf_values,
    electron_wavelength,
)


def particle(**columns):
    return CtfParameters.from_table(pd.DataFrame({key: [value] for key, value in columns.items()}))


def one_value(optics, parameters, x, y, **flags):
    return float(ctf_values(optics, parameters, [x], [y], **flags)[0, 0])


@pytest.mark.parametrize("voltage, wavelength", [(100, 0.0370), (200, 0.02508), (300, 0.01969)])
def test_wavelengths_are_those_of_the_textbooks(voltage, wavelength):
    assert electron_wavelength(voltage) == pytest.approx(wavelength, rel=1e-3)


def test_ctf_at_zero_frequency_is_the_amplitude_contrast(optics_group):
    assert one_value(optics_group(), particle(rlnDefocusU=15000.0), 0, 0) == pytest.approx(0.1)


def test_ctf_is_positive_at_low_resolution_in_underfocus(optics_group):
    assert one_value(optics_group(), particle(rlnDefocusU=15000.0), 0.01, 0) > 0.1


@settings(deadline=None)
@given(st.floats(3000, 40000), st.floats(0.0, 0.4))
def test_ctf_follows_the_formula_without_astigmatism(optics_group, defocus, s):
    wavelength = electron_wavelength(300)
    chi = np.pi * wavelength * defocus * s**2 - np.pi / 2 * 2.7e7 * wavelength**3 * s**4
    expected = np.sin(chi + np.arctan(0.1 / np.sqrt(1 - 0.01)))
    found = one_value(optics_group(), particle(rlnDefocusU=defocus), 0.6 * s, 0.8 * s)
    assert found == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_defocus_u_acts_along_the_defocus_angle(angle, optics_group):
    astigmatic = particle(rlnDefocusU=20000.0, rlnDefocusV=12000.0, rlnDefocusAngle=float(angle))
    x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along = one_value(optics_group(), astigmatic, 0.05 * x, 0.05 * y)
    across = one_value(optics_group(), astigmatic, -0.05 * y, 0.05 * x)
    assert along == pytest.approx(one_value(optics_group(), particle(rlnDefocusU=20000.0), 0.05, 0))
    assert across == pytest.approx(
        one_value(optics_group(), particle(rlnDefocusU=12000.0), 0.05, 0)
    )


def test_missing_columns_get_their_defaults():
    parameters = CtfParameters.from_table(pd.DataFrame({"rlnDefocusU": [1.0, 2.0]}))
    np.testing.assert_array_equal(parameters.defocus_v, [1, 2])
    np.testing.assert_array_equal(parameters.scale, 1)
    for name in ("defocus_angle", "bfactor", "phase_shift"):
        np.testing.assert_array_equal(getattr(parameters, name), 0)


def test_particles_can_be_taken_by_index_mask_or_slice():
    parameters = CtfParameters.from_table(pd.DataFrame({"rlnDefocusU": [1.0, 2.0, 3.0]}))
    assert parameters.take([2, 0]).defocus_u.tolist() == [3, 1]
    assert parameters.take(slice(1, 3)).defocus_v.tolist() == [2, 3]
    assert len(parameters.take(np.array([True, False, False]))) == 1


def test_a_value_that_is_not_finite_is_an_error_naming_row_and_column():
    table = pd.DataFrame({"rlnDefocusU": [1.0, np.nan]})
    with pytest.raises(StarError, match=r"p\.star.*row 2.*rlnDefocusU"):
        CtfParameters.from_table(table, "p.star")


def test_bfactor_and_scale_multiply_the_ctf(optics_group):
    plain = particle(rlnDefocusU=15000.0)
    both = particle(rlnDefocusU=15000.0, rlnCtfBfactor=80.0, rlnCtfScalefactor=0.7)
    factor = 0.7 * np.exp(-80 * 0.1**2 / 4)
    assert one_value(optics_group(), both, 0.1, 0) == pytest.approx(
        factor * one_value(optics_group(), plain, 0.1, 0), rel=1e-5
    )


def test_a_phase_plate_of_90_degrees_gives_full_contrast_at_zero(optics_group):
    plate = particle(rlnDefocusU=5000.0, rlnPhaseShift=90.0)
    assert one_value(optics_group(amplitude_contrast=0.0), plate, 0, 0) == pytest.approx(1)


def test_amplitude_contrast_of_one_is_allowed(optics_group):
    assert one_value(optics_group(amplitude_contrast=1.0), particle(rlnDefocusU=0.0), 0, 0) == 1


def test_the_first_peak_is_left_intact_on_request(optics_group):
    parameters = particle(rlnDefocusU=15000.0, rlnCtfScalefactor=0.5)
    s = np.linspace(0, 0.3, 400)
    plain = ctf_values(optics_group(), parameters, s, 0 * s)[0]
    intact = ctf_values(optics_group(), parameters, s, 0 * s, intact_first_peak=True)[0]
    peak = int(np.argmax(plain > 0.4999))
    np.testing.assert_array_equal(intact[: peak - 1], np.float32(0.5))
    np.testing.assert_array_equal(intact[peak + 20 :], plain[peak + 20 :])


def test_phase_flipped_data_have_the_magnitude_of_the_ctf(optics_group):
    parameters, s = particle(rlnDefocusU=15000.0), np.linspace(0, 0.3, 400)
    plain = ctf_values(optics_group(), parameters, s, 0 * s)
    flipped = ctf_values(optics_group(), parameters, s, 0 * s, phase_flipped=True)
    np.testing.assert_array_equal(flipped, np.abs(plain))


def test_flipping_phases_only_leaves_the_sign_times_the_scale(optics_group):
    parameters = particle(rlnDefocusU=15000.0, rlnCtfScalefactor=0.5)
    s = np.linspace(0, 0.3, 400)
    plain = ctf_values(optics_group(), parameters, s, 0 * s)
    signs = ctf_values(optics_group(), parameters, s, 0 * s, only_flip_phases=True)
    np.testing.assert_array_equal(signs, 0.5 * np.sign(plain))


def test_zeros_of_the_ctf_are_lifted_to_a_tiny_value(optics_group):
    flat = optics_group(amplitude_contrast=0.0)
    assert one_value(flat, particle(rlnDefocusU=1e4), 0, 0) == pytest.approx(1e-8)
    negative = particle(rlnDefocusU=1e4, rlnCtfScalefactor=-1e-12)
    assert one_value(flat, negative, 0.03, 0) == pytest.approx(-1e-8)


def test_magnification_rescales_the_frequencies(optics_group):
    magnified = optics_group(magnification=np.array([[1.1, 0.0], [0.0, 0.9]]))
    parameters = particle(rlnDefocusU=15000.0, rlnDefocusV=14000.0, rlnDefocusAngle=20.0)
    assert one_value(magnified, parameters, 0.1, 0.05) == pytest.approx(
        one_value(optics_group(), parameters, 0.11, 0.045)
    )


def test_symmetric_aberrations_are_subtracted_from_the_phase(optics_group):
    aberrated = optics_group(even_zernike=(0.3,))  # Z_0^0 is 1
    shifted = particle(rlnDefocusU=15000.0, rlnPhaseShift=-float(np.rad2deg(0.3)))
    assert one_value(aberrated, particle(rlnDefocusU=15000.0), 0.1, 0) == pytest.approx(
        one_value(optics_group(), shifted, 0.1, 0), abs=1e-6
    )


def test_missing_defocus_is_an_error_with_a_remedy(optics_group):
    with pytest.raises(StarError, match=r"p\.star.*rlnDefocusU is missing.*Estimate the CTF"):
        check_ctf_columns(pd.DataFrame({"rlnOpticsGroup": [1]}), [optics_group()], "p.star")


def test_a_ctf_of_zero_everywhere_is_an_error_naming_the_particle(optics_group):
    flat = optics_group(number=2, amplitude_contrast=0.0, spherical_aberration=0.0)
    table = pd.DataFrame({"rlnOpticsGroup": [1, 2, 2], "rlnDefocusU": [0.0, 9e3, 0.0]})
    with pytest.raises(StarError, match=r"row 3: rlnDefocusU, rlnDefocusV.*all 0"):
        check_ctf_columns(table, [optics_group(), flat], "p.star")
    check_ctf_columns(table.iloc[:2], [optics_group(), flat], "p.star")


ZERNIKE = (0.1, 0.2, -3.0, 4.0, 5.0, 6.0, 100.0, 200.0, 300.0)
MAGNIFICATION = np.array([[1.02, 0.03], [-0.02, 0.97]])


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_ctf_toolbox") is None, reason="RELION not on PATH")
@pytest.mark.parametrize("has_zernike", [False, True])
@pytest.mark.parametrize("has_magnification", [False, True])
def test_ctf_is_that_of_relion(tmp_path, has_zernike, has_magnification, optics_group):
    n, pixel_size = 64, 1.3
    optics = optics_group(
        voltage=200.0,
        spherical_aberration=2.1,
        amplitude_contrast=0.07,
        pixel_size=pixel_size,
        even_zernike=ZERNIKE if has_zernike else (),
        **({"magnification": MAGNIFICATION} if has_magnification else {}),
    )
    columns = {
        "rlnOpticsGroup": 1,
        "rlnOpticsGroupName": "og",
        "rlnVoltage": 200,
        "rlnSphericalAberration": 2.1,
        "rlnAmplitudeContrast": 0.07,
        "rlnImagePixelSize": pixel_size,
        "rlnImageSize": n,
        "rlnImageDimensionality": 2,
    }
    if has_zernike:
        columns["rlnEvenZernike"] = "[" + ",".join(map(str, ZERNIKE)) + "]"
    if has_magnification:
        columns |= {f"rlnMagMat{i}{j}": MAGNIFICATION[i, j] for i in (0, 1) for j in (0, 1)}
    particles = {
        "rlnImageName": "1@s.mrcs",
        "rlnMicrographName": "m.mrc",
        "rlnOpticsGroup": 1,
        "rlnDefocusU": 14000.0,
        "rlnDefocusV": 9000.0,
        "rlnDefocusAngle": 33.0,
        "rlnPhaseShift": 40.0,
    }
    blocks = "".join(
        f"\n# version 30001\n\ndata_{name}\n\nloop_\n"
        + "".join(f"_{label}\n" for label in table)
        + " ".join(str(value) for value in table.values())
        + "\n\n"
        for name, table in (("optics", columns), ("particles", particles))
    )
    (tmp_path / "p.star").write_text(blocks)
    with mrcfile.new(tmp_path / "s.mrcs") as mrc:
        point = np.zeros((1, n, n), dtype=np.float32)
        point[0, n // 2, n // 2] = 1
        mrc.set_data(point)
        mrc.voxel_size = pixel_size
    subprocess.run(
        ["relion_ctf_toolbox", "--i", "p.star", "--o", "ctf_"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    with mrcfile.open(tmp_path / "s_ctf_.mrcs") as mrc:
        theirs = np.fft.rfft2(np.fft.ifftshift(mrc.data.reshape(n, n))).real[:, : n // 2]
    y, x = np.meshgrid(np.fft.fftfreq(n, pixel_size), np.fft.rfftfreq(n, pixel_size), indexing="ij")
    parameters = CtfParameters.from_table(pd.DataFrame([particles]))
    ours = ctf_values(optics, parameters, x.ravel(), y.ravel()).reshape(x.shape)[:, : n // 2]
    rows = np.arange(n) != n // 2  # x and y at Nyquist have no definite sign
    np.testing.assert_allclose(ours[rows], theirs[rows], atol=1e-6)
