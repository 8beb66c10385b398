import json
import shutil
import subprocess

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.cli.simulate import run
from aurefine.errors import AurefineError
from aurefine.fourier.fsc import fsc_of_maps
from aurefine.io.mrc import read_map, read_mrc_header, write_map
from aurefine.io.particles import read_particles

FILES = {
    "particles.mrcs",
    "particles.star",
    "truth.star",
    "true_map.mrc",
    "reference.mrc",
    "simulation.json",
    "run.out",
    "run.err",
}


def simulate(folder, *options):
    return run(["--preset", "demo", "--o", str(folder), "--n_particles", "24", *options])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation") / "demo"
    assert simulate(folder) == 0
    return folder


def test_all_files_are_written(simulated):
    assert {path.name for path in simulated.iterdir()} == FILES


def test_input_has_no_poses_and_truth_has(simulated):
    given = read_particles(simulated / "particles.star")
    truth = read_particles(simulated / "truth.star")
    assert not [c for c in given.particles.columns if "Angle" in c and "Defocus" not in c]
    assert not [c for c in given.particles.columns if "Origin" in c or "Subset" in c]
    assert {"rlnAngleRot", "rlnOriginXAngst", "rlnRandomSubset"} <= set(truth.particles.columns)
    assert given.particles["rlnImageName"].tolist() == truth.particles["rlnImageName"].tolist()
    assert given.optics["rlnVoltage"].tolist() == [300, 200]


def test_stack_is_normalised_and_as_long_as_the_table(simulated):
    images, pixel_size = read_map(simulated / "particles.mrcs")
    assert images.shape == (24, 64, 64)
    assert pixel_size == pytest.approx(3.54)
    corners = images[:, :8, :8]
    assert abs(corners.mean()) < 0.2
    assert corners.std() == pytest.approx(1.0, abs=0.1)


def test_reference_is_the_filtered_true_map_off_the_greyscale(simulated):
    true_map, _ = read_map(simulated / "true_map.mrc")
    reference, _ = read_map(simulated / "reference.mrc")
    before, after = np.fft.rfftn(true_map), np.fft.rfftn(reference)
    assert after[0, 0, 2] / before[0, 0, 2] == pytest.approx(3.0, rel=1e-3)
    assert abs(after[0, 0, 12]) < 1e-3 * abs(before[0, 0, 12])
    offset = reference.mean() - 3 * true_map.mean()
    assert offset == pytest.approx(0.02, abs=1e-4)


def test_settings_are_recorded(simulated):
    content = json.loads((simulated / "simulation.json").read_text())
    assert content["options"]["snr"] == 0.1
    assert content["options"]["random_seed"] == 2024
    assert content["options"]["particle_diameter"] > 180
    assert len(content["micrograph_scale"]) == 8


def test_same_seed_gives_the_same_bytes_with_other_threads(simulated, tmp_path):
    simulate(tmp_path / "again", "--j", "2")
    assert (tmp_path / "again" / "particles.mrcs").read_bytes() == (
        simulated / "particles.mrcs"
    ).read_bytes()
    simulate(tmp_path / "other", "--random_seed", "5")
    assert (tmp_path / "other" / "particles.mrcs").read_bytes() != (
        simulated / "particles.mrcs"
    ).read_bytes()


def test_groups_with_other_pixels_get_a_stack_of_their_own(tmp_path):
    simulate(tmp_path / "two", "--box", "64,80", "--angpix", "3.54,2.9", "--beamtilt_x", "-1,0")
    table = read_particles(tmp_path / "two" / "particles.star")
    assert table.optics["rlnImageSize"].tolist() == [64, 80]
    assert table.optics["rlnBeamTiltX"].tolist() == [-1, 0]
    for number, (box, pixel_size) in enumerate([(64, 3.54), (80, 2.9)], start=1):
        stack = tmp_path / "two" / f"particles_{number}.mrcs"
        header = read_mrc_header(stack)
        names = table.particles.loc[table.particles["rlnOpticsGroup"] == number, "rlnImageName"]
        assert (header.nx, header.nz) == (box, len(names))
        assert header.pixel_size == pytest.approx(pixel_size)
        assert set(names.str.split("@").str[1]) == {stack.as_posix()}


