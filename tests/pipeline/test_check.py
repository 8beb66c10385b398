"""`aurefine check` and the checks at the start of a refinement, on simulated particles."""

import json
import shutil

import numpy as np
import pytest

from aurefine.cli.main import run_command
from aurefine.fourier import lowpass_filter
from aurefine.io import (
    ParticleTable,
    StackWriter,
    read_map,
    read_particles,
    write_map,
    write_particles,
)
from aurefine.simulate.projector import resample_map

STANDARD = ["--sym", "D2", "--particle_diameter", "190", "--ini_high", "50", "--ctf"]


@pytest.fixture(scope="module")
def maps(shared_data, tmp_path_factory):
    """References with one fault each."""
    folder = tmp_path_factory.mktemp("maps")
    true_map, pixel_size = read_map(shared_data / "d2-small" / "true_map.mrc")
    reference, _ = read_map(shared_data / "d2-small" / "reference.mrc")
    write_map(folder / "inverted.mrc", -reference, pixel_size)
    for name, size in (("larger", 1.08), ("smaller", 1 / 1.08)):
        # the same numbers would come from a map with a pixel size that is wrong by that factor
        other = resample_map(true_map, pixel_size * size, 64, pixel_size)
        write_map(folder / f"{name}.mrc", other, pixel_size)
    turned = np.rot90(true_map, axes=(0, 1))  # still symmetric: a 2-fold becomes another
    write_map(folder / "turned.mrc", turned, pixel_size)
    write_map(folder / "noise.mrc", _blob_noise(), pixel_size)
    return folder


def _blob_noise():
    rng = np.random.default_rng(5)
    k = np.fft.fftfreq(64)
    filter_ = np.exp(-((k[:, None, None] ** 2 + k[:, None] ** 2 + k[:33] ** 2) * 400))
    filter_[0, 0, 0] = 0
    noise = np.fft.irfftn(
        np.fft.rfftn(rng.normal(size=(64,) * 3)) * filter_, s=(64,) * 3, axes=(0, 1, 2)
    )
    return noise.astype(np.float32)


@pytest.fixture
def check(shared_data, monkeypatch, tmp_path):
    """Run `aurefine check` on the small set; return the exit code and what it wrote."""
    monkeypatch.chdir(shared_data / "d2-small")

    def run(*options, particles="particles.star", standard=True):
        root = tmp_path / "check"
        argv = ["check", "--i", str(particles), *(STANDARD if standard else []), *options]
        code = run_command([*argv, "--o", str(root)])
        return code, json.loads(root.with_suffix(".json").read_text())

    return run


def topics(result):
    return [finding["topic"] for finding in result["findings"]]


