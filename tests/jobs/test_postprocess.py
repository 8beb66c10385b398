import shlex

import numpy as np
import pandas as pd
import pytest

from aurefine.cli.postprocess import run
from aurefine.errors import ImageError, OptionError, OutputError, StarError
from aurefine.fourier import lowpass_filter
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map, read_mrc_header, write_map
from aurefine.io.star import read_star, write_star
from aurefine.jobs import postprocess_files
from aurefine.jobs.postprocess import other_half_map

N = 32


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    signal, noise1, noise2 = rng.normal(size=(3, N, N, N)).astype(np.float32)
    signal = lowpass_filter(signal * soft_sphere(N, 8, 3), 2.0, 7.0) * 4
    write_map("run_half1_class001_unfil.mrc", signal + noise1, 2.0)
    write_map("run_half2_class001_unfil.mrc", signal + noise2, 2.0)
    write_map("mask.mrc", soft_sphere(N, 9, 4), 2.0)
    write_map("solvent.mrc", np.roll(soft_sphere(N, 6, 3), 12, axis=(0, 1, 2)), 2.0)
    write_map("wide.mrc", soft_sphere(N, 9, 4) * 1.5, 2.0)
    write_map("empty.mrc", np.zeros((N, N, N), dtype=np.float32), 2.0)
    write_map("small.mrc", soft_sphere(16, 5, 3), 2.0)
    return tmp_path


@pytest.fixture(autouse=True)
def _without_figures(request, monkeypatch):
    """Figures take a second: only the tests that look at them draw them."""
    if "figures" not in request.node.name:
        monkeypatch.setattr(postprocess_files, "_draw", lambda outcome, frequency_squared: None)


def _run(options, half="run_half1_class001_unfil.mrc"):
    return run(["--i", half, "--o", "job/postprocess", *shlex.split(options)])


def test_all_files_and_figures_of_a_job_are_written(project):
    assert _run("--mask mask.mrc --auto_bfac --autob_lowres 20 --half_maps") == 0
    names = {path.name for path in (project / "job").iterdir()}
    assert names == {
        "postprocess.mrc", "postprocess_masked.mrc", "postprocess.star", "postprocess_fsc.xml",
        "postprocess_fsc.dat", "postprocess_fsc.png", "postprocess_fsc.pdf",
        "postprocess_guinier.png", "postprocess_guinier.pdf", "logfile.pdf",
        "postprocess_half1.mrc", "postprocess_half1_masked.mrc",
        "postprocess_half2.mrc", "postprocess_half2_masked.mrc",
    }  # fmt: skip
    assert (project / "job" / "logfile.pdf").read_bytes().startswith(b"%PDF")
    assert (project / "job" / "postprocess_fsc.png").read_bytes().startswith(b"\x89PNG")


def test_the_sum_of_sharpened_half_maps_is_the_map():
    _run("--mask mask.mrc --auto_bfac --autob_lowres 20 --half_maps")
    whole, half1, half2 = (
        read_map(f"job/postprocess{name}.mrc")[0] for name in ("", "_half1", "_half2")
    )
    np.testing.assert_allclose((half1 + half2) / 2, whole, atol=1e-4 * whole.std())


def test_either_half_map_may_be_named():
    _run("--mask mask.mrc --adhoc_bfac -20", half="run_half2_class001_unfil.mrc")
    values = read_star("job/postprocess.star").values("general")
    assert values["rlnUnfilteredMapHalf1"] == "run_half1_class001_unfil.mrc"
    assert values["rlnUnfilteredMapHalf2"] == "run_half2_class001_unfil.mrc"


def test_half_maps_may_have_any_name(project):
    (project / "run_half1_class001_unfil.mrc").rename("a.mrc")
    (project / "run_half2_class001_unfil.mrc").rename("b.mrc")
    run(["--i", "a.mrc", "--i2", "b.mrc", "--o", "x", "--adhoc_bfac", "-20"])
    assert read_star("x.star").values("general")["rlnUnfilteredMapHalf2"] == "b.mrc"


def test_only_the_file_name_tells_the_half():
    assert other_half_map("half1/run_half1_x.mrc") == "half1/run_half2_x.mrc"
    with pytest.raises(OptionError, match="--i2"):
        other_half_map("half1/run.mrc")


def test_the_same_seed_gives_the_same_files_and_figures(project):
    options = "--mask mask.mrc --auto_bfac --autob_lowres 20"
    _run(options)
    first = {path.name: path.read_bytes() for path in (project / "job").iterdir()}
    _run(options)
    again = {path.name: path.read_bytes() for path in (project / "job").iterdir()}
    assert first == again


def test_the_pixel_size_can_be_calibrated():
    _run("--mask mask.mrc --adhoc_bfac -20 --angpix 2.1")
    assert read_mrc_header("job/postprocess.mrc").pixel_size == pytest.approx(2.1)
    table = read_star("job/postprocess.star").table("fsc")
    assert table["rlnAngstromResolution"].iloc[-1] == pytest.approx(4.2)


def test_a_molecular_weight_adds_a_column():
    _run("--mask mask.mrc --adhoc_bfac -20 --molweight 15")
    star = read_star("job/postprocess.star")
    assert "rlnFourierShellCorrelationParticleMolWeight" in star.table("fsc")
    assert star.values("general")["rlnMolecularWeight"] == 15.0