def test_a_map_can_be_simulated_instead_of_atoms(simulated, tmp_path):
    source = simulated / "true_map.mrc"
    code = run(
        ["--map", str(source), "--o", str(tmp_path / "m"), "--n_particles", "4", "--box", "80",
         "--angpix", "2.832", "--snr", "0"]
    )  # fmt: skip
    assert code == 0
    before, _ = read_map(source)
    after, _ = read_map(tmp_path / "m" / "true_map.mrc")
    cropped = np.fft.rfftn(after)[0, 0, :30] / np.fft.rfftn(before)[0, 0, :30]
    # the same field of view: Fourier coefficients differ by the shift of origin and a scale
    np.testing.assert_allclose(np.abs(cropped), np.abs(cropped[1]), rtol=1e-2)


def bad_map(tmp_path, kind):
    path = tmp_path / f"{kind}.mrc"
    density = np.ones((16, 16, 16), dtype=np.float32)
    if kind == "nan":
        density[3, 4, 5] = np.nan
    elif kind == "odd":
        density = density[:15, :15, :15]
    elif kind == "empty":
        density[:] = 0
    write_map(path, density, 3.0)
    return path


@pytest.mark.parametrize(
    "kind, part",
    [("nan", "not finite"), ("odd", "cubic map of even size"), ("empty", "map is empty")],
)
def test_bad_maps_are_explained(tmp_path, kind, part):
    path = bad_map(tmp_path, kind)
    with pytest.raises(AurefineError, match=part):
        run(["--map", str(path), "--o", str(tmp_path / "out"), "--n_particles", "2"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, part",
    [
        (("--box", "32"), "Use a larger box"),
        (("--particle_diameter", "500"), "--particle_diameter"),
        (("--atoms", "missing.npz"), "missing.npz"),
    ],
)
def test_bad_options_write_nothing(tmp_path, options, part):
    with pytest.raises(AurefineError, match=part):
        simulate(tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_can_not_be_made_is_explained(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code = run_command(["simulate", "--preset", "demo", "--o", str(tmp_path / "file" / "x")])
    assert code == 1
    assert "can not make the output folder" in capsys.readouterr().err


def test_without_arguments_the_help_is_shown(capsys):
    assert run([]) == 0
    assert "--preset" in capsys.readouterr().out


@pytest.mark.relion
@pytest.mark.skipif(not shutil.which("relion_reconstruct"), reason="RELION is not installed")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--beamtilt_x", "12,0", "--beamtilt_y", "-5,0", "--odd_zernike", "[];[0,0,300,0,0,-200]"),
        ("--mag_mat", "[1.04,0.02,-0.01,0.97]", "--even_zernike", "[0,60,0,-40]"),
        ("--premultiply_ctf", "1,0", "--astigmatism", "6000"),
    ],
    ids=["plain", "odd aberrations", "magnification", "premultiplied"],
)
def test_relion_reconstructs_the_true_map_from_the_true_poses(tmp_path, options):
    folder = tmp_path / "sim"
    run(
        ["--preset", "demo", "--o", str(folder), "--n_particles", "200", "--snr", "5", "--j", "2",
         "--n_micrographs", "50", *options]
    )  # fmt: skip
    subprocess.run(
        ["relion_reconstruct", "--i", str(folder / "truth.star"), "--o", str(folder / "rec.mrc"),
         "--ctf", "--sym", "D2"],
        check=True, capture_output=True,
    )  # fmt: skip
    reconstructed, _ = read_map(folder / "rec.mrc")
    true_map, _ = read_map(folder / "true_map.mrc")
    fsc = fsc_of_maps(reconstructed, true_map)
    # measured 0.98 and 0.93; with the sign of one aberration wrong, 0.65 or less at shell 30
    assert fsc[1:20].min() > 0.97
    assert fsc[30] > 0.88