@pytest.mark.parametrize("reference", ["reference.mrc", "true_map.mrc"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_is_found_on_correct_data(check, reference, seed):
    options = ["--ref", reference, "--firstiter_cc", "--n_compared", "100"]
    code, result = check(*options, "--random_seed", str(seed))
    assert (code, topics(result)) == (0, [])
    assert result["comparisons"][0]["contrast_evidence"] > 10


def test_the_greyscale_of_a_reference_is_measured(check):
    # the reference is the true map, filtered, times 3 plus an offset
    _, result = check("--ref", "reference.mrc", "--n_compared", "100")
    assert topics(result) == ["greyscale"]
    assert result["findings"][0]["numbers"]["slope"] == pytest.approx(1 / 3, rel=0.15)
    _, result = check("--ref", "true_map.mrc", "--n_compared", "100")
    assert topics(result) == []
    assert result["comparisons"][0]["greyscale_factor"] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("name", "size"), [("larger", 1 / 1.08), ("smaller", 1.08)])
def test_a_pixel_size_wrong_by_eight_per_cent_is_found(check, maps, capsys, name, size):
    code, result = check("--ref", f"{maps}/{name}.mrc", "--firstiter_cc", "--n_compared", "100")
    assert (code, topics(result)) == (0, ["pixel_size"])
    assert result["findings"][0]["numbers"]["size"] == pytest.approx(size, abs=0.01)
    corrected = result["findings"][0]["remedy"].split("from 3.54 to ")[1].split()[0]
    assert float(corrected) == pytest.approx(3.54 / size, rel=0.01)
    assert "What to do:" in capsys.readouterr().out


def test_more_particles_are_compared_only_while_the_size_is_open(check, maps, capsys):
    options = ["--firstiter_cc", "--n_compared", "100"]
    _, right = check("--ref", "true_map.mrc", *options)
    _, far_off = check("--ref", f"{maps}/larger.mrc", *options)
    assert [r["comparisons"][0]["n_particles"] for r in (right, far_off)] == [100, 100]
    assert "would not be noticed" not in capsys.readouterr().out


def blurred(path, resolution, folder):
    values, pixel_size = read_map(path)
    write_map(folder / "blurred.mrc", lowpass_filter(values, pixel_size, resolution), pixel_size)
    return str(folder / "blurred.mrc")


def test_a_blurred_reference_is_compared_with_more_particles(check, tmp_path):
    reference = blurred("true_map.mrc", 50.0, tmp_path)
    code, result = check("--ref", reference, "--firstiter_cc", "--n_compared", "100")
    assert (code, topics(result)) == (0, [])
    comparison = result["comparisons"][0]
    assert comparison["n_particles"] == 400
    assert comparison["size"] == pytest.approx(1, abs=3 * comparison["size_error"])


@pytest.mark.parametrize("name", ["larger", "smaller"])
def test_a_wrong_pixel_size_of_a_blurred_reference_is_found(check, maps, tmp_path, name):
    reference = blurred(maps / f"{name}.mrc", 40.0, tmp_path)
    _, result = check("--ref", reference, "--firstiter_cc", "--n_compared", "100")
    assert topics(result) == ["pixel_size"]


def test_inverted_contrast_is_an_error(check, maps, capsys):
    code, result = check("--ref", f"{maps}/inverted.mrc", "--n_compared", "100")
    assert (code, topics(result)) == (1, ["contrast_inverted"])
    assert "contrast_inverted" in capsys.readouterr().err


def test_a_reference_of_nothing_is_noticed(check, maps):
    options = ["--ref", f"{maps}/noise.mrc", "--firstiter_cc", "--sym", "C1"]
    _, result = check(*options, "--n_compared", "100")
    assert "no_match" in topics(result)


def test_a_turned_reference_is_off_its_axes(check, maps):
    from scipy.ndimage import rotate

    values, pixel_size = read_map(maps / "turned.mrc")
    write_map(maps / "off.mrc", rotate(values, 30, axes=(1, 2), reshape=False), pixel_size)
    options = ["--firstiter_cc", "--n_compared", "0"]
    assert topics(check("--ref", f"{maps}/turned.mrc", *options)[1]) == []
    assert topics(check("--ref", f"{maps}/off.mrc", *options)[1]) == ["symmetry_axes"]


def test_bad_images_and_copies_are_listed_and_left_out(check, shared_data, tmp_path):
    table = read_particles(shared_data / "d2-small" / "particles.star")
    frame = table.particles.iloc[[*range(40), 3, 7]].reset_index(drop=True)
    frame["rlnImageName"] = [f"{i + 1:06d}@{tmp_path}/p.mrcs" for i in range(42)]
    frame["rlnRandomSubset"] = [1 + i % 2 for i in range(42)]
    frame.loc[40, "rlnRandomSubset"] = 1  # row 4 is in half 2
    images = np.fromfile(shared_data / "d2-small" / "particles.mrcs", np.float32, offset=1024)
    stack = images.reshape(-1, 64, 64)[[*range(40), 3, 7]].copy()
    stack[20, 5, 5] = np.nan
    stack[30] = 2.0
    with StackWriter(tmp_path / "p.mrcs", 42, 64, 3.54) as writer:
        for image in stack:
            writer.append(image)
    star = tmp_path / "with_faults.star"
    write_particles(star, ParticleTable(table.optics, frame, str(star)))
    code, result = check("--exclude_bad", particles=star)
    assert (code, topics(result)) == (1, ["both_halves", "not_finite", "constant"])
    assert result["findings"][0]["rows"] == [4, 41]
    assert result["findings"][1]["rows"] == [21]
    assert result["findings"][2]["rows"] == [31]
    assert len(read_particles(tmp_path / "check_bad_particles.star").particles) == 2
    assert len(read_particles(tmp_path / "check_copies.star").particles) == 4
    kept = read_particles(tmp_path / "check_particles.star").particles
    assert kept["rlnImageName"].tolist() == frame["rlnImageName"].drop([20, 30]).tolist()


def test_a_particle_file_alone_can_be_checked(check):
    assert check(standard=False)[0] == 0


def test_exclusion_needs_a_name_for_its_file(capsys):
    assert run_command(["check", "--i", "none.star", "--exclude_bad"]) == 1
    assert "--o" in capsys.readouterr().err


def story(folder):
    return (folder / "run.out").read_text(), (folder / "run.err").read_text()


@pytest.mark.parametrize(
    ("reference", "decision"), [("reference.mrc", "on"), ("true_map.mrc", "off")]
)
def test_the_first_iteration_follows_the_greyscale(refine, tmp_path, reference, decision):
    options = ["--ref", reference, "--firstiter_cc", "auto", "--auto_iter_max", "1"]
    assert refine(f"{tmp_path}/run", *options) == 0
    out, _ = story(tmp_path)
    assert f"--firstiter_cc auto: {decision}, because the reference is" in out
    assert ("Pmax 1.000" in out) == (decision == "on")  # the winner takes all in that iteration


def test_a_refinement_warns_of_a_wrong_pixel_size(refine, project, tmp_path):
    values, pixel_size = read_map(project / "true_map.mrc")
    other = resample_map(values, pixel_size * 1.08, len(values), pixel_size)
    write_map(tmp_path / "larger.mrc", other, pixel_size)
    options = ["--ref", f"{tmp_path}/larger.mrc", "--auto_iter_max", "1"]
    assert refine(f"{tmp_path}/run", *options) == 0
    out, err = story(tmp_path)
    assert "size 0.9" in out
    assert "% smaller than in" in err


def test_a_refinement_does_not_start_with_inverted_contrast(refine, project, tmp_path):
    values, pixel_size = read_map(project / "reference.mrc")
    write_map(tmp_path / "inverted.mrc", -values, pixel_size)
    options = ["--ref", f"{tmp_path}/inverted.mrc", "--auto_iter_max", "1"]
    assert refine(f"{tmp_path}/a/run", *options) == 1
    assert "inverted contrast" in story(tmp_path / "a")[1]
    assert refine(f"{tmp_path}/b/run", *options, "--skip_checks") == 0


def test_a_refinement_leaves_out_bad_images_when_asked(refine, project, tmp_path, monkeypatch):
    for name in ("reference.mrc", "particles.star"):
        shutil.copy(project / name, tmp_path)
    stack = np.fromfile(project / "particles.mrcs", np.float32)
    stack[256 + 32 * 32 * 10 + 5] = np.nan
    stack.tofile(tmp_path / "particles.mrcs")
    monkeypatch.chdir(tmp_path)
    assert refine("a/run", "--auto_iter_max", "1") == 1
    assert "--exclude_bad" in story(tmp_path / "a")[1]
    assert refine("b/run", "--auto_iter_max", "1", "--exclude_bad") == 0
    rows = read_particles(tmp_path / "b" / "run_it001_data.star").particles
    assert len(rows) == 79