def test_a_mask_that_makes_things_worse_is_given_up(capsys):
    _run("--mask solvent.mrc --adhoc_bfac -20")
    assert "better without the mask" in capsys.readouterr().err
    fsc = read_star("job/postprocess.star").table("fsc")
    np.testing.assert_array_equal(
        fsc["rlnFourierShellCorrelationCorrected"], fsc["rlnFourierShellCorrelationUnmaskedMaps"]
    )


def test_a_mask_can_be_kept_by_force(capsys):
    _run("--mask solvent.mrc --adhoc_bfac -20 --force_mask")
    assert "--force_mask keeps it" in capsys.readouterr().err
    fsc = read_star("job/postprocess.star").table("fsc")
    assert not np.allclose(
        fsc["rlnFourierShellCorrelationCorrected"], fsc["rlnFourierShellCorrelationUnmaskedMaps"]
    )


def test_without_a_bfactor_the_map_is_not_sharpened(capsys):
    _run("--mask mask.mrc")
    assert "the map is not sharpened" in capsys.readouterr().err
    assert "rlnLogAmplitudesSharpened" not in read_star("job/postprocess.star").table("guinier")


def test_a_negative_lowpass_filters_at_the_final_resolution(capsys):
    _run("--mask mask.mrc --adhoc_bfac -20 --low_pass -1")
    lines = capsys.readouterr().out.splitlines()
    final = next(line for line in lines if "FINAL RESOLUTION" in line).split()[-1]
    assert next(line for line in lines if "filter frequency" in line).split()[-1] == final


def test_the_randomisation_resolution_can_be_given():
    _run("--mask mask.mrc --adhoc_bfac -20 --randomize_at_A 9")
    values = read_star("job/postprocess.star").values("general")
    assert values["rlnRandomiseFrom"] == pytest.approx(64 / 7, abs=1e-6)


def test_nothing_is_printed_when_asked_for(capsys):
    _run("--mask mask.mrc --adhoc_bfac -20 --verb 0")
    assert capsys.readouterr().out == ""


def test_success_leaves_a_marker(project):
    _run(f"--mask mask.mrc --adhoc_bfac -20 --pipeline_control {project}/")
    assert (project / "RELION_JOB_EXIT_SUCCESS").exists()


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ("--auto_bfac --adhoc_bfac -20", OptionError, "exclude each other"),
        ("--mask small.mrc", ImageError, "mask has a box of 16 px, the half maps have 32"),
        ("--mask wide.mrc", ImageError, "expected 0 to 1"),
        ("--mask empty.mrc", ImageError, "the mask is empty"),
        ("--i2 small.mrc", ImageError, "Both must be half maps of one refinement"),
        ("--auto_mask", OptionError, "make a mask first"),
        ("--locres", OptionError, "local resolution"),
        ("--auto_bfac --autob_lowres 4", ImageError, "--autob_lowres"),
        ("--i2 run_half1_class001_unfil.mrc --mask mask.mrc", ImageError, "independent"),
        ("--mtf broken.star --adhoc_bfac -20", StarError, "rlnMtfValue"),
        ("--mtf reversed.star --adhoc_bfac -20", StarError, "must increase"),
    ],
)
def test_mistakes_are_named(options, kind, message):
    inverse_pixel = np.linspace(0.5, 0, 6)
    write_star("broken.star", {"": pd.DataFrame({"rlnResolutionInversePixel": inverse_pixel})})
    both = {"rlnResolutionInversePixel": inverse_pixel, "rlnMtfValue": inverse_pixel}
    write_star("reversed.star", {"": pd.DataFrame(both)})
    with pytest.raises(kind, match=message):
        _run(options)


def test_an_mtf_is_read_with_its_pixel_size():
    table = {
        "rlnResolutionInversePixel": np.linspace(0, 0.5, 6),
        "rlnMtfValue": np.linspace(1, 0.5, 6),
    }
    write_star("mtf.star", {"": pd.DataFrame(table)})
    _run("--mask mask.mrc --adhoc_bfac -20 --mtf mtf.star --mtf_angpix 1")
    guinier = read_star("job/postprocess.star").table("guinier")
    gain = guinier["rlnLogAmplitudesMTFCorrected"] - guinier["rlnLogAmplitudesOriginal"]
    assert gain[0] == pytest.approx(0)
    assert gain[8] == pytest.approx(-np.log(0.875), abs=0.02)  # at 0.125 per pixel of 1 Å


def test_help_and_version_are_shown(capsys):
    assert run([]) == run(["--version"]) == 0
    assert "--autob_lowres" in capsys.readouterr().out


def test_a_half_map_without_content_is_named():
    write_map("run_half2_class001_unfil.mrc", np.zeros((N, N, N), dtype=np.float32), 2.0)
    with pytest.raises(ImageError, match=r"half2_class001_unfil.mrc: all voxels are 0"):
        _run("--auto_bfac")


def test_the_same_map_twice_is_said(capsys):
    assert _run("--i2 run_half1_class001_unfil.mrc --adhoc_bfac -50") == 0
    assert "are the same map" in capsys.readouterr().err


def test_limits_of_the_fit_the_wrong_way_round_are_named():
    with pytest.raises(OptionError, match=r"--autob_lowres: found 5 Å, expected more than the 9 Å"):
        _run("--auto_bfac --autob_lowres 5 --autob_highres 9")


def test_a_folder_that_can_not_be_made_is_named(project):
    (project / "job").write_text("a file")
    with pytest.raises(OutputError, match="job: can not make the folder"):
        _run("--adhoc_bfac -50")
